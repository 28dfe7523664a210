// SPDX-License-Identifier: Apache-2.0
/*
 * Frames between two ends on this host, as two guests would exchange them: for pod_network.py.
 *
 *     frames END END     END: KIND,NETNS,NAME,MAC,IPV4
 *
 * KIND is tap (NAME is an interface), file (NAME is a macvtap's device) or packet (a packet socket
 * on an interface); NETNS a file, or nothing. Prints, for each of some rounds, the microseconds of
 * a round trip of 64 bytes, and the Gbit/s of frames of 1500 bytes one way.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS     9
#define TRIPS      10000
#define STREAM     40000
#define BURST      64
#define VNET_BYTES 10 /* before each frame of a tap */
#define PATIENCE   5000
#define PROTOCOL   253 /* for experiments: RFC 3692 */

struct end {
    char *kind, *netns, *name, *mac, *ip;
    int fd, header;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void split(char *text, struct end *end)
{
    char **parts[] = {&end->kind, &end->netns, &end->name, &end->mac, &end->ip};

    for (unsigned i = 0; i < 5; i++) {
        *parts[i] = strsep(&text, ",");
        if (!*parts[i])
            die("an end has five parts");
    }
}

static int open_packet(const char *name)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(name)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL)), size = 8 << 20;

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
        die(name);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    return fd;
}

static int open_tap(const struct end *end)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    bool file = !strcmp(end->kind, "file");
    int fd = open(file ? end->name : "/dev/net/tun", O_RDWR | O_NONBLOCK);

    if (!file)
        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", end->name);
    if (fd < 0 || (!file && ioctl(fd, TUNSETIFF, &request)))
        die(end->name);
    return fd;
}

static void open_end(struct end *end)
{
    int here = open("/proc/self/ns/net", O_RDONLY), there;

    if (end->netns[0] && ((there = open(end->netns, O_RDONLY)) < 0 || setns(there, CLONE_NEWNET)))
        die(end->netns);
    end->header = strcmp(end->kind, "packet") ? VNET_BYTES : 0;
    end->fd = end->header ? open_tap(end) : open_packet(end->name);
    if (setns(here, CLONE_NEWNET))
        die("setns");
}

static void put_mac(uint8_t *out, const char *text)
{
    unsigned parts[6];

    if (sscanf(text, "%x:%x:%x:%x:%x:%x", parts, parts + 1, parts + 2, parts + 3, parts + 4,
               parts + 5) != 6)
        die(text);
    for (unsigned i = 0; i < 6; i++)
        out[i] = (uint8_t)parts[i];
}

/* A whole frame with `bytes` behind the Ethernet header; its length, the tap's header included. */
static size_t build(uint8_t *out, const struct end *from, const struct end *to, unsigned bytes)
{
    uint8_t *frame = out + from->header, *ip = frame + 14;
    uint32_t sum = 0;

    memset(out, 0, from->header + 14 + bytes);
    put_mac(frame, to->mac);
    put_mac(frame + 6, from->mac);
    frame[12] = 8;
    ip[0] = 0x45;
    ip[2] = (uint8_t)(bytes >> 8);
    ip[3] = (uint8_t)bytes;
    ip[8] = 64;
    ip[9] = PROTOCOL;
    if (inet_pton(AF_INET, from->ip, ip + 12) != 1 || inet_pton(AF_INET, to->ip, ip + 16) != 1)
        die("an address");
    for (unsigned i = 0; i < 20; i += 2)
        sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~(sum + (sum >> 16));
    ip[10] = (uint8_t)(sum >> 8);
    ip[11] = (uint8_t)sum;
    return (size_t)from->header + 14 + bytes;
}

/* Whether one of our frames was there; others are passed over. */
static bool take(const struct end *end)
{
    uint8_t bytes[4096];

    for (;;) {
        struct sockaddr_ll from = {.sll_pkttype = 0};
        socklen_t len = sizeof(from);
        ssize_t n = end->header ? read(end->fd, bytes, sizeof(bytes))
                                : recvfrom(end->fd, bytes, sizeof(bytes), 0,
                                           (struct sockaddr *)&from, &len);

        if (n < 0)
            return false;
        if (n > end->header + 34 && bytes[end->header + 14 + 9] == PROTOCOL &&
            from.sll_pkttype != PACKET_OUTGOING)
            return true;
    }
}

static void hear(const struct end *end)
{
    struct pollfd fd = {.fd = end->fd, .events = POLLIN};

    while (!take(end)) {
        if (poll(&fd, 1, PATIENCE) <= 0) {
            errno = ETIMEDOUT;
            die(end->name);
        }
    }
}

static void say(const struct end *end, const uint8_t *frame, size_t len)
{
    if (write(end->fd, frame, len) != (ssize_t)len)
        die(end->name);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double trip_us(const struct end *a, const struct end *b)
{
    uint8_t there[256], back[256];
    size_t there_len = build(there, a, b, 64), back_len = build(back, b, a, 64);
    double start = seconds();

    for (unsigned i = 0; i < TRIPS; i++) {
        say(a, there, there_len);
        hear(b);
        say(b, back, back_len);
        hear(a);
    }
    return (seconds() - start) / TRIPS * 1e6;
}

static double stream_gbit(const struct end *a, const struct end *b)
{
    uint8_t frame[2048];
    size_t len = build(frame, a, b, 1500);
    unsigned heard = 0;
    double start = seconds();

    for (unsigned i = 0; i < STREAM / BURST; i++) {
        for (unsigned j = 0; j < BURST; j++)
            say(a, frame, len);
        while (take(b))
            heard++;
    }
    return heard * 1514.0 * 8 / (seconds() - start) / 1e9;
}

/* A bridge's port forwards only some time after its tap was opened. */
static void warm_up(const struct end *a, const struct end *b)
{
    uint8_t frame[256];
    size_t len = build(frame, a, b, 64);

    for (unsigned i = 0; i < 100; i++) {
        (void)!write(a->fd, frame, len);
        usleep(50000);
        if (take(b) && i > 4)
            return;
    }
    errno = ETIMEDOUT;
    die("warming up");
}

int main(int argc, char **argv)
{
    struct end ends[2];

    if (argc != 3) {
        errno = EINVAL;
        die("two ends are wanted");
    }
    for (unsigned i = 0; i < 2; i++) {
        split(argv[i + 1], &ends[i]);
        open_end(&ends[i]);
    }
    warm_up(&ends[0], &ends[1]);
    warm_up(&ends[1], &ends[0]);
    while (take(&ends[0]) || take(&ends[1]))
        ;
    for (unsigned i = 0; i < ROUNDS; i++)
        printf("%.3f %.3f\n", trip_us(&ends[0], &ends[1]), stream_gbit(&ends[0], &ends[1]));
    return 0;
}
