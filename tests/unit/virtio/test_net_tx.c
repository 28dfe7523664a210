// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "tests/harness/net_fixture.h"

#define TX 1
#define OFFLOAD \
    (1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_ECN)

static struct net_fixture fixture;
static uint8_t packet[NET_MAX_PACKET_BYTES + 16], got[NET_MAX_PACKET_BYTES + 16];

static struct net_fixture *begin(uint64_t features, uint16_t queue_size)
{
    net_fixture_init(&fixture, 1, false);
    assert_int_equal(net_fixture_create(&fixture), 0);
    net_fixture_start(&fixture, features, queue_size);
    assert_false(net_fixture_needs_reset(&fixture));
    memset(packet, 0, sizeof(packet));
    for (size_t i = NET_HEADER_BYTES; i < sizeof(packet); i++)
        packet[i] = (uint8_t)(i * 11);
    return &fixture;
}

static int end(void **state)
{
    net_fixture_release(&fixture);
    return 0;
}

static void assert_on_wire(struct net_fixture *f, uint32_t len)
{
    assert_int_equal(recv(f->wire[0], got, sizeof(got), 0), len);
    assert_memory_equal(got + NET_HEADER_BYTES, packet + NET_HEADER_BYTES, len - NET_HEADER_BYTES);
}

static void assert_nothing_on_wire(struct net_fixture *f)
{
    assert_int_equal(recv(f->wire[0], got, sizeof(got), 0), -1);
    assert_int_equal(errno, EAGAIN);
}

static void assert_returned(struct net_fixture *f, uint16_t head)
{
    uint16_t used;
    uint32_t len;

    assert_true(net_fixture_used(f, TX, &used, &len));
    assert_int_equal(used, head);
    assert_int_equal(len, 0);
}

static void send_now(struct net_fixture *f, uint32_t len)
{
    uint16_t head = net_fixture_add_send(f, TX, packet, len);

    net_fixture_kick(f, TX);
    assert_returned(f, head);
}

static void test_packets_of_all_lengths(void **state)
{
    static const uint32_t lengths[] = {26, 27, 72, 1526, 9000, 65562, NET_MAX_PACKET_BYTES};
    struct net_fixture *f = begin(0, 16);

    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        send_now(f, lengths[i]);
        assert_on_wire(f, lengths[i]);
    }
    assert_int_equal(f->interrupts[TX], ARRAY_SIZE(lengths));
    send_now(f, NET_MAX_PACKET_BYTES + 1);
    send_now(f, 25);
    send_now(f, 12);
    send_now(f, 1);
    assert_nothing_on_wire(f);
}

/* The borders of descriptors carry no meaning (2.7.4). */
static void test_any_layout(void **state)
{
    struct net_fixture *f = begin(0, 128);

    for (uint32_t cut = 1; cut < 100; cut++) {
        uint64_t at = net_fixture_alloc(f, 100);
        struct net_fixture_buffer buffers[] = {{at, cut, false}, {at + cut, 100 - cut, false}};

        memcpy(net_fixture_at(f, at, 100), packet, 100);
        net_fixture_add(f, TX, buffers, 2);
        net_fixture_kick(f, TX);
        assert_on_wire(f, 100);
    }
}

static void test_one_byte_pieces(void **state)
{
    struct net_fixture *f = begin(0, 128);
    struct net_fixture_buffer buffers[128];
    uint64_t at = net_fixture_alloc(f, 128);

    memcpy(net_fixture_at(f, at, 128), packet, 128);
    for (uint32_t i = 0; i < 128; i++)
        buffers[i] = (struct net_fixture_buffer){at + i, 1, false};
    net_fixture_add(f, TX, buffers, 128);
    net_fixture_kick(f, TX);
    assert_on_wire(f, 128);
}

struct header_case {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
    bool passes;
};

