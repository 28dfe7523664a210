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
#include "base/io.h"
#include "tests/harness/net_fixture.h"

#define MERGED  (1ull << VIRTIO_NET_F_MRG_RXBUF)
#define OFFLOAD (1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_GUEST_TSO4)
#define RX      0

static struct net_fixture fixture;
static uint8_t sent[NET_MAX_PACKET_BYTES + 16], got[NET_MAX_PACKET_BYTES + 16];

static struct net_fixture *begin(uint64_t features, uint16_t queue_size)
{
    net_fixture_init(&fixture, 1, false);
    assert_int_equal(net_fixture_create(&fixture), 0);
    net_fixture_start(&fixture, features, queue_size);
    assert_false(net_fixture_needs_reset(&fixture));
    return &fixture;
}

static int end(void **state)
{
    net_fixture_release(&fixture);
    return 0;
}

/* A packet with a zero header and recognisable bytes; `len` without the header. */
static void wire_send(struct net_fixture *f, uint32_t len, uint8_t seed)
{
    memset(sent, 0, NET_HEADER_BYTES);
    for (uint32_t i = 0; i < len; i++)
        sent[NET_HEADER_BYTES + i] = (uint8_t)(seed + i * 7 + (i >> 8));
    assert_int_equal(send(f->wire[0], sent, NET_HEADER_BYTES + len, 0), NET_HEADER_BYTES + len);
}

/* Put the next received packet together in `got`; returns its length with header, 0 for none. */
static uint32_t driver_receive(struct net_fixture *f)
{
    uint32_t total = 0, len;
    uint16_t head, buffers = 1;

    for (uint16_t i = 0; i < buffers; i++) {
        if (!net_fixture_used(f, RX, &head, &len)) {
            assert_int_equal(i, 0); /* all of a packet's buffers or none */
            return 0;
        }
        assert_true(total + len <= sizeof(got));
        if (len > 0)
            memcpy(got + total, net_fixture_at(f, net_fixture_buffer_of(f, RX, head), len), len);
        total += len;
        if (i == 0 && len >= NET_HEADER_BYTES)
            buffers = get_le16(got + NET_HDR_NUM_BUFFERS);
    }
    return total;
}

static void assert_received(struct net_fixture *f, uint32_t len)
{
    assert_int_equal(driver_receive(f), NET_HEADER_BYTES + len);
    assert_memory_equal(got + NET_HEADER_BYTES, sent + NET_HEADER_BYTES, len);
}

static void test_one_packet_in_one_buffer(void **state)
{
    struct net_fixture *f = begin(0, 256);

    net_fixture_add_receive(f, RX, 2048);
    wire_send(f, 60, 1);
    net_fixture_settle(f);
    assert_received(f, 60);
    assert_int_equal(get_le16(got + NET_HDR_NUM_BUFFERS), 1);
    assert_int_equal(f->interrupts[RX], 1);
}

static void test_merged_buffers_of_many_sizes(void **state)
{
    static const uint32_t buffer_sizes[] = {300, 1526, 4096, 65562};
    static const uint32_t frames[] = {14, 60, 287, 288, 289, 1514, 1515, 4084, 4085, 9000, 65550};
    struct net_fixture *f = begin(MERGED | OFFLOAD, 256);

    for (unsigned b = 0; b < ARRAY_SIZE(buffer_sizes); b++) {
        for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
            uint32_t total = NET_HEADER_BYTES + frames[i];

            /* Just enough, added in two parts; what is left over serves the next one. */
            uint32_t need = (total + buffer_sizes[b] - 1) / buffer_sizes[b];

            for (uint32_t n = 0; n < need / 2; n++)
                net_fixture_add_receive(f, RX, buffer_sizes[b]);
            net_fixture_kick(f, RX);
            wire_send(f, frames[i], (uint8_t)i);
            net_fixture_settle(f);
            for (uint32_t n = need / 2; n < need; n++)
                net_fixture_add_receive(f, RX, buffer_sizes[b]);
            net_fixture_kick(f, RX);
            net_fixture_settle(f);
            assert_received(f, frames[i]);
            assert_int_equal(get_le16(got + NET_HDR_NUM_BUFFERS), need);
            assert_int_equal(driver_receive(f), 0);
        }
    }
    assert_false(net_fixture_needs_reset(f));
}

