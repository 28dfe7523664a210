// SPDX-License-Identifier: Apache-2.0
/* Commands that measure, for tests/bench. Each reports how much it did and in how many nanoseconds
 * of CLOCK_MONOTONIC. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define BLOCK_BYTES 4096u
#define FLOOD_BYTES (64u * 1024)

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void report_time(const char *name, uint64_t amount, uint64_t since_ns)
{
    report(name, "%llu %llu", (unsigned long long)amount,
           (unsigned long long)(now_ns() - since_ns));
}

/* disk-rounds:DEV:COUNT reads blocks of 4 KiB one after the other, past the page cache. */
static int run_disk_rounds(char **argv)
{
    uint64_t count = argument_number(argv[2]), began_ns;
    char path[64];
    void *block = NULL;
    int fd;

    snprintf(path, sizeof(path), "/dev/%s", argv[1]);
    fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0 || posix_memalign(&block, BLOCK_BYTES, BLOCK_BYTES))
        return report_failure(argv[0], errno, "%s", path);
    began_ns = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        if (pread(fd, block, BLOCK_BYTES, 0) != (ssize_t)BLOCK_BYTES)
            return report_failure(argv[0], errno, "%s: read %llu", path, (unsigned long long)i);
    }
    report_time(argv[0], count, began_ns);
    free(block);
    close(fd);
    return 0;
}

static int connect_to(char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int one = 1;

    to.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
        return -1;
    for (int attempt = 0; attempt < 30; attempt++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
            return fd;
        close(fd);
        sleep(1);
    }
    return -1;
}

/* tcp-rounds:ADDRESS:PORT:COUNT sends a byte and waits for one, to a host that answers each. */
static int run_tcp_rounds(char **argv)
{
    uint64_t count = argument_number(argv[3]), began_ns;
    int fd = connect_to(argv);
    char byte = 'x';

    if (fd < 0)
        return report_failure(argv[0], errno, "connecting to %s", argv[1]);
    began_ns = now_ns();
    for (uint64_t i = 0; i < count; i++) {
        if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
            return report_failure(argv[0], errno, "round %llu", (unsigned long long)i);
    }
    report_time(argv[0], count, began_ns);
    close(fd);
    return 0;
}

/* tcp-flood:ADDRESS:PORT:BYTES sends zeros, and waits until the host has taken them all. */
static int run_tcp_flood(char **argv)
{
    static char zeros[FLOOD_BYTES];
    uint64_t bytes = argument_number(argv[3]), began_ns, sent = 0;
    int fd = connect_to(argv);

    if (fd < 0)
        return report_failure(argv[0], errno, "connecting to %s", argv[1]);
    began_ns = now_ns();
    while (sent < bytes) {
        size_t part = bytes - sent < sizeof(zeros) ? (size_t)(bytes - sent) : sizeof(zeros);
        ssize_t n = send(fd, zeros, part, MSG_NOSIGNAL);

        if (n <= 0)
            return report_failure(argv[0], errno, "after %llu bytes", (unsigned long long)sent);
        sent += (uint64_t)n;
    }
    shutdown(fd, SHUT_WR);
    while (recv(fd, zeros, sizeof(zeros), 0) > 0)
        ;
    report_time(argv[0], bytes, began_ns);
    close(fd);
    return 0;
}

/* tcp-drain:ADDRESS:PORT takes what the host sends until its end. */
static int run_tcp_drain(char **argv)
{
    static char buf[FLOOD_BYTES];
    uint64_t began_ns, taken = 0;
    int fd = connect_to(argv);
    ssize_t n;

    if (fd < 0)
        return report_failure(argv[0], errno, "connecting to %s", argv[1]);
    began_ns = now_ns();
    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
        taken += (uint64_t)n;
    if (n < 0)
        return report_failure(argv[0], errno, "after %llu bytes", (unsigned long long)taken);
    report_time(argv[0], taken, began_ns);
    close(fd);
    return 0;
}

const struct init_command init_measure_commands[] = {
    {"disk-rounds", 2, run_disk_rounds},
    {"tcp-rounds", 3, run_tcp_rounds},
    {"tcp-flood", 3, run_tcp_flood},
    {"tcp-drain", 2, run_tcp_drain},
    {NULL, 0, NULL},
};
