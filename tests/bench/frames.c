// SPDX-License-Identifier: Apache-2.0
/*
 * Frames between two ends on this host, as two guests would exchange them: for pod_network.py.
 *
 *     frames END END     END: KIND,NETNS,NAME,MAC,IPV4,IPV6
 *
 * KIND is tap (NAME is an interface), file (NAME is a macvtap's device) or packet (a packet socket
 * on an interface); NETNS a file, or nothing. All have virtio's header before each frame, and take
 * and give segments that are still to be cut. Prints, for each of some rounds and for either IP,
 * the microseconds of a round trip of 64 bytes, the Gbit/s of frames of 1500 bytes one way, and
 * those of TCP segments of 62 KiB.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
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

#define ROUNDS       9
#define TRIPS        4000
#define STREAM       20000
#define SEGMENTS     4000
#define BURST        64 /* frames, less than a tap's queue */
#define VNET_BYTES   sizeof(struct virtio_net_hdr)
#define ETHER_BYTES  14
#define TCP_BYTES    20
#define SEGMENT      1400 /* bytes of a TCP segment when it is cut */
#define SEGMENT_CUTS 44
#define FRAME_MAX    (64 << 10)
#define PATIENCE     5000
#define PROTOCOL     253 /* for experiments: RFC 3692 */

struct end {
    char *kind, *netns, *name, *mac, *ip, *ip6;
    int fd;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void split(char *text, struct end *end)
{
    char **parts[] = {&end->kind, &end->netns, &end->name, &end->mac, &end->ip, &end->ip6};

    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        *parts[i] = strsep(&text, ",");
        if (!*parts[i])
            die("an end has six parts");
    }
}

static int open_packet(const char *name)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(name)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL)), size = 64 << 20, on = 1;

    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)))
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
    if (fd < 0 || (!file && ioctl(fd, TUNSETIFF, &request)) ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
        die(end->name);
    return fd;
}

static void open_end(struct end *end)
{
    int here = open("/proc/self/ns/net", O_RDONLY), there;

    if (end->netns[0] && ((there = open(end->netns, O_RDONLY)) < 0 || setns(there, CLONE_NEWNET)))
        die(end->netns);
    end->fd = strcmp(end->kind, "packet") ? open_tap(end) : open_packet(end->name);
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

static uint16_t fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)(sum + (sum >> 16));
}

static uint32_t add_words(uint32_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i += 2)
        sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
    return sum;
}

static void put_word(uint8_t *out, unsigned value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

static bool is_six(int family)
{
    return family == AF_INET6;
}

static size_t ip_bytes(int family)
{
    return is_six(family) ? 40 : 20;
}

static void put_addresses(uint8_t *out, const struct end *from, const struct end *to, int family)
{
    if (inet_pton(family, is_six(family) ? from->ip6 : from->ip, out) != 1 ||
        inet_pton(family, is_six(family) ? to->ip6 : to->ip, out + (is_six(family) ? 16 : 4)) != 1)
        die("an address");
}

/* `bytes`: with its header. */
static void put_ip(uint8_t *ip, const struct end *from, const struct end *to, int family,
                   size_t bytes, uint8_t protocol)
{
    if (is_six(family)) {
        ip[0] = 0x60;
        put_word(ip + 4, (unsigned)(bytes - ip_bytes(family)));
        ip[6] = protocol;
        ip[7] = 64;
        put_addresses(ip + 8, from, to, family);
        return;
    }
    ip[0] = 0x45;
    put_word(ip + 2, (unsigned)bytes);
    ip[8] = 64;
    ip[9] = protocol;
    put_addresses(ip + 12, from, to, family);
    put_word(ip + 10, (uint16_t)~fold(add_words(0, ip, 20)));
}

/* A frame whose IP packet is of `bytes`; its length, with the header before it. */
static size_t build(uint8_t *out, const struct end *from, const struct end *to, int family,
                    size_t bytes, uint8_t protocol)
{
    uint8_t *frame = out + VNET_BYTES;

    memset(out, 0, VNET_BYTES + ETHER_BYTES + bytes);
    put_mac(frame, to->mac);
    put_mac(frame + 6, from->mac);
    put_word(frame + 12, is_six(family) ? 0x86dd : 0x0800);
    put_ip(frame + ETHER_BYTES, from, to, family, bytes, protocol);
    return VNET_BYTES + ETHER_BYTES + bytes;
}

/* One that the next who needs it is to cut (virtio 1.2, 5.1.6.2): the checksum is that of the
 * pseudo header. */
static size_t build_segment(uint8_t *out, const struct end *from, const struct end *to, int family)
{
    const size_t head = ip_bytes(family) + TCP_BYTES;
    const size_t bytes = head + (size_t)SEGMENT * SEGMENT_CUTS;
    size_t len = build(out, from, to, family, bytes, IPPROTO_TCP);
    uint8_t *ip = out + VNET_BYTES + ETHER_BYTES, *tcp = ip + ip_bytes(family);
    struct virtio_net_hdr header = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = is_six(family) ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
        .hdr_len = (uint16_t)(ETHER_BYTES + head),
        .gso_size = SEGMENT,
        .csum_start = (uint16_t)(ETHER_BYTES + ip_bytes(family)),
        .csum_offset = 16,
    };
    uint32_t sum = add_words(IPPROTO_TCP + (uint32_t)(bytes - ip_bytes(family)),
                             ip + (is_six(family) ? 8 : 12), is_six(family) ? 32 : 8);

    memcpy(out, &header, sizeof(header));
    put_word(tcp, 1);
    put_word(tcp + 2, 2);
    tcp[12] = TCP_BYTES / 4 << 4;
    tcp[13] = 0x10; /* ACK */
    put_word(tcp + 16, fold(sum));
    return len;
}