static void test_full_tap_and_full_ring_resume_after_a_refill(void **state)
{
    struct net_fixture *f = begin(MERGED, 64);
    unsigned queued = 0, received = 0;

    memset(sent, 0, sizeof(sent));
    while (send(f->wire[0], sent, 1000, 0) == 1000)
        sent[NET_HEADER_BYTES + 20] = (uint8_t)++queued;
    assert_int_equal(errno, EAGAIN);
    assert_true(queued > 0);
    net_fixture_settle(f); /* ends: an empty ring does not spin */
    assert_true(net_fixture_wants_kick(f, RX));

    while (received < queued) {
        unsigned before = received;

        for (unsigned i = 0; i < 64; i++)
            net_fixture_add_receive(f, RX, 1100);
        assert_true(net_fixture_wants_kick(f, RX));
        net_fixture_kick(f, RX);
        net_fixture_settle(f);
        while (driver_receive(f) > 0) {
            assert_int_equal(got[NET_HEADER_BYTES + 20], (uint8_t)received);
            received++;
        }
        assert_true(received > before);
    }
    assert_int_equal(received, queued);
}

static void test_late_buffers_complete_a_packet(void **state)
{
    struct net_fixture *f = begin(MERGED, 8);

    net_fixture_add_receive(f, RX, 100);
    wire_send(f, 300, 9);
    for (unsigned i = 0; i < 3; i++) {
        net_fixture_settle(f);
        assert_int_equal(driver_receive(f), 0);
        assert_true(net_fixture_wants_kick(f, RX));
        net_fixture_add_receive(f, RX, 100);
        net_fixture_kick(f, RX);
    }
    assert_received(f, 300);
    assert_int_equal(get_le16(got + NET_HDR_NUM_BUFFERS), 4);
}

static void test_packet_larger_than_the_ring(void **state)
{
    struct net_fixture *f = begin(MERGED, 4);
    uint16_t head;
    uint32_t len;

    for (unsigned i = 0; i < 4; i++)
        net_fixture_add_receive(f, RX, 64);
    wire_send(f, 1000, 3);
    net_fixture_settle(f);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(net_fixture_used(f, RX, &head, &len));
        assert_int_equal(len, 0);
    }
    for (unsigned i = 0; i < 4; i++)
        net_fixture_add_receive(f, RX, 64);
    net_fixture_kick(f, RX);
    wire_send(f, 40, 4);
    net_fixture_settle(f);
    assert_received(f, 40);
}

static void test_without_merging_a_small_buffer_is_kept(void **state)
{
    struct net_fixture *f = begin(0, 8);

    net_fixture_add_receive(f, RX, 100);
    wire_send(f, 300, 1);
    wire_send(f, 50, 2);
    net_fixture_settle(f);
    assert_received(f, 50);
    assert_int_equal(driver_receive(f), 0);
}

static void test_runts_and_giants_are_dropped(void **state)
{
    struct net_fixture *f = begin(MERGED | OFFLOAD, 256);

    for (unsigned i = 0; i < 50; i++)
        net_fixture_add_receive(f, RX, 1526);
    memset(sent, 0, sizeof(sent));
    assert_int_equal(send(f->wire[0], sent, 5, 0), 5);
    assert_int_equal(send(f->wire[0], sent, 25, 0), 25);
    assert_int_equal(send(f->wire[0], sent, sizeof(sent), 0), sizeof(sent));
    wire_send(f, 60, 7);
    net_fixture_settle(f);
    assert_received(f, 60);
    assert_int_equal(driver_receive(f), 0);
}

