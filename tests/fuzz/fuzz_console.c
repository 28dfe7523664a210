// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-console and its backend against a hostile driver and a host side that types, reads or
 * does neither. Afterwards an honest driver must be able to write and to read.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "devices/backend/console.h"
#include "devices/virtio/devices.h"
#include "tests/harness/hostile_driver.h"

#define MAX_STEPS 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct console {
    struct virtio_surroundings s;
    struct console_backend *backend;
    struct hostile_driver driver;
    int host, guest; /* the two ends of the terminal line */
};

static void read_all(struct console *c)
{
    static uint8_t sink[65536];

    while (recv(c->host, sink, sizeof(sink), MSG_DONTWAIT) > 0)
        ;
}

static void type(struct console *c, struct fuzz_input *in)
{
    uint8_t text[300];
    size_t len = 1 + fuzz_take(in, 2) % sizeof(text);

    memset(text, 'x', sizeof(text));
    send(c->host, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void host_step(struct console *c, unsigned kind, struct fuzz_input *in)
{
    switch (kind) {
    case 0:
        type(c, in);
        break;
    case 1:
        read_all(c);
        break;
    case 2:
        virtio_console_resize(c->driver.device, (uint16_t)fuzz_take(in, 2),
                              (uint16_t)fuzz_take(in, 2));
        break;
    default:
        event_loop_run_once(c->s.loop, 0);
        break;
    }
}

/* Until all output was read and nothing moves any more. */
static void settle(struct console *c)
{
    for (unsigned turn = 0; turn < 100000; turn++) {
        read_all(c);
        if (event_loop_run_once(c->s.loop, 0) == 0)
            return;
    }
    abort();
}

static void check_works(struct console *c)
{
    struct ring_driver *rings = c->driver.rings;
    uint32_t id, len;
    char text[8];

    hostile_hand_over(&c->driver);
    settle(c); /* what earlier drivers left in the backend's ring */
    memcpy(guest_bytes(c->s.memory, 0x200000, 5), "hello", 5);
    ring_add(&rings[1], 0, 0x200000, 5, 0);
    virtio_device_kick(c->driver.device, 1);
    surroundings_settle(&c->s);
    if (!ring_used(&rings[1], &id, &len) || id != 0 || len != 0 ||
        recv(c->host, text, sizeof(text), MSG_DONTWAIT) != 5 || memcmp(text, "hello", 5) != 0)
        abort();
    /* Input that no driver took yet is still on the line: it comes first. */
    ring_add(&rings[0], 0, 0x200000, 64, VRING_DESC_F_WRITE);
    virtio_device_kick(c->driver.device, 0);
    send(c->host, "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    surroundings_settle(&c->s);
    if (!ring_used(&rings[0], &id, &len) || id != 0 || len == 0 || len > 64)
        abort();
}

static void open_console(struct console *c, struct fuzz_input *in)
{
    struct virtio_device *device;
    int ends[2];

    surroundings_init(&c->s, NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        abort();
    c->host = ends[0];
    c->guest = ends[1];
    if (console_backend_create(c->s.loop, c->guest, c->guest, &c->backend) ||
        virtio_console_create(&c->s.env, c->backend, 80, 25, &device))
        abort();
    surroundings_connect(&c->s, device);
    hostile_init(&c->driver, &c->s, device, fuzz_take(in, 5));
}

static void close_console(struct console *c)
{
    virtio_device_destroy(c->driver.device);
    console_backend_destroy(c->backend, 0);
    surroundings_release(&c->s);
    close_fd(&c->host);
    close_fd(&c->guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct console c;

    open_console(&c, &in);
    for (unsigned i = 0; i < MAX_STEPS && in.left > 0; i++) {
        unsigned kind = (unsigned)fuzz_take(&in, 1) % (HOSTILE_STEPS + 4);

        if (kind < HOSTILE_STEPS)
            hostile_step(&c.driver, kind, &in);
        else
            host_step(&c, kind - HOSTILE_STEPS, &in);
    }
    check_works(&c);
    close_console(&c);
    return 0;
}
