// SPDX-License-Identifier: Apache-2.0
/*
 * A network card (virtio 1.2, section 5.1) and just enough ARP, IPv4 and UDP to talk to the test on
 * the host, 10.99.0.1, which sends back what comes to port 7001, and "flood N" as N datagrams.
 * Options: mac=... and mtu=N what must be in the configuration, pairs=N queue pairs to use.
 */
#include "lib/virtio.h"

#define F_MTU     (1ull << 3)
#define F_MAC     (1ull << 5)
#define F_CTRL_VQ (1ull << 17)
#define F_MQ      (1ull << 22)

#define HEADER       12u /* struct virtio_net_hdr */
#define BUFFER_BYTES 2048u
#define BUFFERS      64u
#define PAIRS_MAX    4u
#define OUR_PORT     7000u
#define HOST_PORT    7001u
#define UDP_AT       (HEADER + 14 + 20)
#define PAYLOAD_AT   (UDP_AT + 8)
#define WAIT_MS      10000u

static const uint8_t our_ip[4] = {10, 99, 0, 2};
static const uint8_t host_ip[4] = {10, 99, 0, 1};
static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static struct virtio *net;
static unsigned pairs;
static struct virtqueue rx[PAIRS_MAX], tx[PAIRS_MAX];
static uint8_t *rx_buffers[PAIRS_MAX];
static uint8_t our_mac[6], host_mac[6];
static bool host_known;

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned big16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* ---- frames ---- */

static bool send_frame(struct virtqueue *queue, const uint8_t *frame, uint32_t len)
{
    uint32_t written;

    return virtq_request(queue, &(struct part){frame, len, false}, 1, &written) && written == 0;
}

static void put_ethernet(uint8_t *frame, const uint8_t *to, unsigned type)
{
    memset(frame, 0, HEADER);
    memcpy(frame + HEADER, to, 6);
    memcpy(frame + HEADER + 6, our_mac, 6);
    put16(frame + HEADER + 12, type);
}

static bool send_arp(unsigned operation, const uint8_t *to)
{
    static uint8_t frame[HEADER + 14 + 28];
    uint8_t *arp = frame + HEADER + 14;

    put_ethernet(frame, to, 0x0806);
    put16(arp, 1);
    put16(arp + 2, 0x0800);
    put16(arp + 4, 0x0604);
    put16(arp + 6, operation);
    memcpy(arp + 8, our_mac, 6);
    memcpy(arp + 14, our_ip, 4);
    memcpy(arp + 18, to, 6);
    memcpy(arp + 24, host_ip, 4);
    return send_frame(&tx[0], frame, sizeof(frame));
}

static bool send_udp(struct virtqueue *queue, const uint8_t *payload, uint32_t len)
{
    static uint8_t frame[BUFFER_BYTES];
    uint8_t *ip = frame + HEADER + 14, *udp = frame + UDP_AT;
    uint32_t sum = 0;

    put_ethernet(frame, host_mac, 0x0800);
    memset(ip, 0, 28);
    ip[0] = 0x45;
    put16(ip + 2, 28 + len);
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, our_ip, 4);
    memcpy(ip + 16, host_ip, 4);
    for (unsigned i = 0; i < 20; i += 2)
        sum += big16(ip + i);
    sum = (sum & 0xffff) + (sum >> 16);
    put16(ip + 10, (unsigned)~(sum + (sum >> 16)) & 0xffff);
    put16(udp, OUR_PORT);
    put16(udp + 2, HOST_PORT);
    put16(udp + 4, 8 + len);
    memcpy(frame + PAYLOAD_AT, payload, len);
    return send_frame(queue, frame, PAYLOAD_AT + len);
}

/* ---- receiving ---- */

static bool any_received(void *arg)
{
    for (unsigned i = 0; i < pairs; i++) {
        if (rx[i].used[1] != rx[i].used_index)
            return true;
    }
    return false;
}

