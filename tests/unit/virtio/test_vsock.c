// SPDX-License-Identifier: Apache-2.0
/* virtio-vsock between a driver that writes packets by hand and host programs (virtio 1.2, 5.10).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/io.h"
#include "tests/harness/vsock_fixture.h"

#define GUEST_PORT 1000u
#define HOST_PORT  52u
#define BUFFERS    32u

static struct vsock_fixture f;
static struct vsock_packet p;

static int setup(void **state)
{
    vsock_fixture_init(&f);
    vsock_fixture_start(&f, BUFFERS);
    return 0;
}

static int teardown(void **state)
{
    vsock_fixture_release(&f);
    return 0;
}

static uint32_t connections(void)
{
    struct virtio_vsock_stats stats;

    virtio_vsock_read_stats(f.device, &stats);
    return stats.connections;
}

static void assert_no_packet(void)
{
    if (vsock_fixture_receive(&f, &p))
        fail_msg("unexpected packet: op %u, flags %u, %u bytes", p.op, p.flags, p.len);
}

/* The next packet is `op` of the connection, with a header that is right in all else. */
static void expect(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
    assert_true(vsock_fixture_receive(&f, &p));
    assert_int_equal(p.op, op);
    assert_int_equal(p.src_cid, VSOCK_HOST_CID);
    assert_int_equal(p.dst_cid, VSOCK_FIXTURE_CID);
    assert_int_equal(p.src_port, host_port);
    assert_int_equal(p.dst_port, guest_port);
    assert_int_equal(p.type, VIRTIO_VSOCK_TYPE_STREAM);
    assert_int_equal(p.used_bytes, VSOCK_HEADER_BYTES + p.len);
    if (op != VIRTIO_VSOCK_OP_RST)
        assert_int_equal(p.buf_alloc, VSOCK_BUFFER_BYTES);
    if (op != VIRTIO_VSOCK_OP_RW)
        assert_int_equal(p.len, 0);
}

static void expect_data(uint32_t guest_port, uint32_t host_port, const char *text)
{
    expect(VIRTIO_VSOCK_OP_RW, guest_port, host_port);
    assert_int_equal(p.len, strlen(text));
    assert_memory_equal(p.data, text, p.len);
}