static void test_mtu_is_kept_unless_segmented_later(void **state)
{
    struct net_fixture *f = &fixture;

    net_fixture_init(f, 1, false);
    f->config.mtu = 576;
    assert_int_equal(net_fixture_create(f), 0);
    net_fixture_start(f, MERGED | 1ull << VIRTIO_NET_F_MTU, 16);
    for (unsigned i = 0; i < 3; i++)
        net_fixture_add_receive(f, RX, 2048);
    wire_send(f, 576 + 18 + 1, 1); /* dropped */
    wire_send(f, 576 + 18, 2);
    net_fixture_settle(f);
    assert_received(f, 576 + 18);
    sent[NET_HDR_GSO_TYPE] = VIRTIO_NET_HDR_GSO_TCPV4;
    assert_int_equal(send(f->wire[0], sent, 1500, 0), 1500);
    net_fixture_settle(f);
    assert_int_equal(driver_receive(f), 1500);
}

static void test_work_per_turn_is_bounded(void **state)
{
    struct net_fixture *f = begin(0, 256);
    unsigned first = 0, all = 0;

    for (unsigned i = 0; i < 200; i++)
        net_fixture_add_receive(f, RX, 1526);
    for (unsigned i = 0; i < 100; i++)
        wire_send(f, 60, (uint8_t)i);
    assert_int_equal(event_loop_run_once(f->loop, 0), 1);
    while (driver_receive(f))
        first++;
    assert_true(first > 0 && first < 100);
    net_fixture_settle(f);
    while (driver_receive(f))
        all++;
    assert_int_equal(first + all, 100);
}

static void test_hostile_rings_need_a_reset(void **state)
{
    struct net_fixture_buffer outside = {NET_FIXTURE_MEMORY - 10, 100, true};
    struct net_fixture *f = begin(MERGED, 16);

    net_fixture_add_receive(f, RX, 11); /* no room for a header */
    wire_send(f, 60, 1);
    net_fixture_settle(f);
    assert_true(net_fixture_needs_reset(f));
    assert_int_equal(driver_receive(f), 0);

    net_fixture_start(f, MERGED, 16);
    net_fixture_add(f, RX, &outside, 1);
    wire_send(f, 60, 1);
    net_fixture_settle(f);
    assert_true(net_fixture_needs_reset(f));

    /* Works again after a reset; the packet that found no ring still waits in the tap. */
    net_fixture_start(f, MERGED, 16);
    net_fixture_add_receive(f, RX, 2048);
    net_fixture_settle(f);
    assert_received(f, 60);
}

static void test_readable_only_buffers_need_a_reset(void **state)
{
    struct net_fixture *f = begin(MERGED, 16);

    net_fixture_add_send(f, RX, sent, 2000);
    wire_send(f, 60, 1);
    net_fixture_settle(f);
    assert_true(net_fixture_needs_reset(f));
}

static void test_reset_forgets_a_half_delivered_packet(void **state)
{
    struct net_fixture *f = begin(MERGED, 16);

    net_fixture_add_receive(f, RX, 100);
    wire_send(f, 1000, 5);
    net_fixture_settle(f);
    net_fixture_start(f, 0, 16);
    net_fixture_add_receive(f, RX, 2048);
    wire_send(f, 80, 6);
    net_fixture_settle(f);
    assert_received(f, 80);
    assert_int_equal(driver_receive(f), 0);
    assert_false(net_fixture_needs_reset(f));
}

static void test_pause_and_resume(void **state)
{
    struct net_fixture *f = begin(MERGED, 16);

    net_fixture_add_receive(f, RX, 2048);
    virtio_device_pause(f->device);
    wire_send(f, 60, 1);
    net_fixture_settle(f);
    assert_int_equal(driver_receive(f), 0);
    virtio_device_resume(f->device);
    net_fixture_settle(f);
    assert_received(f, 60);

    /* Starved before the pause, refilled during it. */
    wire_send(f, 70, 2);
    net_fixture_settle(f);
    virtio_device_pause(f->device);
    net_fixture_add_receive(f, RX, 2048);
    net_fixture_kick(f, RX);
    net_fixture_settle(f);
    assert_int_equal(driver_receive(f), 0);
    virtio_device_resume(f->device);
    net_fixture_settle(f);
    assert_received(f, 70);
}

