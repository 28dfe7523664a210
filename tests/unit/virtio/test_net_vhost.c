// SPDX-License-Identifier: Apache-2.0
/* The binding to vhost-net, against a simulated kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "base/bytes.h"
#include "base/io.h"
#include "tests/harness/net_fixture.h"

#define host net_fixture_host

static struct net_fixture fixture;

static struct net_fixture *begin(unsigned pairs)
{
    net_fixture_init(&fixture, pairs, true);
    host.vhost_backend[0] = host.vhost_backend[1] = -1;
    assert_int_equal(net_fixture_create(&fixture), 0);
    return &fixture;
}

static int end(void **state)
{
    net_fixture_release(&fixture);
    return 0;
}

static void test_offers_only_what_the_kernel_has(void **state)
{
    struct net_fixture *f = &fixture;

    net_fixture_init(f, 1, true);
    host.vhost_features = 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC;
    assert_int_equal(net_fixture_create(f), 0);
    assert_true(f->device->offered & 1ull << VIRTIO_RING_F_INDIRECT_DESC);
    assert_false(f->device->offered & 1ull << VIRTIO_RING_F_EVENT_IDX);
    assert_false(f->device->offered & 1ull << VIRTIO_NET_F_MRG_RXBUF);
    assert_true(f->device->offered & 1ull << VIRTIO_NET_F_CSUM);
    net_fixture_release(f);

    net_fixture_init(f, 1, true);
    host.vhost_features = 0;
    assert_int_equal(net_fixture_create(f), -ENOTSUP);
    assert_true(fcntl(f->vhost[0], F_GETFD) >= 0);
    assert_true(fcntl(f->tap[0], F_GETFD) >= 0);
}

static void test_start_and_reset(void **state)
{
    struct net_fixture *f = begin(1);

    net_fixture_start(f, 1ull << VIRTIO_NET_F_MRG_RXBUF | 1ull << VIRTIO_NET_F_CSUM, 64);
    assert_false(net_fixture_needs_reset(f));
    /* Only what concerns the worker. */
    assert_true(host.vhost_accepted ==
                (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_NET_F_MRG_RXBUF));
    assert_int_equal(host.vhost_regions, 1);
    for (unsigned ring = 0; ring < 2; ring++) {
        assert_true(host.vhost_backend[ring] >= 0);
        assert_int_equal(host.vhost_kick[ring].fd, f->kick_fd[ring]);
        assert_true(f->kick_taken[ring]);
        /* The worker looks at once for what the driver queued before. */
        assert_int_equal(eventfd_drain(f->kick_fd[ring]), 1);
        assert_int_equal(host.vhost_base[ring], 0);
    }

    virtio_device_set_status(f->device, 0);
    for (unsigned ring = 0; ring < 2; ring++) {
        assert_int_equal(host.vhost_backend[ring], -1);
        assert_int_equal(host.vhost_kick[ring].fd, -1);
        assert_false(f->kick_taken[ring]);
    }
    net_fixture_start(f, 0, 64);
    assert_true(host.vhost_backend[0] >= 0);
}

static void test_calls_become_interrupts(void **state)
{
    struct net_fixture *f = begin(1);

    net_fixture_start(f, 0, 64);
    eventfd_signal(host.vhost_call[1].fd);
    net_fixture_settle(f);
    assert_int_equal(f->interrupts[0], 0);
    assert_int_equal(f->interrupts[1], 1);
    eventfd_signal(host.vhost_call[0].fd);
    net_fixture_settle(f);
    assert_int_equal(f->interrupts[0], 1);
}

static void test_a_late_call_after_reset_is_nothing(void **state)
{
    struct net_fixture *f = begin(1);

    net_fixture_start(f, 0, 64);
    virtio_device_set_status(f->device, 0);
    eventfd_signal(host.vhost_call[0].fd);
    net_fixture_settle(f);
    assert_int_equal(f->interrupts[0], 0);
}