static void assert_read(int fd, const char *text)
{
    char bytes[256];

    surroundings_settle(&f.s);
    assert_int_equal(recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT), strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

static void assert_open_and_silent(int fd)
{
    char byte;

    surroundings_settle(&f.s);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static void assert_ended(int fd)
{
    char byte;

    surroundings_settle(&f.s);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

static void host_writes(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The guest connects to a program that listens on HOST_PORT: the program's end. */
static int guest_connects_with(uint32_t buf_alloc)
{
    struct vsock_packet *request = vsock_packet(VIRTIO_VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
    int listener = vsock_fixture_listen(&f, HOST_PORT), fd;

    request->buf_alloc = buf_alloc;
    vsock_fixture_send(&f, request);
    expect(VIRTIO_VSOCK_OP_RESPONSE, GUEST_PORT, HOST_PORT);
    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fd >= 0);
    close_fd(&listener);
    return fd;
}

static int guest_connects(void)
{
    return guest_connects_with(1u << 30);
}

static void guest_writes(const char *text)
{
    vsock_fixture_send_data(&f, GUEST_PORT, HOST_PORT, text, (uint32_t)strlen(text));
}

static void guest_shuts_down(uint32_t flags)
{
    struct vsock_packet *packet = vsock_packet(VIRTIO_VSOCK_OP_SHUTDOWN, GUEST_PORT, HOST_PORT);

    packet->flags = flags;
    vsock_fixture_send(&f, packet);
}

static void update_credit(uint32_t buf_alloc, uint32_t fwd_cnt)
{
    struct vsock_packet *packet =
        vsock_packet(VIRTIO_VSOCK_OP_CREDIT_UPDATE, GUEST_PORT, HOST_PORT);

    packet->buf_alloc = buf_alloc;
    packet->fwd_cnt = fwd_cnt;
    vsock_fixture_send(&f, packet);
}

/* A program asks for the guest's GUEST_PORT; *host_port is what the request says. */
static int host_requests(const char *line, uint32_t *host_port)
{
    int fd = vsock_fixture_connect(&f);

    host_writes(fd, line);
    assert_true(vsock_fixture_receive(&f, &p));
    *host_port = p.src_port;
    assert_int_equal(p.op, VIRTIO_VSOCK_OP_REQUEST);
    assert_int_equal(p.dst_port, GUEST_PORT);
    assert_int_equal(p.buf_alloc, VSOCK_BUFFER_BYTES);
    return fd;
}

/* ---- what it is ---- */

static void test_identity(void **state)
{
    uint8_t config[8];

    assert_int_equal(f.device->id, VIRTIO_ID_VSOCK);
    assert_int_equal(f.device->queue_count, 3);
    virtio_device_config_read(f.device, 0, config, 8);
    assert_int_equal(get_le64(config), VSOCK_FIXTURE_CID);
    virtio_device_config_read(f.device, 4, config, 4);
    assert_int_equal(get_le32(config), 0);
    assert_true(virtio_device_offered(f.device, 0) & 1); /* VIRTIO_VSOCK_F_STREAM */
}

/* ---- the guest asks ---- */

static void test_guest_connects(void **state)
{
    int fd = guest_connects();

    assert_int_equal(connections(), 1);
    guest_writes("hello");
    assert_read(fd, "hello");
    host_writes(fd, "world");
    expect_data(GUEST_PORT, HOST_PORT, "world");
    assert_int_equal(p.fwd_cnt, 5);
    close_fd(&fd);
}

static void test_nobody_listens(void **state)
{
    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
    expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    assert_int_equal(connections(), 0);
}

static void test_second_request_resets(void **state)
{
    int fd = guest_connects();

    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_REQUEST, GUEST_PORT, HOST_PORT);
    expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    assert_ended(fd);
    assert_int_equal(connections(), 0);
    close_fd(&fd);
}

/* Descriptors wherever the driver likes, also inside the header (2.7.4). */
static void test_any_layout(void **state)
{
    int fd = guest_connects();
    struct vsock_packet *packet = vsock_packet(VIRTIO_VSOCK_OP_RW, GUEST_PORT, HOST_PORT);

    packet->len = 6;
    memcpy(packet->data, "abcdef", 6);
    vsock_fixture_put(&f, packet);
    ring_set_avail_idx(&f.rings[VSOCK_TX], (uint16_t)(f.rings[VSOCK_TX].next_avail - 1));
    for (unsigned i = 0; i < 5; i++) { /* 50 bytes in five parts */
        ring_descriptor(&f.rings[VSOCK_TX], 20 + i, 0x200000u + 0x11000u + 10 * i, 10,
                        i < 4 ? VRING_DESC_F_NEXT : 0, (uint16_t)(21 + i));
    }
    ring_expose(&f.rings[VSOCK_TX], 20);
    virtio_device_kick(f.device, VSOCK_TX);
    assert_read(fd, "abcdef");
    close_fd(&fd);
}

/* ---- a host program asks ---- */

static void test_host_connects(void **state)
{
    uint32_t port;
    int fd = host_requests("CONNECT 1000\nearly", &port);

    assert_true(port >= 0x40000000u);
    assert_open_and_silent(fd);
    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_RESPONSE, GUEST_PORT, port);
    expect_data(GUEST_PORT, port, "early");
    vsock_fixture_send_data(&f, GUEST_PORT, port, "first", 5);
    {
        char line[40];

        snprintf(line, sizeof(line), "OK %u\nfirst", port);
        assert_read(fd, line);
    }
    host_writes(fd, "later");
    expect_data(GUEST_PORT, port, "later");
    assert_int_equal(p.fwd_cnt, 5); /* the line is not the guest's */
    close_fd(&fd);
}

static void test_guest_refuses(void **state)
{
    uint32_t port;
    int fd = host_requests("CONNECT 1000\n", &port);

    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_RST, GUEST_PORT, port);
    assert_ended(fd);
    assert_no_packet();
    assert_int_equal(connections(), 0);
    close_fd(&fd);
}

static void test_host_gives_up(void **state)
{
    uint32_t port;
    int fd = host_requests("CONNECT 1000\n", &port);

    close_fd(&fd);
    expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, port);
    assert_int_equal(connections(), 0);
}