/* A rate too low to earn a token while the test runs. */
static void test_limit_holds_packets_back(void **state)
{
    struct net_fixture *f = &fixture;

    net_fixture_init(f, 1, false);
    f->config.rx_operations = (struct rate_limit){.per_second = 1, .burst = 3};
    f->config.rx_bandwidth = (struct rate_limit){.per_second = 1, .burst = 100};
    assert_int_equal(net_fixture_create(f), 0);
    net_fixture_start(f, MERGED, 16);
    for (unsigned i = 0; i < 8; i++)
        net_fixture_add_receive(f, RX, 2048);
    /* 100 bytes of burst pay for the first; the second is owed. */
    for (unsigned i = 0; i < 4; i++)
        wire_send(f, 100, 1);
    net_fixture_settle(f);
    assert_received(f, 100);
    assert_received(f, 100);
    assert_int_equal(driver_receive(f), 0);
    /* A reset does not pay. */
    net_fixture_start(f, MERGED, 16);
    net_fixture_add_receive(f, RX, 2048);
    net_fixture_settle(f);
    assert_int_equal(driver_receive(f), 0);
}

static void test_limited_packets_arrive_in_the_end(void **state)
{
    struct net_fixture *f = &fixture;
    unsigned received = 0;

    net_fixture_init(f, 1, false);
    f->config.rx_operations = (struct rate_limit){.per_second = 1000, .burst = 1};
    assert_int_equal(net_fixture_create(f), 0);
    net_fixture_start(f, MERGED, 64);
    for (unsigned i = 0; i < 20; i++) {
        net_fixture_add_receive(f, RX, 2048);
        wire_send(f, 60, (uint8_t)i);
    }
    while (received < 20) {
        assert_true(event_loop_run_once(f->loop, 10000) > 0);
        while (driver_receive(f))
            received++;
    }
}

static void test_broken_tap_does_not_spin(void **state)
{
    struct net_fixture *f = begin(MERGED, 16);

    net_fixture_add_receive(f, RX, 2048);
    close_fd(&f->wire[0]);
    net_fixture_settle(f);
    assert_false(net_fixture_needs_reset(f));
    net_fixture_kick(f, RX);
    net_fixture_settle(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_one_packet_in_one_buffer, end),
        cmocka_unit_test_teardown(test_merged_buffers_of_many_sizes, end),
        cmocka_unit_test_teardown(test_full_tap_and_full_ring_resume_after_a_refill, end),
        cmocka_unit_test_teardown(test_late_buffers_complete_a_packet, end),
        cmocka_unit_test_teardown(test_packet_larger_than_the_ring, end),
        cmocka_unit_test_teardown(test_without_merging_a_small_buffer_is_kept, end),
        cmocka_unit_test_teardown(test_runts_and_giants_are_dropped, end),
        cmocka_unit_test_teardown(test_mtu_is_kept_unless_segmented_later, end),
        cmocka_unit_test_teardown(test_work_per_turn_is_bounded, end),
        cmocka_unit_test_teardown(test_hostile_rings_need_a_reset, end),
        cmocka_unit_test_teardown(test_readable_only_buffers_need_a_reset, end),
        cmocka_unit_test_teardown(test_reset_forgets_a_half_delivered_packet, end),
        cmocka_unit_test_teardown(test_pause_and_resume, end),
        cmocka_unit_test_teardown(test_limit_holds_packets_back, end),
        cmocka_unit_test_teardown(test_limited_packets_arrive_in_the_end, end),
        cmocka_unit_test_teardown(test_broken_tap_does_not_spin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
