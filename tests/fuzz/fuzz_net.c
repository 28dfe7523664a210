// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-net against a hostile driver and a hostile wire. The input is a list of steps: register
 * and ring contents, kicks, packets from the wire, turns of the loop, resets, pauses. Afterwards a
 * well-behaved driver must find a working device.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "tests/harness/net_fixture.h"

#define PAIRS     2u
#define QUEUES    (2 * PAIRS + 1)
#define RINGS     0x100000u /* where net_fixture puts rings, one window per queue */
#define MAX_STEPS 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t left;
};

static uint64_t take(struct input *in, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes && in->left > 0; i++, in->data++, in->left--)
        value |= (uint64_t)*in->data << (8 * i);
    return value;
}

/* A chain of up to eight descriptors, their fields as the input says, mostly inside memory. */
static void add_chain(struct net_fixture *f, struct input *in)
{
    struct net_fixture_buffer buffers[8];
    unsigned queue = (unsigned)take(in, 1) % QUEUES;
    unsigned count = 1 + (unsigned)take(in, 1) % 8;

    if (f->ring[queue].size < 8)
        return;
    for (unsigned i = 0; i < count; i++) {
        uint8_t kind = (uint8_t)take(in, 1);

        buffers[i] = (struct net_fixture_buffer){
            .gpa = kind & 2 ? take(in, 8) : 0x400000 + take(in, 2) * 16,
            .len = kind & 4 ? (uint32_t)take(in, 4) : (uint32_t)take(in, 2),
            .writable = kind & 1,
        };
    }
    net_fixture_add(f, queue, buffers, count);
}

/* Bytes anywhere in the rings or the buffers. */
static void scribble(struct net_fixture *f, struct input *in)
{
    uint64_t at = take(in, 1) & 1 ? 0x400000 + take(in, 2)
                                  : RINGS + take(in, 1) % QUEUES * 0x10000 + take(in, 2) % 0xc000;
    uint8_t *bytes = net_fixture_at(f, at, 32);

    for (unsigned i = 0; i < 32 && in->left > 0; i++)
        bytes[i] = (uint8_t)take(in, 1);
}

static void send_packet(struct net_fixture *f, struct input *in)
{
    static uint8_t packet[70000];
    unsigned wire = (unsigned)take(in, 1) % PAIRS;
    size_t len = take(in, 3) % sizeof(packet);

    memset(packet, 0, 32);
    for (unsigned i = 0; i < 16 && in->left > 0; i++)
        packet[i] = (uint8_t)take(in, 1);
    if (len > 0)
        send(f->wire[wire], packet, len, MSG_DONTWAIT);
}

static void turn(struct net_fixture *f)
{
    static uint8_t sink[70000];

    for (unsigned i = 0; i < 4; i++)
        event_loop_run_once(f->loop, 0);
    for (unsigned i = 0; i < PAIRS; i++)
        recv(f->wire[i], sink, sizeof(sink), MSG_DONTWAIT);
}

static void step(struct net_fixture *f, struct input *in)
{
    switch (take(in, 1) % 8) {
    case 0:
        net_fixture_start(f, take(in, 5) & f->device->offered,
                          (uint16_t)(1u << (unsigned)(take(in, 1) % 9)));
        break;
    case 1:
    case 2:
        add_chain(f, in);
        break;
    case 3:
        scribble(f, in);
        break;
    case 4:
        net_fixture_kick(f, (unsigned)take(in, 1) % (QUEUES + 1));
        break;
    case 5:
        send_packet(f, in);
        break;
    case 6:
        turn(f);
        break;
    default:
        if (take(in, 1) & 1)
            virtio_device_pause(f->device);
        else
            virtio_device_resume(f->device);
        break;
    }
}

/* What a later driver needs: one packet each way. */
static void check_works(struct net_fixture *f)
{
    static uint8_t packet[NET_MAX_PACKET_BYTES + 16];
    uint16_t head;
    uint32_t len;

    virtio_device_resume(f->device);
    net_fixture_start(f, 0, 16);
    for (unsigned i = 0; i < PAIRS; i++) {
        while (recv(f->wire[i], packet, sizeof(packet), MSG_DONTWAIT) > 0)
            ;
    }
    memset(packet, 0, 100);
    net_fixture_add_send(f, 1, packet, 100);
    net_fixture_kick(f, 1);
    net_fixture_settle(f);
    if (!net_fixture_used(f, 1, &head, &len) || net_fixture_needs_reset(f))
        abort();
    for (unsigned i = 0; i < 16; i++)
        net_fixture_add_receive(f, 0, 2048);
    net_fixture_kick(f, 0);
    send(f->wire[0], packet, 100, MSG_DONTWAIT);
    net_fixture_settle(f);
    if (!net_fixture_used(f, 0, &head, &len) || net_fixture_needs_reset(f))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct net_fixture f;

    net_fixture_init(&f, PAIRS, false);
    if (net_fixture_create(&f))
        abort();
    net_fixture_start(&f, take(&in, 5) & f.device->offered, 16);
    for (unsigned i = 0; i < MAX_STEPS && in.left > 0; i++)
        step(&f, &in);
    check_works(&f);
    net_fixture_release(&f);
    return 0;
}