/* A program that has said all that it has to say, and waits. */
static void test_host_half_closes_early(void **state)
{
    uint32_t port;
    int fd = host_requests("CONNECT 1000\nask", &port);

    shutdown(fd, SHUT_WR);
    assert_no_packet();
    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_RESPONSE, GUEST_PORT, port);
    expect_data(GUEST_PORT, port, "ask");
    expect(VIRTIO_VSOCK_OP_SHUTDOWN, GUEST_PORT, port);
    assert_int_equal(p.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
    vsock_fixture_send_data(&f, GUEST_PORT, port, "answer", 6);
    {
        char line[40];

        snprintf(line, sizeof(line), "OK %u\nanswer", port);
        assert_read(fd, line);
    }
    close_fd(&fd);
}

static void test_no_driver(void **state)
{
    int fd;

    virtio_device_set_status(f.device, 0);
    fd = vsock_fixture_connect(&f);
    host_writes(fd, "CONNECT 1000\n");
    assert_ended(fd);
    close_fd(&fd);
}

/* ---- endings ---- */

static void test_host_ends_output(void **state)
{
    int fd = guest_connects();

    host_writes(fd, "last");
    shutdown(fd, SHUT_WR);
    expect_data(GUEST_PORT, HOST_PORT, "last");
    expect(VIRTIO_VSOCK_OP_SHUTDOWN, GUEST_PORT, HOST_PORT);
    assert_int_equal(p.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
    guest_writes("still");
    assert_read(fd, "still");
    guest_shuts_down(VSOCK_SHUTDOWN_BOTH);
    expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    assert_ended(fd);
    assert_int_equal(connections(), 0);
    close_fd(&fd);
}

static void test_host_closes(void **state)
{
    int fd = guest_connects();

    host_writes(fd, "last");
    close_fd(&fd);
    expect_data(GUEST_PORT, HOST_PORT, "last");
    expect(VIRTIO_VSOCK_OP_SHUTDOWN, GUEST_PORT, HOST_PORT);
    assert_int_equal(p.flags, VSOCK_SHUTDOWN_BOTH);
    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    assert_int_equal(connections(), 0);
    assert_no_packet();
}

/* It wrote more than the guest has room for, and went: that nobody reads is not kept from the guest
 * until it has read everything itself. */
static void test_host_closes_without_credit(void **state)
{
    int fd = guest_connects_with(2);

    host_writes(fd, "last");
    close_fd(&fd);
    expect_data(GUEST_PORT, HOST_PORT, "la");
    for (unsigned i = 0; i < 2; i++) {
        assert_true(vsock_fixture_receive(&f, &p));
        if (p.op == VIRTIO_VSOCK_OP_SHUTDOWN)
            assert_int_equal(p.flags, VIRTIO_VSOCK_SHUTDOWN_RCV);
        else
            assert_int_equal(p.op, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    }
    update_credit(2, 2);
    expect_data(GUEST_PORT, HOST_PORT, "st");
    expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, HOST_PORT);
    update_credit(2, 4);
    expect(VIRTIO_VSOCK_OP_SHUTDOWN, GUEST_PORT, HOST_PORT);
    assert_int_equal(p.flags, VSOCK_SHUTDOWN_BOTH);
}

/* It did not read what the guest sent: that is no orderly end. */
static void test_host_resets(void **state)
{
    int fd = guest_connects();

    guest_writes("unread");
    close_fd(&fd);
    for (;;) {
        assert_true(vsock_fixture_receive(&f, &p));
        if (p.op == VIRTIO_VSOCK_OP_RST)
            break;
        assert_int_equal(p.op, VIRTIO_VSOCK_OP_SHUTDOWN);
        assert_int_equal(p.flags, VIRTIO_VSOCK_SHUTDOWN_RCV);
    }
    assert_int_equal(connections(), 0);
}

static void test_guest_ends_output(void **state)
{
    int fd = guest_connects();

    guest_writes("last");
    guest_shuts_down(VIRTIO_VSOCK_SHUTDOWN_SEND);
    assert_read(fd, "last");
    assert_ended(fd);
    host_writes(fd, "still");
    expect_data(GUEST_PORT, HOST_PORT, "still");
    /* Bytes after the end are a violation. */
    guest_writes("more");
    expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    assert_int_equal(connections(), 0);
    close_fd(&fd);
}

static void test_guest_takes_no_more(void **state)
{
    int fd = guest_connects();

    guest_shuts_down(VIRTIO_VSOCK_SHUTDOWN_RCV);
    assert_no_packet();
    assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    guest_writes("still");
    assert_read(fd, "still");
    /* The bits add up (5.10.6.5). */
    guest_shuts_down(VIRTIO_VSOCK_SHUTDOWN_SEND);
    expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    close_fd(&fd);
}

static void test_guest_resets(void **state)
{
    int fd = guest_connects();

    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    assert_ended(fd);
    assert_no_packet();
    assert_int_equal(connections(), 0);
    close_fd(&fd);
}

/* ---- credit ---- */

static uint8_t pattern(uint32_t at)
{
    return (uint8_t)(at ^ at >> 8 ^ at >> 16);
}

/* `len` bytes of the pattern from *sent on; the fwd_cnt that the device then knows of. */
static void send_pattern(uint32_t *sent, uint32_t len)
{
    struct vsock_packet *packet = vsock_packet(VIRTIO_VSOCK_OP_RW, GUEST_PORT, HOST_PORT);

    packet->len = len;
    for (uint32_t i = 0; i < len; i++)
        packet->data[i] = pattern(*sent + i);
    *sent += len;
    vsock_fixture_send(&f, packet);
}

/* Ask; packets that come before the answer are passed over. */
static uint32_t ask_credit(void)
{
    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, HOST_PORT);
    assert_true(vsock_fixture_receive(&f, &p));
    while (ring_used_idx(&f.rings[VSOCK_RX]) != f.rings[VSOCK_RX].next_used)
        vsock_fixture_receive(&f, &p);
    assert_int_equal(p.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    return p.fwd_cnt;
}

/* Send until the host program's side is full: the socket, and the whole of our buffer. */
static uint32_t fill_up(void)
{
    uint32_t sent = 0;

    while (sent - ask_credit() < VSOCK_BUFFER_BYTES) {
        uint32_t room = VSOCK_BUFFER_BYTES - (sent - p.fwd_cnt);

        send_pattern(&sent, room < 4000 ? room : 4000);
    }
    return sent;
}

static void assert_reads_pattern(int fd, uint32_t from, uint32_t to)
{
    static uint8_t bytes[10000];

    while (from < to) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        assert_true(n > 0 && (uint32_t)n <= to - from);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(bytes[i], pattern(from + (uint32_t)i));
        from += (uint32_t)n;
        surroundings_settle(&f.s);
    }
}