static void test_hostile_headers_cost_only_their_packet(void **state)
{
    static const struct header_case cases[] = {
        {.passes = true},
        {.flags = 0xfe, .passes = true}, /* unknown flags are ignored */
        {.flags = 1, .csum_start = 34, .csum_offset = 16, .passes = true},
        {.flags = 1, .csum_start = 86, .csum_offset = 0, .passes = true}, /* the last two bytes */
        {.flags = 1, .csum_start = 87, .csum_offset = 0},
        {.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff},
        {.flags = 1,
         .gso_type = 1,
         .hdr_len = 54,
         .gso_size = 10,
         .csum_start = 34,
         .passes = true},
        {.flags = 1, .gso_type = 0x81, .hdr_len = 54, .gso_size = 10, .passes = true},
        {.flags = 1, .gso_type = 1, .hdr_len = 0xffff, .gso_size = 10, .passes = true},
        {.flags = 1, .gso_type = 1, .hdr_len = 54, .gso_size = 0},
        {.flags = 0, .gso_type = 1, .hdr_len = 54, .gso_size = 10},
        {.flags = 1, .gso_type = 4, .gso_size = 10}, /* TSO6 was not negotiated */
        {.flags = 1, .gso_type = 3, .gso_size = 10}, /* UFO was never offered */
        {.flags = 1, .gso_type = 0x80, .gso_size = 10},
        {.flags = 1, .gso_type = 0x7f, .gso_size = 10},
        {.flags = 1, .gso_type = 0xff, .gso_size = 10},
    };
    struct net_fixture *f = begin(OFFLOAD, 16);

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct header_case *c = &cases[i];

        packet[NET_HDR_FLAGS] = c->flags;
        packet[NET_HDR_GSO_TYPE] = c->gso_type;
        put_le16(packet + NET_HDR_HDR_LEN, c->hdr_len);
        put_le16(packet + NET_HDR_GSO_SIZE, c->gso_size);
        put_le16(packet + NET_HDR_CSUM_START, c->csum_start);
        put_le16(packet + NET_HDR_CSUM_OFFSET, c->csum_offset);
        put_le16(packet + NET_HDR_NUM_BUFFERS, 0x5555);
        send_now(f, 100);
        if (!c->passes) {
            assert_nothing_on_wire(f);
            continue;
        }
        assert_on_wire(f, 100);
        assert_int_equal(got[NET_HDR_FLAGS], c->flags & 1);
        assert_int_equal(got[NET_HDR_GSO_TYPE], c->gso_type);
        assert_true(get_le16(got + NET_HDR_HDR_LEN) <= 88);
        assert_int_equal(get_le16(got + NET_HDR_NUM_BUFFERS), 0);
    }
    assert_false(net_fixture_needs_reset(f));
}

static void test_offloads_that_were_not_negotiated(void **state)
{
    struct net_fixture *f = begin(0, 16);

    packet[NET_HDR_FLAGS] = 1;
    send_now(f, 100);
    packet[NET_HDR_GSO_TYPE] = 1;
    packet[NET_HDR_GSO_SIZE] = 10;
    send_now(f, 100);
    assert_nothing_on_wire(f);
}

static void test_full_tap_loses_and_repeats_nothing(void **state)
{
    struct net_fixture *f = begin(0, 256);
    unsigned added = 0, returned = 0, seen = 0;
    uint16_t head;
    uint32_t len;

    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < 200; i++) {
            put_le16(packet + 40, (uint16_t)added++);
            net_fixture_add_send(f, TX, packet, 4000);
        }
        net_fixture_kick(f, TX);
        net_fixture_settle(f); /* ends: a full tap does not spin */
        while (net_fixture_used(f, TX, &head, &len))
            returned++;
        if (round == 0)
            assert_true(returned < added); /* the tap is full */
        while (returned < added) {
            while (recv(f->wire[0], got, sizeof(got), 0) > 0)
                assert_int_equal(get_le16(got + 40), seen++);
            net_fixture_settle(f);
            while (net_fixture_used(f, TX, &head, &len))
                returned++;
        }
    }
    while (recv(f->wire[0], got, sizeof(got), 0) > 0)
        assert_int_equal(get_le16(got + 40), seen++);
    assert_int_equal(seen, added);
}

