// SPDX-License-Identifier: Apache-2.0
/* Commands about network interfaces, IPv4. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

static int set_address(int fd, const char *interface, unsigned long request, in_addr_t address)
{
    struct ifreq ifr = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&ifr.ifr_addr;

    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", interface);
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = address;
    return ioctl(fd, request, &ifr);
}

/* net:IF:ADDRESS:PREFIX brings an interface up and prints its MTU and MAC address. */
static int run_net(char **argv)
{
    unsigned prefix = (unsigned)strtoul(argv[3], NULL, 10);
    struct ifreq ifr = {0};
    const unsigned char *mac = (const unsigned char *)ifr.ifr_hwaddr.sa_data;
    struct in_addr address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int mtu;

    if (inet_pton(AF_INET, argv[2], &address) != 1 || prefix < 1 || prefix > 32)
        return report_failure(argv[0], 0, "%s/%s: not an address", argv[2], argv[3]);
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", argv[1]);
    if (set_address(fd, argv[1], SIOCSIFADDR, address.s_addr) ||
        set_address(fd, argv[1], SIOCSIFNETMASK, htonl(~0u << (32 - prefix))) ||
        ioctl(fd, SIOCGIFFLAGS, &ifr))
        return report_failure(argv[0], errno, "%s", argv[1]);
    ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &ifr) || ioctl(fd, SIOCGIFMTU, &ifr))
        return report_failure(argv[0], errno, "%s", argv[1]);
    mtu = ifr.ifr_mtu;
    if (ioctl(fd, SIOCGIFHWADDR, &ifr))
        return report_failure(argv[0], errno, "%s", argv[1]);
    close(fd);
    report(argv[0], "%s mtu %d mac %02x:%02x:%02x:%02x:%02x:%02x", argv[1], mtu, mac[0], mac[1],
           mac[2], mac[3], mac[4], mac[5]);
    return 0;
}

static int has_carrier(const char *interface)
{
    char path[64];
    FILE *file;
    int carrier = 0;

    snprintf(path, sizeof(path), "/sys/class/net/%s/carrier", interface);
    file = fopen(path, "re");
    if (!file)
        return 0;
    /* Reading fails while the interface is down. */
    carrier = fgetc(file) == '1';
    fclose(file);
    return carrier;
}

/* link:IF waits until its link is up. */
static int run_link(char **argv)
{
    for (int attempt = 0; attempt < 300; attempt++) {
        if (has_carrier(argv[1])) {
            report(argv[0], "%s up", argv[1]);
            return 0;
        }
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return report_failure(argv[0], 0, "%s has none", argv[1]);
}

/* RFC 1071, for an even number of bytes. */
static uint16_t ip_checksum(const void *data, size_t len)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < len; i += 2) {
        uint16_t word;

        memcpy(&word, (const uint8_t *)data + i, sizeof(word));
        sum += word;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* ping:ADDRESS waits for one echo reply, with a few tries. */
static int run_ping(char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    struct timeval patience = {.tv_sec = 2};
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

    if (fd < 0 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
        return report_failure(argv[0], errno, "%s", argv[1]);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    for (uint16_t attempt = 1; attempt <= 10; attempt++) {
        struct icmphdr echo = {.type = ICMP_ECHO};
        unsigned char answer[256];
        ssize_t n;

        echo.un.echo.id = htons(0x4855);
        echo.un.echo.sequence = htons(attempt);
        echo.checksum = ip_checksum(&echo, sizeof(echo));
        if (sendto(fd, &echo, sizeof(echo), 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
            sleep(1);
            continue;
        }
        while ((n = recv(fd, answer, sizeof(answer), 0)) > 0) {
            size_t header = (size_t)(answer[0] & 15) * 4;

            if ((size_t)n >= header + 8 && answer[header] == ICMP_ECHOREPLY) {
                close(fd);
                report(argv[0], "%s ok", argv[1]);
                return 0;
            }
        }
    }
    close(fd);
    return report_failure(argv[0], 0, "%s does not answer", argv[1]);
}

static int tcp_socket(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* tcp-send:ADDRESS:PORT:SEED:BYTES connects and sends the pattern. */
static int run_tcp_send(char **argv)
{
    uint64_t seed = argument_number(argv[3]), bytes = argument_number(argv[4]);
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd = -1;

    to.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
        return report_failure(argv[0], 0, "%s: not an address", argv[1]);
    for (int attempt = 0; attempt < 30; attempt++) {
        fd = tcp_socket();
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
            break;
        close(fd);
        fd = -1;
        sleep(1);
    }
    if (fd < 0)
        return report_failure(argv[0], errno, "connecting to %s", argv[1]);
    return stream_send(argv[0], fd, seed, bytes);
}

/* tcp-recv:PORT accepts one connection and prints what came until its end. */
static int run_tcp_recv(char **argv)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    int listener = tcp_socket(), one = 1, fd;

    here.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(listener, (struct sockaddr *)&here, sizeof(here)) || listen(listener, 1))
        return report_failure(argv[0], errno, "port %s", argv[1]);
    report("ready", "tcp-recv %s", argv[1]);
    fd = accept(listener, NULL, NULL);
    if (fd < 0)
        return report_failure(argv[0], errno, "accept");
    close(listener);
    return stream_receive(argv[0], fd);
}

const struct init_command init_net_commands[] = {
    {"net", 3, run_net},           {"link", 1, run_link},         {"ping", 1, run_ping},
    {"tcp-send", 4, run_tcp_send}, {"tcp-recv", 1, run_tcp_recv}, {NULL, 0, NULL},
};