static void test_slow_host(void **state)
{
    int fd = guest_connects();
    uint32_t sent = fill_up();

    assert_reads_pattern(fd, 0, sent);
    assert_open_and_silent(fd);
    assert_int_equal(ask_credit(), sent);
    /* Nothing was lost or sent twice, and it goes on. */
    send_pattern(&sent, 1000);
    assert_reads_pattern(fd, sent - 1000, sent);
    close_fd(&fd);
}

static void test_guest_hears_of_room(void **state)
{
    int fd = guest_connects();
    uint32_t sent = fill_up();

    assert_no_packet();
    assert_reads_pattern(fd, 0, sent);
    assert_true(vsock_fixture_receive(&f, &p)); /* without having asked */
    assert_int_equal(p.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    close_fd(&fd);
}

static void test_guest_ignores_credit(void **state)
{
    int fd = guest_connects();
    uint32_t sent = fill_up();

    send_pattern(&sent, 1);
    expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    assert_int_equal(connections(), 0);
    close_fd(&fd);
}

static void test_host_gets_last_bytes_of_closed_guest(void **state)
{
    int fd = guest_connects();
    uint32_t sent = fill_up();

    guest_shuts_down(VSOCK_SHUTDOWN_BOTH);
    assert_no_packet(); /* not confirmed before all is delivered */
    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT); /* it did not wait */
    assert_int_equal(connections(), 1);
    virtio_device_set_status(f.device, 0); /* nor did its driver */
    assert_reads_pattern(fd, 0, sent);
    assert_ended(fd);
    assert_int_equal(connections(), 0);
    close_fd(&fd);
}

static void test_shutdown_waits_for_delivery(void **state)
{
    int fd = guest_connects();
    uint32_t sent = fill_up();

    guest_shuts_down(VSOCK_SHUTDOWN_BOTH);
    assert_no_packet();
    assert_reads_pattern(fd, 0, sent);
    assert_ended(fd);
    while (vsock_fixture_receive(&f, &p) && p.op != VIRTIO_VSOCK_OP_RST)
        ;
    assert_int_equal(p.op, VIRTIO_VSOCK_OP_RST);
    close_fd(&fd);
}