static void test_malformed_ring(void **state)
{
    struct net_fixture *f = begin(1);

    net_fixture_start(f, 0, 64);
    eventfd_signal(host.vhost_error[0].fd);
    net_fixture_settle(f);
    assert_true(net_fixture_needs_reset(f));
    assert_int_equal(host.vhost_backend[0], -1);
    net_fixture_start(f, 0, 64);
    assert_false(net_fixture_needs_reset(f));
}

static void test_pause_keeps_the_place(void **state)
{
    struct net_fixture *f = begin(1);

    net_fixture_start(f, 0, 64);
    host.vhost_base[0] = 17; /* where the worker got to */
    host.vhost_base[1] = 65535;
    eventfd_signal(host.vhost_call[1].fd);
    virtio_device_pause(f->device);
    assert_int_equal(host.vhost_backend[0], -1);
    assert_int_equal(host.vhost_backend[1], -1);
    assert_int_equal(f->interrupts[1], 1); /* what was decided before is not lost */
    assert_true(f->kick_taken[0]);         /* kicks collect meanwhile */
    host.vhost_base[0] = host.vhost_base[1] = 0;
    virtio_device_resume(f->device);
    assert_int_equal(host.vhost_base[0], 17);
    assert_int_equal(host.vhost_base[1], 65535);
    assert_true(host.vhost_backend[0] >= 0);
    assert_true(host.vhost_backend[1] >= 0);
}

static void test_started_while_paused(void **state)
{
    struct net_fixture *f = begin(1);

    virtio_device_pause(f->device);
    net_fixture_start(f, 0, 64);
    assert_int_equal(host.vhost_backend[0], -1);
    virtio_device_resume(f->device);
    assert_true(host.vhost_backend[0] >= 0);
}

/* Each call fails once; the device then needs a reset, holds nothing, and works after it. */
static void test_every_failing_call(void **state)
{
    struct net_fixture *f = begin(1);
    unsigned before = host.vhost_calls, calls;

    net_fixture_start(f, 0, 64);
    calls = host.vhost_calls - before;
    virtio_device_set_status(f->device, 0);
    for (unsigned at = 1; at <= calls; at++) {
        host.vhost_fail_at = host.vhost_calls + at;
        net_fixture_start(f, 0, 64);
        assert_true(net_fixture_needs_reset(f));
        assert_int_equal(host.vhost_backend[0], -1);
        assert_int_equal(host.vhost_backend[1], -1);
        assert_false(f->kick_taken[0]);
        assert_false(f->kick_taken[1]);
        host.vhost_fail_at = 0;
        net_fixture_start(f, 0, 64);
        assert_false(net_fixture_needs_reset(f));
        virtio_device_set_status(f->device, 0);
    }
}

static void test_pairs_are_started_on_request(void **state)
{
    uint8_t bytes[5] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0, 0xee};
    struct net_fixture *f = begin(2);
    uint64_t at;

    net_fixture_start(f, 1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_CTRL_VQ, 64);
    assert_false(f->kick_taken[2]);
    at = net_fixture_alloc(f, sizeof(bytes));
    memcpy(net_fixture_at(f, at, sizeof(bytes)), bytes, sizeof(bytes));
    net_fixture_add(f, 4, (struct net_fixture_buffer[]){{at, 4, false}, {at + 4, 1, true}}, 2);
    net_fixture_kick(f, 4);
    assert_int_equal(*(uint8_t *)net_fixture_at(f, at + 4, 1), VIRTIO_NET_OK);
    assert_true(f->kick_taken[2]);
    assert_true(f->kick_taken[3]);
    virtio_device_set_status(f->device, 0);
    assert_false(f->kick_taken[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_offers_only_what_the_kernel_has, end),
        cmocka_unit_test_teardown(test_start_and_reset, end),
        cmocka_unit_test_teardown(test_calls_become_interrupts, end),
        cmocka_unit_test_teardown(test_a_late_call_after_reset_is_nothing, end),
        cmocka_unit_test_teardown(test_malformed_ring, end),
        cmocka_unit_test_teardown(test_pause_keeps_the_place, end),
        cmocka_unit_test_teardown(test_started_while_paused, end),
        cmocka_unit_test_teardown(test_every_failing_call, end),
        cmocka_unit_test_teardown(test_pairs_are_started_on_request, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
