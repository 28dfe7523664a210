// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-vsock against a hostile driver and host programs that connect, talk, end and vanish as the
 * input says. Beside arbitrary rings there are packets with whole headers, for few ports, so that
 * connections get somewhere. Afterwards an honest driver must be able to connect and to talk.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/io.h"
#include "tests/harness/hostile_driver.h"
#include "tests/harness/vsock_fixture.h"

#define MAX_STEPS  256u
#define HOST_STEPS 8u
#define PROGRAMS   8u
#define HOST_PORT  52u
#define FIRST_PORT 0x40000000u
#define PACKETS    0x300000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct vsock_fixture f;
    struct hostile_driver driver;
    int listener;
    int programs[PROGRAMS]; /* -1, or a host program's end of something */
};

static void keep_program(struct world *w, int fd)
{
    for (unsigned i = 0; i < PROGRAMS; i++) {
        if (w->programs[i] < 0) {
            w->programs[i] = fd;
            return;
        }
    }
    close_fd(&fd);
}

/* A packet with a whole header, mostly of a connection that may exist. */
static void send_packet(struct world *w, struct fuzz_input *in)
{
    struct ring_driver *ring = &w->driver.rings[VSOCK_TX];
    uint16_t slot = (uint16_t)(fuzz_take(in, 1) % ring->size);
    uint64_t address = PACKETS + slot * 0x100u;
    uint8_t *at = guest_bytes(w->f.s.memory, address, 0x100);
    uint8_t kind = (uint8_t)fuzz_take(in, 1), ports = (uint8_t)fuzz_take(in, 1);
    uint32_t len = (uint32_t)fuzz_take(in, 1);

    put_le64(at, kind & 0x80 ? fuzz_take(in, 8) : VSOCK_FIXTURE_CID);
    put_le64(at + 8, kind & 0x40 ? fuzz_take(in, 8) : VSOCK_HOST_CID);
    put_le32(at + 16, 1000u + ports % 4);
    put_le32(at + 20, ports & 0x10 ? FIRST_PORT + ports / 32 : HOST_PORT + (ports / 4 & 1));
    put_le32(at + 24, kind & 0x20 ? (uint32_t)fuzz_take(in, 4) : len % 64);
    put_le16(at + 28, kind & 0x10 ? (uint16_t)fuzz_take(in, 2) : VIRTIO_VSOCK_TYPE_STREAM);
    put_le16(at + 30, kind % 16);
    put_le32(at + 32, (uint32_t)fuzz_take(in, 1));
    put_le32(at + 36, len & 0x80 ? (uint32_t)fuzz_take(in, 4) : 1000);
    put_le32(at + 40, len & 0x40 ? (uint32_t)fuzz_take(in, 4) : 0);
    ring_descriptor(ring, slot, address, VSOCK_HEADER_BYTES + len % 64, 0, 0);
    ring_expose(ring, slot);
    virtio_device_kick(w->driver.device, VSOCK_TX);
}

static void add_receive_buffer(struct world *w, struct fuzz_input *in)
{
    struct ring_driver *ring = &w->driver.rings[VSOCK_RX];
    uint16_t slot = (uint16_t)(fuzz_take(in, 1) % ring->size);

    ring_add(ring, slot, 0x200000u + slot * 0x1000u, 45 + (uint32_t)fuzz_take(in, 1) * 8,
             VRING_DESC_F_WRITE);
    virtio_device_kick(w->driver.device, VSOCK_RX);
}

/* A program connects and says something, mostly what it should. */
static void connect_program(struct world *w, struct fuzz_input *in)
{
    static const char *const lines[] = {"CONNECT 1000\n", "CONNECT 1001\nabc", "CONNECT ",
                                        "CONNECT 4294967296\n", "\n"};
    unsigned which = (unsigned)fuzz_take(in, 1) % 6;
    char text[64];
    size_t len;
    int fd = vsock_fixture_connect(&w->f);

    if (which < 5) {
        len = strlen(lines[which]);
        memcpy(text, lines[which], len);
    } else {
        len = fuzz_take_bytes(in, text, 1 + fuzz_take(in, 1) % sizeof(text));
    }
    send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    keep_program(w, fd);
}