static void test_guest_credit_is_kept(void **state)
{
    int fd = guest_connects_with(5);

    host_writes(fd, "0123456789");
    expect_data(GUEST_PORT, HOST_PORT, "01234");
    expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, HOST_PORT);
    assert_no_packet(); /* and asks once only */
    update_credit(5, 0);
    assert_no_packet();
    update_credit(5, 3);
    expect_data(GUEST_PORT, HOST_PORT, "567");
    expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, HOST_PORT);
    update_credit(2, 8); /* the buffer may shrink */
    expect_data(GUEST_PORT, HOST_PORT, "89");
    close_fd(&fd);
}

/* Counters that cannot be: no payload, and no harm. */
static void test_impossible_credit(void **state)
{
    int fd = guest_connects_with(5);

    host_writes(fd, "0123456789");
    expect_data(GUEST_PORT, HOST_PORT, "01234");
    expect(VIRTIO_VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, HOST_PORT);
    update_credit(5, 4000000000u);
    assert_no_packet();
    update_credit(0, 6); /* one more than was ever sent */
    assert_no_packet();
    update_credit(1u << 30, 5);
    expect_data(GUEST_PORT, HOST_PORT, "56789");
    close_fd(&fd);
}

/* ---- violations ---- */

static void test_foreign_sender(void **state)
{
    struct vsock_packet *packet = vsock_packet(VIRTIO_VSOCK_OP_REQUEST, 1, 2);

    packet->src_cid = 3;
    vsock_fixture_send(&f, packet);
    assert_no_packet();
    assert_int_equal(f.s.log_lines, 1);
    packet->src_cid = VSOCK_FIXTURE_CID | 1ull << 32;
    vsock_fixture_send(&f, packet);
    assert_no_packet();
}

static void test_foreign_receiver(void **state)
{
    struct vsock_packet *packet = vsock_packet(VIRTIO_VSOCK_OP_REQUEST, 1, HOST_PORT);
    int listener = vsock_fixture_listen(&f, HOST_PORT);

    packet->dst_cid = 3;
    vsock_fixture_send(&f, packet);
    assert_true(vsock_fixture_receive(&f, &p));
    assert_int_equal(p.op, VIRTIO_VSOCK_OP_RST);
    assert_int_equal(p.src_cid, 3);
    assert_int_equal(p.dst_port, 1);
    assert_int_equal(connections(), 0);
    close_fd(&listener);
}

static void test_unknown_type(void **state)
{
    struct vsock_packet *packet;
    int fd = guest_connects();

    packet = vsock_packet(VIRTIO_VSOCK_OP_RW, GUEST_PORT, HOST_PORT);
    packet->type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    vsock_fixture_send(&f, packet);
    assert_true(vsock_fixture_receive(&f, &p));
    assert_int_equal(p.op, VIRTIO_VSOCK_OP_RST);
    assert_int_equal(p.type, VIRTIO_VSOCK_TYPE_SEQPACKET);
    assert_int_equal(connections(), 1); /* the stream is another socket */
    close_fd(&fd);
}

static void test_unknown_connection(void **state)
{
    vsock_fixture_send_data(&f, 7, 8, "x", 1);
    expect(VIRTIO_VSOCK_OP_RST, 7, 8);
    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_RST, 7, 8); /* is not answered by another */
    assert_no_packet();
}

static void test_unknown_operation(void **state)
{
    static const uint16_t bad[] = {VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_RESPONSE, 8, 0xffff};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char path[100];
        int fd = guest_connects();

        vsock_fixture_send_op(&f, bad[i], GUEST_PORT, HOST_PORT);
        expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
        assert_ended(fd);
        close_fd(&fd);
        snprintf(path, sizeof(path), "%s_%u", f.path, HOST_PORT);
        unlink(path);
    }
}

static void test_before_response(void **state)
{
    static const uint16_t bad[] = {VIRTIO_VSOCK_OP_RW, VIRTIO_VSOCK_OP_SHUTDOWN,
                                   VIRTIO_VSOCK_OP_CREDIT_UPDATE, VIRTIO_VSOCK_OP_REQUEST};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint32_t port;
        int fd = host_requests("CONNECT 1000\n", &port);

        vsock_fixture_send_op(&f, bad[i], GUEST_PORT, port);
        expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, port);
        assert_ended(fd);
        close_fd(&fd);
    }
}