static void handle_arp(const uint8_t *frame)
{
    const uint8_t *arp = frame + HEADER + 14;

    if (memcmp(arp + 14, host_ip, 4) != 0 || memcmp(arp + 24, our_ip, 4) != 0)
        return;
    memcpy(host_mac, arp + 8, 6);
    host_known = true;
    if (big16(arp + 6) == 1)
        send_arp(2, host_mac);
}

/*
 * The next datagram to our port, copied to payload; everything else is handled or ignored on the
 * way. Returns its length, or 0 when none came.
 */
static uint32_t receive(uint8_t *payload, unsigned milliseconds)
{
    while (wait_until(any_received, NULL, milliseconds)) {
        struct used_element element;
        unsigned pair = 0;
        const uint8_t *frame;
        uint32_t len = 0;

        while (!virtq_take(&rx[pair], &element))
            pair++;
        frame = rx_buffers[pair] + element.id * BUFFER_BYTES;
        if (element.len >= HEADER + 42 && big16(frame + HEADER + 12) == 0x0806)
            handle_arp(frame);
        if (element.len > PAYLOAD_AT && big16(frame + HEADER + 12) == 0x0800 &&
            big16(frame + UDP_AT + 2) == OUR_PORT) {
            len = big16(frame + UDP_AT + 4) - 8;
            memcpy(payload, frame + PAYLOAD_AT, len);
        }
        virtq_offer(&rx[pair], (uint16_t)element.id);
        virtq_kick(&rx[pair]);
        if (len > 0)
            return len;
    }
    return 0;
}

/* ---- tests ---- */

static void start(void)
{
    uint64_t features = F_MAC | F_MTU | (pairs > 1 ? F_MQ | F_CTRL_VQ : 0);

    if (!virtio_negotiate(net, features))
        give_up("features", "refused");
    for (unsigned i = 0; i < pairs; i++) {
        if (rx[i].size) {
            virtq_restart(&rx[i]);
            virtq_restart(&tx[i]);
        } else if (!virtq_init(&rx[i], net, 2 * i, BUFFERS) ||
                   !virtq_init(&tx[i], net, 2 * i + 1, 0)) {
            give_up("queues", "pair %u cannot be used", i);
        }
    }
}

static void offer_buffers(void)
{
    for (unsigned i = 0; i < pairs; i++) {
        if (!rx_buffers[i])
            rx_buffers[i] = allocate(BUFFERS * BUFFER_BYTES, 4096);
        for (unsigned k = 0; k < BUFFERS; k++)
            virtq_add(&rx[i], &(struct part){rx_buffers[i] + k * BUFFER_BYTES, BUFFER_BYTES, true},
                      1);
        virtq_kick(&rx[i]);
    }
}

static void use_all_pairs(void)
{
    static const uint8_t command[2] = {4, 0}; /* VIRTIO_NET_CTRL_MQ, VQ_PAIRS_SET */
    static struct virtqueue control;
    uint16_t number = (uint16_t)pairs;
    uint16_t max = mmio_read16(net->base + REG_CONFIG + 8);
    uint8_t ack = 0xff;
    struct part parts[] = {{command, 2, false}, {&number, 2, false}, {&ack, 1, true}};
    uint32_t written;

    check(max == pairs, "queue pairs", "%u", max);
    if (!virtq_init(&control, net, 2u * max, 0) || !virtio_start(net))
        give_up("control queue", "cannot be used");
    check(virtq_request(&control, parts, 3, &written) && ack == 0, "use all pairs", "ack %u", ack);
    number = (uint16_t)(max + 1);
    check(virtq_request(&control, parts, 3, &written) && ack == 1, "more pairs than there are",
          "ack %u", ack);
}