static bool is_ours(const uint8_t *frame)
{
    uint8_t protocol = frame[12] == 8 ? frame[ETHER_BYTES + 9] : frame[ETHER_BYTES + 6];

    return protocol == PROTOCOL || protocol == IPPROTO_TCP;
}

/* The bytes of one of our frames, if one was there; others are passed over. */
static size_t take(const struct end *end)
{
    static uint8_t bytes[VNET_BYTES + FRAME_MAX];
    bool packet = !strcmp(end->kind, "packet");

    for (;;) {
        struct sockaddr_ll from = {.sll_pkttype = 0};
        socklen_t len = sizeof(from);
        ssize_t n = packet
                        ? recvfrom(end->fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len)
                        : read(end->fd, bytes, sizeof(bytes));

        if (n < 0)
            return 0;
        if ((size_t)n > VNET_BYTES + 54 && is_ours(bytes + VNET_BYTES) &&
            from.sll_pkttype != PACKET_OUTGOING)
            return (size_t)n - VNET_BYTES;
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

static double trip_us(const struct end *a, const struct end *b, int family)
{
    uint8_t there[256], back[256];
    size_t there_len = build(there, a, b, family, 64, PROTOCOL);
    size_t back_len = build(back, b, a, family, 64, PROTOCOL);
    double start = seconds();

    for (unsigned i = 0; i < TRIPS; i++) {
        say(a, there, there_len);
        hear(b);
        say(b, back, back_len);
        hear(a);
    }
    return (seconds() - start) / TRIPS * 1e6;
}

static double stream_gbit(const struct end *a, const struct end *b, const uint8_t *frame,
                          size_t len, unsigned count)
{
    double heard = 0, start = seconds();

    for (unsigned i = 0; i < count / BURST; i++) {
        size_t bytes;

        for (unsigned j = 0; j < BURST; j++)
            say(a, frame, len);
        while ((bytes = take(b))) {
            if (bytes != len - VNET_BYTES) {
                errno = EMSGSIZE;
                die("a frame has been cut");
            }
            heard += (double)bytes;
        }
    }
    return heard * 8 / (seconds() - start) / 1e9;
}

static void measure(const struct end *a, const struct end *b, int family)
{
    static uint8_t frame[VNET_BYTES + FRAME_MAX];
    double trip = trip_us(a, b, family), frames;
    size_t len = build(frame, a, b, family, 1500, PROTOCOL);

    frames = stream_gbit(a, b, frame, len, STREAM);
    len = build_segment(frame, a, b, family);
    printf("%.3f %.3f %.3f ", trip, frames, stream_gbit(a, b, frame, len, SEGMENTS));
}

/* A bridge's port forwards only some time after its tap was opened. */
static void warm_up(const struct end *a, const struct end *b)
{
    uint8_t frame[256];
    size_t len = build(frame, a, b, AF_INET, 64, PROTOCOL);

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
    for (unsigned i = 0; i < ROUNDS; i++) {
        measure(&ends[0], &ends[1], AF_INET);
        measure(&ends[0], &ends[1], AF_INET6);
        printf("\n");
    }
    return 0;
}