/* A header alone, of which `bytes` are in the chain, that promises `len` bytes. */
static void send_cut(uint32_t bytes, uint32_t len)
{
    struct vsock_packet *packet = vsock_packet(VIRTIO_VSOCK_OP_RW, GUEST_PORT, HOST_PORT);
    struct ring_driver *ring = &f.rings[VSOCK_TX];

    vsock_fixture_put(&f, packet);
    put_le32(guest_bytes(f.s.memory, 0x200000u + (f.next_tx - 1u) % 16 * 0x11000u + 24, 4), len);
    ring_set_avail_idx(ring, (uint16_t)(ring->next_avail - 1));
    ring_add(ring, 40, 0x200000u + (f.next_tx - 1u) % 16 * 0x11000u, bytes, 0);
    virtio_device_kick(f.device, VSOCK_TX);
    surroundings_settle(&f.s);
}

static void test_short_chains(void **state)
{
    int fd = guest_connects();

    send_cut(43, 0);
    assert_no_packet();
    assert_int_equal(connections(), 1);
    send_cut(44 + 10, 10);
    assert_no_packet();
    send_cut(44 + 10, 11);
    expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    close_fd(&fd);
}

static void test_huge_length(void **state)
{
    int fd = guest_connects();

    send_cut(44, UINT32_MAX);
    expect(VIRTIO_VSOCK_OP_RST, GUEST_PORT, HOST_PORT);
    close_fd(&fd);
}

static void assert_needs_reset(void)
{
    assert_true(virtio_device_status(f.device) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_receive_buffer_without_room(void **state)
{
    int fd = guest_connects();

    vsock_fixture_release(&f);
    close_fd(&fd);
    vsock_fixture_init(&f);
    f.rx_bytes = VSOCK_HEADER_BYTES;
    vsock_fixture_start(&f, 1);
    vsock_fixture_send_data(&f, 7, 8, "x", 1);
    assert_needs_reset();
}

static void test_broken_queue_closes_connections(void **state)
{
    int fd = guest_connects();

    ring_set_avail_idx(&f.rings[VSOCK_TX], (uint16_t)(f.rings[VSOCK_TX].next_avail + 1000));
    virtio_device_kick(f.device, VSOCK_TX);
    assert_needs_reset();
    assert_ended(fd);
    assert_int_equal(connections(), 0);
    close_fd(&fd);
}

/* ---- bounds ---- */

static unsigned outgoing_taken(void)
{
    uint32_t id, len;
    unsigned taken = 0;

    while (ring_used(&f.rings[VSOCK_TX], &id, &len))
        taken++;
    return taken;
}

/* A guest that never refills: its packets stay with it, and go through once it has. */
static void test_answers_are_bounded(void **state)
{
    unsigned sent = 0, answered = 0, taken = 0;

    vsock_fixture_start(&f, 0);
    for (; sent < 3 * VSOCK_REPLIES_MAX; sent++) {
        vsock_fixture_send_data(&f, sent, 8, "x", 1);
        taken += outgoing_taken();
        if (taken <= sent)
            break;
    }
    assert_int_equal(taken, VSOCK_REPLIES_MAX);
    vsock_fixture_add_buffers(&f, 4);
    while (vsock_fixture_receive(&f, &p)) {
        assert_int_equal(p.op, VIRTIO_VSOCK_OP_RST);
        assert_int_equal(p.dst_port, answered);
        answered++;
    }
    assert_int_equal(answered, sent + 1);
}

static void test_connections_are_bounded(void **state)
{
    struct rlimit limit;
    unsigned refused = 0, accepted = 0;
    int listener, *ends;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 4096) {
        limit.rlim_cur = 4096;
        if (limit.rlim_max < 4096 || setrlimit(RLIMIT_NOFILE, &limit))
            skip();
    }
    listener = vsock_fixture_listen(&f, HOST_PORT);
    ends = calloc(VSOCK_CONNECTIONS_MAX, sizeof(*ends));
    assert_non_null(ends);
    for (uint32_t i = 0; i < VSOCK_CONNECTIONS_MAX + 10; i++) {
        vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_REQUEST, i, HOST_PORT);
        assert_true(vsock_fixture_receive(&f, &p));
        assert_int_equal(p.dst_port, i);
        if (p.op == VIRTIO_VSOCK_OP_RESPONSE)
            ends[accepted++] = accept(listener, NULL, NULL);
        else
            refused++;
    }
    assert_int_equal(accepted, VSOCK_CONNECTIONS_MAX);
    assert_int_equal(refused, 10);
    assert_int_equal(connections(), VSOCK_CONNECTIONS_MAX);
    virtio_device_set_status(f.device, 0);
    surroundings_settle(&f.s);
    assert_int_equal(connections(), 0);
    for (unsigned i = 0; i < accepted; i++) {
        assert_ended(ends[i]);
        close_fd(&ends[i]);
    }
    free(ends);
    close_fd(&listener);
}

