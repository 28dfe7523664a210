// SPDX-License-Identifier: Apache-2.0
/*
 * Virtio sockets (virtio 1.2, section 5.10). Options: cid=N what the configuration must say, and
 *
 *   do=out      connect to host port 52, whose program echoes; send it bytes=N, never more than
 *               there is credit for, and get them back, never more than there is credit for
 *   do=in       accept on port 1234 and echo, several connections at a time, until one says "quit"
 *   do=hostile  packets that no driver sends, then do=out
 */
#include "lib/virtio.h"

#define HEADER       44u
#define BUFFER_BYTES 4096u
#define BUFFERS      32u
#define HOST_CID     2u
#define HOST_PORT    52u
#define NO_PORT      53u
#define OUR_PORT     1000u
#define LISTEN_PORT  1234u
#define OUR_BUFFER   8192u
#define TYPE_STREAM  1u
#define WAIT_MS      10000u
#define CHUNK        3000u

enum { REQUEST = 1, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };
enum { SHUT_RECEIVE = 1, SHUT_SEND = 2 };

/* struct virtio_vsock_hdr, 5.10.6. */
struct header {
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port, len;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

struct packet {
    struct header header;
    uint8_t data[BUFFER_BYTES];
};

struct connection {
    uint32_t our_port, host_port;
    uint32_t sent, host_alloc, host_taken;
    uint32_t received, told; /* bytes; of which the host was told that they are out of the way */
};

static struct virtqueue rx, tx, event;
static uint8_t *buffers;
static uint64_t our_cid;
static struct packet in, out;

/* ---- packets ---- */

static bool transmit(void)
{
    uint32_t written;

    return virtq_request(&tx, &(struct part){&out, HEADER + out.header.len, false}, 1, &written) &&
           written == 0;
}

static void prepare(struct connection *c, uint16_t op, uint32_t len)
{
    out.header = (struct header){
        .src_cid = our_cid,
        .dst_cid = HOST_CID,
        .src_port = c->our_port,
        .dst_port = c->host_port,
        .len = len,
        .type = TYPE_STREAM,
        .op = op,
        .buf_alloc = OUR_BUFFER,
        .fwd_cnt = c->received,
    };
    c->told = c->received;
}

static void send_op(struct connection *c, uint16_t op, uint32_t flags)
{
    prepare(c, op, 0);
    out.header.flags = flags;
    if (!transmit())
        give_up("send", "operation %u is not taken", op);
}

static bool any_received(void *arg)
{
    return rx.used[1] != rx.used_index;
}

/* The next packet into `in`; its buffer goes back. */
static bool receive(unsigned milliseconds)
{
    struct used_element element;

    if (!wait_until(any_received, NULL, milliseconds) || !virtq_take(&rx, &element))
        return false;
    if (element.id >= BUFFERS || element.len < HEADER || element.len > BUFFER_BYTES)
        give_up("receive", "used buffer %u of %u bytes", element.id, element.len);
    memcpy(&in, buffers + element.id * BUFFER_BYTES, element.len);
    if (in.header.len != element.len - HEADER || in.header.dst_cid != our_cid)
        give_up("receive", "%u bytes of payload in %u, for CID %U", in.header.len, element.len,
                in.header.dst_cid);
    virtq_offer(&rx, (uint16_t)element.id);
    virtq_kick(&rx);
    return true;
}

/* A packet of this connection; learns what it says of credit, and holds the host to ours. */
static bool receive_for(struct connection *c, unsigned milliseconds)
{
    if (!receive(milliseconds))
        return false;
    if (in.header.dst_port != c->our_port || in.header.src_port != c->host_port)
        give_up("receive", "a packet from port %u to %u", in.header.src_port, in.header.dst_port);
    c->host_alloc = in.header.buf_alloc;
    c->host_taken = in.header.fwd_cnt;
    if (in.header.op == RW) {
        c->received += in.header.len;
        if (c->received - c->told > OUR_BUFFER)
            give_up("credit", "the host sent more than there was room for");
    }
    return true;
}

static void expect(struct connection *c, uint16_t op, const char *name)
{
    bool came = receive_for(c, WAIT_MS);

    if (!check(came && in.header.op == op, name, "operation %u", came ? in.header.op : 0))
        give_up(name, "it makes no sense to go on");
}

/* ---- do=out ---- */

static uint8_t pattern(uint32_t at)
{
    return (uint8_t)(at ^ at >> 8 ^ at >> 16);
}

static void send_pattern(struct connection *c, uint32_t total)
{
    uint32_t credit = c->host_alloc - (c->sent - c->host_taken);
    uint32_t len = CHUNK;

    if (len > credit)
        len = credit;
    if (len > total - c->sent)
        len = total - c->sent;
    prepare(c, RW, len);
    for (uint32_t i = 0; i < len; i++)
        out.data[i] = pattern(c->sent + i);
    if (!transmit())
        give_up("send", "%u bytes are not taken", len);
    c->sent += len;
}

/* Whether the payload in `in`, the last received, is the pattern. */
static bool is_pattern(const struct connection *c)
{
    uint32_t from = c->received - in.header.len;

    for (uint32_t i = 0; i < in.header.len; i++) {
        if (in.data[i] != pattern(from + i))
            return false;
    }
    return true;
}

static void exchange(struct connection *c, uint32_t total)
{
    bool right = true;

    while (c->received < total) {
        bool can_send = c->sent < total && c->sent - c->host_taken < c->host_alloc;

        if (can_send && !any_received(NULL)) {
            send_pattern(c, total);
            continue;
        }
        if (!receive_for(c, WAIT_MS))
            give_up("exchange", "silence after %u bytes out, %u in", c->sent, c->received);
        if (in.header.op == RW)
            right = right && is_pattern(c);
        if (in.header.op == CREDIT_REQUEST || c->received - c->told > OUR_BUFFER / 2)
            send_op(c, CREDIT_UPDATE, 0);
        if (in.header.op == RST || in.header.op == SHUTDOWN)
            give_up("exchange", "it ended after %u bytes out, %u in", c->sent, c->received);
    }
    check(right, "bytes", "what comes back is not what was sent");
}

static void connect_out(void)
{
    struct connection nobody = {.our_port = OUR_PORT, .host_port = NO_PORT};
    struct connection c = {.our_port = OUR_PORT, .host_port = HOST_PORT};

    send_op(&nobody, REQUEST, 0);
    expect(&nobody, RST, "refused where nobody listens");
    send_op(&c, REQUEST, 0);
    expect(&c, RESPONSE, "connected");
    check(c.host_alloc > 0, "buffer", "the host has none");
    exchange(&c, option_number("bytes", 60000));
    send_op(&c, SHUTDOWN, SHUT_SEND);
    /* The host program sees the end, says one more thing, and goes. */
    do {
        if (!receive_for(&c, WAIT_MS))
            give_up("end", "silence");
    } while (in.header.op == CREDIT_UPDATE || in.header.op == CREDIT_REQUEST);
    check(in.header.op == RW && in.header.len == 4 && memcmp(in.data, "done", 4) == 0,
          "half closed", "operation %u, %u bytes", in.header.op, in.header.len);
    do {
        if (!receive_for(&c, WAIT_MS))
            give_up("end", "silence");
    } while (in.header.op != SHUTDOWN || !(in.header.flags & SHUT_SEND));
    check(true, "host ended", "");
    send_op(&c, SHUTDOWN, SHUT_SEND | SHUT_RECEIVE);
    do {
        if (!receive_for(&c, WAIT_MS))
            give_up("end", "silence");
    } while (in.header.op != RST);
    check(true, "closed", "");
}

/* ---- do=in ---- */

static bool echo(struct connection *c)
{
    bool quit = in.header.len == 4 && memcmp(in.data, "quit", 4) == 0;

    c->received += in.header.len;
    memcpy(out.data, in.data, in.header.len);
    prepare(c, RW, in.header.len);
    if (!transmit())
        give_up("echo", "%u bytes are not taken", in.header.len);
    return quit;
}

static void accept_in(void)
{
    static struct connection connections[8]; /* host_port 0: free */
    bool quit = false;
    unsigned i;

    say("listening\n");
    while (!quit) {
        if (!receive(6 * WAIT_MS))
            give_up("accept", "silence");
        for (i = 0; i < COUNT(connections); i++) {
            if (connections[i].host_port == (in.header.op == REQUEST ? 0 : in.header.src_port))
                break;
        }
        if (i == COUNT(connections))
            continue;
        if (in.header.op == REQUEST) {
            connections[i] = (struct connection){.our_port = in.header.dst_port,
                                                 .host_port = in.header.src_port};
            send_op(&connections[i], in.header.dst_port == LISTEN_PORT ? RESPONSE : RST, 0);
            if (in.header.dst_port != LISTEN_PORT)
                connections[i].host_port = 0;
        } else if (in.header.op == RW) {
            quit = echo(&connections[i]);
        } else if (in.header.op == SHUTDOWN) {
            send_op(&connections[i], RST, 0);
            connections[i].host_port = 0;
        } else if (in.header.op == RST) {
            connections[i].host_port = 0;
        }
    }
    check(true, "asked to quit", "");
}

/* ---- do=hostile ---- */

static void drain(void)
{
    while (receive(200))
        ;
}

static void hostile_packets(void)
{
    struct connection c = {.our_port = OUR_PORT, .host_port = HOST_PORT};

    prepare(&c, REQUEST, 0);
    out.header.src_cid = our_cid + 1;
    transmit();
    check(!receive(300), "foreign sender", "it is answered");
    prepare(&c, REQUEST, 0);
    out.header.dst_cid = 77;
    transmit();
    check(receive(WAIT_MS) && in.header.op == RST && in.header.src_cid == 77, "foreign receiver",
          "operation %u", in.header.op);
    prepare(&c, REQUEST, 0);
    out.header.type = 9;
    transmit();
    check(receive(WAIT_MS) && in.header.op == RST && in.header.type == 9, "unknown type",
          "operation %u", in.header.op);
    for (unsigned i = 0; i < 200; i++) {
        prepare(&c, RW, 10);
        out.header.src_port = i;
        transmit();
        receive(WAIT_MS);
        if (in.header.op != RST || in.header.dst_port != i)
            give_up("unknown connection", "number %u", i);
    }
    check(true, "unknown connections", "");
    /* An established one that breaks its word. */
    send_op(&c, REQUEST, 0);
    expect(&c, RESPONSE, "connected to be reset");
    for (unsigned i = 0; i < 400 && in.header.op != RST; i++) {
        prepare(&c, RW, 4000);
        transmit();
        if (any_received(NULL))
            receive(WAIT_MS);
    }
    check(in.header.op == RST || (receive(WAIT_MS) && in.header.op == RST), "credit ignored",
          "operation %u", in.header.op);
    drain();
}

void guest_main(void)
{
    struct virtio *device;

    interrupts_init();
    virtio_scan();
    device = virtio_find(VIRTIO_VSOCK, 0);
    if (!device)
        give_up("device", "there is none");
    if (!virtio_negotiate(device, F_EVENT_IDX) || !virtq_init(&rx, device, 0, BUFFERS) ||
        !virtq_init(&tx, device, 1, 0) || !virtq_init(&event, device, 2, 4) ||
        !virtio_start(device))
        give_up("device", "it does not start");
    our_cid = virtio_read(device, REG_CONFIG);
    check(our_cid == option_number("cid", 3) && virtio_read(device, REG_CONFIG + 4) == 0, "cid",
          "%U", our_cid);
    buffers = allocate(BUFFERS * BUFFER_BYTES, 4096);
    for (unsigned i = 0; i < BUFFERS; i++)
        virtq_add(&rx, &(struct part){buffers + i * BUFFER_BYTES, BUFFER_BYTES, true}, 1);
    virtq_kick(&rx);
    if (option_is("do", "in")) {
        accept_in();
        return;
    }
    if (option_is("do", "hostile"))
        hostile_packets();
    connect_out();
}
