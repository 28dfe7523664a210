// SPDX-License-Identifier: Apache-2.0
/* devices/virtio/net_limit.c: limits that change while packets wait for them, and the counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/harness/net_fixture.h"

#define RX           0
#define TX           1
#define PACKET_BYTES 76u /* the header's 12 and a frame of 64 */
#define FRAME_BYTES  64u

static struct net_fixture fixture;
static uint8_t packet[PACKET_BYTES];

static const struct rate_limit unlimited = {0};
/* One packet now, a second is owed, the third would come a minute later. */
static const struct rate_limit slow = {.per_second = 1, .burst = FRAME_BYTES};
static const struct rate_limit one_packet = {.per_second = 1, .burst = 1}; /* more in a second */

static struct net_fixture *begin(void)
{
    net_fixture_init(&fixture, 1, false);
    memset(packet, 0, sizeof(packet));
    return &fixture;
}

static void start(struct net_fixture *f)
{
    assert_int_equal(net_fixture_create(f), 0);
    net_fixture_start(f, 0, 64);
    assert_false(net_fixture_needs_reset(f));
}

static int end(void **state)
{
    net_fixture_release(&fixture);
    return 0;
}

static unsigned packets_on_wire(struct net_fixture *f)
{
    uint8_t got[256];
    unsigned count = 0;

    while (recv(f->wire[0], got, sizeof(got), MSG_DONTWAIT) > 0)
        count++;
    return count;
}

static unsigned packets_received(struct net_fixture *f)
{
    unsigned count = 0;
    uint16_t head;
    uint32_t len;

    while (net_fixture_used(f, RX, &head, &len))
        count++;
    return count;
}

static void send_packets(struct net_fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        net_fixture_add_send(f, TX, packet, sizeof(packet));
    net_fixture_kick(f, TX);
}

static void offer_packets(struct net_fixture *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        net_fixture_add_receive(f, RX, 2048);
        assert_int_equal(send(f->wire[0], packet, sizeof(packet), 0), sizeof(packet));
    }
    net_fixture_kick(f, RX);
    net_fixture_settle(f);
}

/* Run the loop until nothing has happened for a while: timers that are due fire. */
static void run(struct net_fixture *f)
{
    while (event_loop_run_once(f->loop, 50) > 0)
        ;
}

static void sending_goes_on_when_the_limit_is_lifted(void **state)
{
    struct net_fixture *f = begin();
    struct virtio_net_stats stats;

    f->config.tx_bandwidth = slow;
    start(f);
    send_packets(f, 4);
    assert_int_equal(packets_on_wire(f), 2); /* the second is owed */
    assert_int_equal(virtio_net_set_limits(f->device,
                                           &(struct virtio_net_limits){
                                               .tx_bandwidth = &unlimited,
                                           }),
                     0);
    run(f);
    assert_int_equal(packets_on_wire(f), 2);
    virtio_net_read_stats(f->device, &stats);
    assert_int_equal(stats.tx_packets, 4);
    assert_int_equal(stats.tx_bytes, 4 * FRAME_BYTES);
    assert_true(stats.tx_throttled > 0);
    assert_int_equal(stats.rx_throttled, 0);
}

static void packets_are_limited_as_well(void **state)
{
    struct net_fixture *f = begin();
    struct virtio_net_stats stats;

    f->config.tx_operations = one_packet;
    start(f);
    send_packets(f, 4);
    assert_int_equal(virtio_net_set_limits(f->device,
                                           &(struct virtio_net_limits){
                                               .tx_operations = &unlimited,
                                           }),
                     0);
    run(f);
    assert_int_equal(packets_on_wire(f), 4);
    virtio_net_read_stats(f->device, &stats);
    assert_int_equal(stats.tx_packets, 4);
    assert_int_equal(stats.tx_bytes, 4 * FRAME_BYTES);
    assert_true(stats.tx_throttled > 0);
    assert_int_equal(stats.rx_throttled, 0);
}