static void configuration(void)
{
    static const char hex[] = "0123456789abcdef";
    const char *expected = option("mac");

    for (unsigned i = 0; i < 6; i++) {
        our_mac[i] = mmio_read8(net->base + REG_CONFIG + i);
        if (expected && (expected[3 * i] != hex[our_mac[i] >> 4] ||
                         expected[3 * i + 1] != hex[our_mac[i] & 0xf]))
            check(false, "mac address", "byte %u is 0x%x", i, our_mac[i]);
    }
    check(!(our_mac[0] & 1), "mac address is one station's", "0x%x", our_mac[0]);
    if (option("mtu"))
        check(mmio_read16(net->base + REG_CONFIG + 10) == option_number("mtu", 0), "mtu", "%u",
              mmio_read16(net->base + REG_CONFIG + 10));
}

static void find_host(void)
{
    uint8_t payload[BUFFER_BYTES];

    for (unsigned i = 0; i < 20 && !host_known; i++) {
        if (!check(send_arp(1, broadcast), "send arp request", "it does not come back"))
            return;
        receive(payload, 200);
    }
    if (!host_known)
        give_up("arp", "no answer");
}

static bool echoed(struct virtqueue *queue, uint32_t len, unsigned seed)
{
    static uint8_t out[BUFFER_BYTES], back[BUFFER_BYTES];

    for (uint32_t i = 0; i < len; i++)
        out[i] = (uint8_t)(seed * 31 + i * 7);
    if (!send_udp(queue, out, len))
        return false;
    /* What is left of a flood may come first. */
    for (;;) {
        uint32_t received = receive(back, WAIT_MS);

        if (received == 0)
            return false;
        if (received == len && memcmp(out, back, len) == 0)
            return true;
    }
}

static void echo_sizes(void)
{
    static const uint16_t sizes[] = {1, 17, 18, 19, 512, 1000, 1471, 1472};
    unsigned most = option_number("mtu", 1500) - 28;

    for (unsigned i = 0; i < COUNT(sizes); i++) {
        unsigned size = sizes[i] < most ? sizes[i] : most;

        check(echoed(&tx[i % pairs], size, i), "udp echo", "no answer of %u bytes", size);
    }
    for (unsigned i = 0; i < 200; i++) {
        if (!echoed(&tx[i % pairs], 100, i)) {
            check(false, "200 echoes", "number %u is lost", i);
            return;
        }
    }
    check(true, "200 echoes", "");
}

/* Far more than there are buffers while nobody takes them: afterwards traffic goes on. */
static void receive_freeze(void)
{
    static const char command[] = "flood 3000";
    static uint8_t payload[BUFFER_BYTES];
    unsigned received = 0;

    for (unsigned round = 0; round < 2; round++) {
        if (!check(send_udp(&tx[0], (const uint8_t *)command, sizeof(command) - 1),
                   "ask for a flood", "not sent"))
            return;
        sleep_ms(600);
        while (receive(payload, 300))
            received++;
        check(received > BUFFERS, "packets of the flood", "only %u", received);
        check(echoed(&tx[0], 64, 99 + round), "echo after a flood", "traffic stands still");
    }
}

/* Reset with packets arriving, then start anew. */
static void restart(void)
{
    static const char command[] = "flood 500";
    static uint8_t payload[BUFFER_BYTES];

    send_udp(&tx[0], (const uint8_t *)command, sizeof(command) - 1);
    virtio_reset(net);
    start();
    if (!virtio_start(net))
        give_up("restart", "needs a reset");
    offer_buffers();
    while (receive(payload, 300))
        ;
    check(echoed(&tx[0], 64, 77), "echo after a reset", "no answer");
}

void guest_main(void)
{
    interrupts_init();
    virtio_scan();
    net = virtio_find(VIRTIO_NET, 0);
    if (!net)
        give_up("net", "none");
    pairs = option_number("pairs", 1);
    start();
    if (pairs > 1)
        use_all_pairs();
    else
        check(virtio_start(net), "start", "needs a reset");
    configuration();
    offer_buffers();
    find_host();
    echo_sizes();
    receive_freeze();
    if (pairs == 1)
        restart();
    check(virtio_interrupted(net), "interrupts", "none");
}