/* A full receive ring neither loses nor spins; several connections get their turns. */
static void test_starved_receiver(void **state)
{
    uint32_t ports[3], got[3] = {0};
    int fds[3];

    for (unsigned i = 0; i < 3; i++) {
        fds[i] = host_requests("CONNECT 1000\n", &ports[i]);
        vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_RESPONSE, GUEST_PORT, ports[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        static char block[60000];

        assert_int_equal(send(fds[i], block, sizeof(block), MSG_NOSIGNAL), sizeof(block));
    }
    surroundings_settle(&f.s); /* fills all buffers there are, then sleeps */
    while (vsock_fixture_receive(&f, &p)) {
        for (unsigned i = 0; i < 3; i++) {
            if (p.src_port == ports[i])
                got[i] += p.len;
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(got[i], 60000);
        close_fd(&fds[i]);
    }
}

/* A driver without a transmit queue, or a receive queue, is no reason to spin. */
static void test_missing_queue(void **state)
{
    for (unsigned only = 0; only < 2; only++) {
        driver_negotiate(f.device, 0);
        ring_init(&f.rings[only], f.s.memory, 0x10000u, VSOCK_FIXTURE_RING);
        ring_hand_over(&f.rings[only], f.device, only);
        virtio_device_set_status(f.device,
                                 virtio_device_status(f.device) | VIRTIO_CONFIG_S_DRIVER_OK);
        f.next_tx = 0;
        if (only == VSOCK_TX)
            vsock_fixture_send_data(&f, 7, 8, "x", 1);
        virtio_device_kick(f.device, only);
        surroundings_settle(&f.s);
        assert_false(virtio_device_status(f.device) & VIRTIO_CONFIG_S_NEEDS_RESET);
    }
}

/* ---- life ---- */

static void test_reset_closes_all(void **state)
{
    uint32_t port;
    int out = guest_connects(), in = host_requests("CONNECT 1000\n", &port);

    virtio_device_set_status(f.device, 0);
    assert_ended(out);
    assert_ended(in);
    assert_int_equal(connections(), 0);
    close_fd(&out);
    close_fd(&in);
    vsock_fixture_start(&f, BUFFERS);
    in = host_requests("CONNECT 1000\n", &port);
    vsock_fixture_send_op(&f, VIRTIO_VSOCK_OP_RESPONSE, GUEST_PORT, port);
    host_writes(in, "again");
    expect_data(GUEST_PORT, port, "again");
    close_fd(&in);
}

static void *run_loop(void *arg)
{
    event_loop_run(arg);
    return NULL;
}

/* On the loop's thread, which so does not read the rings that are being written. */
static void start_and_request(void *arg)
{
    driver_start(f.device, 0, f.rings, 3, VSOCK_FIXTURE_RING);
    f.next_tx = 0;
    vsock_fixture_put(&f, vsock_packet(VIRTIO_VSOCK_OP_REQUEST, *(unsigned *)arg, HOST_PORT));
    virtio_device_kick(f.device, VSOCK_TX);
}

/* The driver resets the device on a vCPU's thread, whatever the I/O thread is doing with
 * connections that host programs and guest make meanwhile. */
static void test_reset_on_another_thread(void **state)
{
    int listener = vsock_fixture_listen(&f, HOST_PORT), ends[2], fd;
    pthread_t io;

    event_loop_expect_run(f.s.loop, true);
    assert_int_equal(pthread_create(&io, NULL, run_loop, f.s.loop), 0);
    for (unsigned round = 0; round < 200; round++) {
        event_loop_call(f.s.loop, start_and_request, &round);
        for (unsigned i = 0; i < 2; i++) {
            ends[i] = vsock_fixture_connect(&f);
            host_writes(ends[i], "CONNECT 1000\n");
        }
        fd = accept(listener, NULL, NULL);
        assert_true(fd >= 0);
        if (round & 1)
            close_fd(&fd);
        close_fd(&ends[0]);
        virtio_device_set_status(f.device, 0);
        close_fd(&fd);
        close_fd(&ends[1]);
    }
    event_loop_stop(f.s.loop);
    pthread_join(io, NULL);
    surroundings_settle(&f.s);
    assert_int_equal(connections(), 0);
    close_fd(&listener);
}

static void test_pause(void **state)
{
    int fd = guest_connects(), client;

    vsock_fixture_put(&f, vsock_packet(VIRTIO_VSOCK_OP_CREDIT_REQUEST, GUEST_PORT, HOST_PORT));
    virtio_device_pause(f.device);
    host_writes(fd, "paused");
    client = vsock_fixture_connect(&f);
    host_writes(client, "CONNECT 1000\n");
    guest_writes("x");
    assert_no_packet();
    assert_open_and_silent(client);
    assert_open_and_silent(fd);
    virtio_device_resume(f.device);
    assert_read(fd, "x");
    expect(VIRTIO_VSOCK_OP_CREDIT_UPDATE, GUEST_PORT, HOST_PORT);
    expect_data(GUEST_PORT, HOST_PORT, "paused");
    assert_true(vsock_fixture_receive(&f, &p));
    assert_int_equal(p.op, VIRTIO_VSOCK_OP_REQUEST);
    close_fd(&client);
    close_fd(&fd);
}

/* What the guest had sent when it ended, and whose kick was not served yet, is delivered. */
static void test_last_words(void **state)
{
    struct vsock_packet *packet;
    int fd = guest_connects();

    packet = vsock_packet(VIRTIO_VSOCK_OP_RW, GUEST_PORT, HOST_PORT);
    packet->len = 3;
    memcpy(packet->data, "bye", 3);
    vsock_fixture_put(&f, packet);
    virtio_device_pause(f.device);
    assert_read(fd, "bye");
    close_fd(&fd);
}

static void test_statistics(void **state)
{
    struct virtio_vsock_stats stats;
    int fd = guest_connects();

    guest_writes("12345");
    host_writes(fd, "123");
    expect_data(GUEST_PORT, HOST_PORT, "123");
    virtio_vsock_read_stats(f.device, &stats);
    assert_int_equal(stats.tx_bytes, 5);
    assert_int_equal(stats.rx_bytes, 3);
    assert_int_equal(stats.connections, 1);
    close_fd(&fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_guest_connects),
        TEST(test_nobody_listens),
        TEST(test_second_request_resets),
        TEST(test_any_layout),
        TEST(test_host_connects),
        TEST(test_guest_refuses),
        TEST(test_host_gives_up),
        TEST(test_host_half_closes_early),
        TEST(test_no_driver),
        TEST(test_host_ends_output),
        TEST(test_host_closes),
        TEST(test_host_closes_without_credit),
        TEST(test_host_resets),
        TEST(test_guest_ends_output),
        TEST(test_guest_takes_no_more),
        TEST(test_guest_resets),
        TEST(test_slow_host),
        TEST(test_guest_hears_of_room),
        TEST(test_guest_ignores_credit),
        TEST(test_host_gets_last_bytes_of_closed_guest),
        TEST(test_shutdown_waits_for_delivery),
        TEST(test_guest_credit_is_kept),
        TEST(test_impossible_credit),
        TEST(test_foreign_sender),
        TEST(test_foreign_receiver),
        TEST(test_unknown_type),
        TEST(test_unknown_connection),
        TEST(test_unknown_operation),
        TEST(test_before_response),
        TEST(test_short_chains),
        TEST(test_huge_length),
        TEST(test_receive_buffer_without_room),
        TEST(test_broken_queue_closes_connections),
        TEST(test_answers_are_bounded),
        TEST(test_connections_are_bounded),
        TEST(test_starved_receiver),
        TEST(test_missing_queue),
        TEST(test_reset_closes_all),
        TEST(test_reset_on_another_thread),
        TEST(test_pause),
        TEST(test_last_words),
        TEST(test_statistics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