static void receiving_goes_on_when_the_limit_is_lifted(void **state)
{
    struct net_fixture *f = begin();
    struct virtio_net_stats stats;

    f->config.rx_bandwidth = slow;
    start(f);
    offer_packets(f, 4);
    assert_int_equal(packets_received(f), 2);
    assert_int_equal(virtio_net_set_limits(f->device,
                                           &(struct virtio_net_limits){
                                               .rx_bandwidth = &unlimited,
                                           }),
                     0);
    run(f);
    assert_int_equal(packets_received(f), 2);
    virtio_net_read_stats(f->device, &stats);
    assert_int_equal(stats.rx_packets, 4);
    assert_int_equal(stats.rx_bytes, 4 * FRAME_BYTES);
    assert_true(stats.rx_throttled > 0);
}

static void limits_are_set(void **state)
{
    struct net_fixture *f = begin();

    start(f);
    send_packets(f, 4);
    offer_packets(f, 4);
    assert_int_equal(packets_on_wire(f), 4);
    assert_int_equal(packets_received(f), 4);
    assert_int_equal(virtio_net_set_limits(f->device,
                                           &(struct virtio_net_limits){
                                               .rx_operations = &one_packet,
                                               .tx_bandwidth = &slow,
                                           }),
                     0);
    send_packets(f, 4);
    offer_packets(f, 4);
    assert_int_equal(packets_on_wire(f), 2);
    assert_int_equal(packets_received(f), 2);
}

/* Only what is given changes. */
static void the_others_stay(void **state)
{
    struct net_fixture *f = begin();

    f->config.tx_bandwidth = slow;
    start(f);
    send_packets(f, 3);
    assert_int_equal(virtio_net_set_limits(f->device,
                                           &(struct virtio_net_limits){
                                               .tx_operations = &unlimited,
                                               .rx_bandwidth = &unlimited,
                                           }),
                     0);
    run(f);
    assert_int_equal(packets_on_wire(f), 2);
}

static void it_works_without_a_driver_and_paused(void **state)
{
    const struct virtio_net_limits limits = {.tx_bandwidth = &slow};
    struct net_fixture *f = begin();

    assert_int_equal(net_fixture_create(f), 0);
    assert_int_equal(virtio_net_set_limits(f->device, &limits), 0);
    net_fixture_start(f, 0, 64);
    virtio_device_pause(f->device);
    assert_int_equal(virtio_net_set_limits(f->device, &limits), 0);
    send_packets(f, 3);
    run(f);
    assert_int_equal(packets_on_wire(f), 0);
    virtio_device_resume(f->device);
    assert_int_equal(packets_on_wire(f), 2);
}

static void vhost_has_no_limits(void **state)
{
    struct net_fixture *f = &fixture;
    struct virtio_net_limits limits = {.tx_operations = &unlimited};
    struct virtio_net_stats stats;

    net_fixture_init(f, 1, true);
    assert_int_equal(net_fixture_create(f), 0);
    assert_int_equal(virtio_net_set_limits(f->device, &limits), 0);
    limits.rx_bandwidth = &slow;
    assert_int_equal(virtio_net_set_limits(f->device, &limits), -EOPNOTSUPP);
    virtio_net_read_stats(f->device, &stats);
    assert_int_equal(stats.rx_packets + stats.tx_packets, 0);
}

static void dropped_packets_are_counted(void **state)
{
    struct net_fixture *f = begin();
    struct virtio_net_stats stats;
    uint8_t large[2048] = {0};

    start(f);
    net_fixture_add_send(f, TX, packet, NET_HEADER_BYTES + 1); /* no frame */
    net_fixture_kick(f, TX);
    net_fixture_add_receive(f, RX, 256);
    net_fixture_kick(f, RX);
    assert_int_equal(send(f->wire[0], large, sizeof(large), 0), sizeof(large));
    net_fixture_settle(f);
    virtio_net_read_stats(f->device, &stats);
    assert_int_equal(stats.tx_dropped, 1);
    assert_int_equal(stats.rx_dropped, 1);
    assert_int_equal(stats.rx_packets + stats.tx_packets, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sending_goes_on_when_the_limit_is_lifted),
        TEST(packets_are_limited_as_well),
        TEST(receiving_goes_on_when_the_limit_is_lifted),
        TEST(limits_are_set),
        TEST(the_others_stay),
        TEST(it_works_without_a_driver_and_paused),
        TEST(vhost_has_no_limits),
        TEST(dropped_packets_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