static void fill_tap(struct net_fixture *f)
{
    for (unsigned i = 0; i < 200; i++)
        net_fixture_add_send(f, TX, packet, 4000);
    net_fixture_kick(f, TX);
    net_fixture_settle(f);
}

static void test_reset_while_the_tap_is_full(void **state)
{
    struct net_fixture *f = begin(0, 256);

    fill_tap(f);
    net_fixture_start(f, 0, 256);
    while (recv(f->wire[0], got, sizeof(got), 0) > 0)
        ;
    net_fixture_settle(f);
    assert_nothing_on_wire(f);
    send_now(f, 64);
    assert_on_wire(f, 64);
}

static void test_hostile_ring_needs_a_reset(void **state)
{
    struct net_fixture_buffer outside = {NET_FIXTURE_MEMORY - 10, 100, false};
    struct net_fixture *f = begin(0, 16);

    net_fixture_add(f, TX, &outside, 1);
    net_fixture_kick(f, TX);
    assert_true(net_fixture_needs_reset(f));
    net_fixture_add_send(f, TX, packet, 64);
    net_fixture_kick(f, TX);
    net_fixture_settle(f);
    assert_nothing_on_wire(f);
    net_fixture_start(f, 0, 16);
    send_now(f, 64);
    assert_on_wire(f, 64);
}

static void test_pause_and_resume(void **state)
{
    struct net_fixture *f = begin(0, 16);
    uint16_t head;

    virtio_device_pause(f->device);
    head = net_fixture_add_send(f, TX, packet, 64);
    net_fixture_kick(f, TX);
    net_fixture_settle(f);
    assert_nothing_on_wire(f);
    virtio_device_resume(f->device);
    net_fixture_settle(f);
    assert_on_wire(f, 64);
    assert_returned(f, head);
}

static void test_limit_holds_packets_back(void **state)
{
    struct net_fixture *f = &fixture;
    unsigned seen = 0;

    net_fixture_init(f, 1, false);
    f->config.tx_operations = (struct rate_limit){.per_second = 1, .burst = 5};
    assert_int_equal(net_fixture_create(f), 0);
    net_fixture_start(f, 0, 64);
    for (unsigned i = 0; i < 60; i++)
        net_fixture_add_send(f, TX, packet, 64);
    net_fixture_kick(f, TX);
    net_fixture_kick(f, TX);
    net_fixture_settle(f);
    while (recv(f->wire[0], got, sizeof(got), 0) > 0)
        seen++;
    assert_true(seen >= 6 && seen < 60);
}

static void test_limited_packets_leave_in_the_end(void **state)
{
    struct net_fixture *f = &fixture;
    unsigned seen = 0;

    net_fixture_init(f, 1, false);
    f->config.tx_bandwidth = (struct rate_limit){.per_second = 100000, .burst = 100};
    assert_int_equal(net_fixture_create(f), 0);
    net_fixture_start(f, 0, 64);
    for (unsigned i = 0; i < 20; i++)
        net_fixture_add_send(f, TX, packet, 112);
    net_fixture_kick(f, TX);
    while (seen < 20) {
        while (recv(f->wire[0], got, sizeof(got), 0) > 0)
            seen++;
        if (seen < 20)
            assert_true(event_loop_run_once(f->loop, 10000) >= 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_packets_of_all_lengths, end),
        cmocka_unit_test_teardown(test_any_layout, end),
        cmocka_unit_test_teardown(test_one_byte_pieces, end),
        cmocka_unit_test_teardown(test_hostile_headers_cost_only_their_packet, end),
        cmocka_unit_test_teardown(test_offloads_that_were_not_negotiated, end),
        cmocka_unit_test_teardown(test_full_tap_loses_and_repeats_nothing, end),
        cmocka_unit_test_teardown(test_reset_while_the_tap_is_full, end),
        cmocka_unit_test_teardown(test_hostile_ring_needs_a_reset, end),
        cmocka_unit_test_teardown(test_pause_and_resume, end),
        cmocka_unit_test_teardown(test_limit_holds_packets_back, end),
        cmocka_unit_test_teardown(test_limited_packets_leave_in_the_end, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