static void write_program(int fd, struct fuzz_input *in)
{
    static const char bytes[4096];

    if (fd >= 0)
        send(fd, bytes, 1 + fuzz_take(in, 2) % sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void host_step(struct world *w, unsigned kind, struct fuzz_input *in)
{
    int *program = &w->programs[fuzz_take(in, 1) % PROGRAMS];
    char sink[4096];
    int fd;

    switch (kind) {
    case 0:
        connect_program(w, in);
        break;
    case 1:
        fd = accept(w->listener, NULL, NULL);
        if (fd >= 0)
            keep_program(w, fd);
        break;
    case 2:
        write_program(*program, in);
        break;
    case 3:
        if (*program >= 0)
            recv(*program, sink, sizeof(sink), MSG_DONTWAIT);
        break;
    case 4:
        if (*program >= 0)
            shutdown(*program, (int)(fuzz_take(in, 1) % 3));
        break;
    case 5:
        close_fd(program);
        break;
    case 6:
        add_receive_buffer(w, in);
        break;
    default:
        event_loop_run_once(w->f.s.loop, 0);
        break;
    }
}

static void open_world(struct world *w, struct fuzz_input *in)
{
    vsock_fixture_init(&w->f);
    w->listener = vsock_fixture_listen(&w->f, HOST_PORT);
    memset(w->programs, 0xff, sizeof(w->programs));
    hostile_init(&w->driver, &w->f.s, w->f.device, fuzz_take(in, 5));
}

static void close_programs(struct world *w)
{
    int fd;

    for (unsigned i = 0; i < PROGRAMS; i++)
        close_fd(&w->programs[i]);
    while ((fd = accept(w->listener, NULL, NULL)) >= 0)
        close_fd(&fd);
}

/* Everybody has gone: nothing may be left of them but what a new driver's reset ends. */
static void check_works(struct world *w)
{
    static struct vsock_packet packet;
    struct virtio_vsock_stats stats;
    char text[8];
    int fd;

    close_programs(w);
    virtio_device_resume(w->driver.device);
    vsock_fixture_start(&w->f, 16);
    close_programs(w);
    surroundings_settle(&w->f.s);
    while (vsock_fixture_receive(&w->f, &packet))
        ; /* programs that had connected and were heard only now */
    vsock_fixture_start(&w->f, 16);
    virtio_vsock_read_stats(w->f.device, &stats);
    if (stats.connections != 0)
        abort();
    vsock_fixture_send_op(&w->f, VIRTIO_VSOCK_OP_REQUEST, 1, HOST_PORT);
    if (!vsock_fixture_receive(&w->f, &packet) || packet.op != VIRTIO_VSOCK_OP_RESPONSE)
        abort();
    fd = accept(w->listener, NULL, NULL);
    vsock_fixture_send_data(&w->f, 1, HOST_PORT, "hello", 5);
    if (fd < 0 || recv(fd, text, sizeof(text), MSG_DONTWAIT) != 5 || memcmp(text, "hello", 5) ||
        send(fd, "!", 1, MSG_NOSIGNAL) != 1)
        abort();
    if (!vsock_fixture_receive(&w->f, &packet) || packet.op != VIRTIO_VSOCK_OP_RW ||
        packet.len != 1 || packet.fwd_cnt != 5)
        abort();
    close_fd(&fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    struct fuzz_input in = {data, size};

    open_world(&w, &in);
    for (unsigned i = 0; i < MAX_STEPS && in.left > 0; i++) {
        unsigned kind = (unsigned)fuzz_take(&in, 1) % (2 * HOSTILE_STEPS + HOST_STEPS);

        if (kind < HOSTILE_STEPS)
            hostile_step(&w.driver, kind, &in);
        else if (kind < HOSTILE_STEPS + HOST_STEPS)
            host_step(&w, kind - HOSTILE_STEPS, &in);
        else
            send_packet(&w, &in);
    }
    check_works(&w);
    vsock_fixture_release(&w.f);
    close_fd(&w.listener);
    return 0;
}
