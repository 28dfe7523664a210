// SPDX-License-Identifier: Apache-2.0
/* The device, its control queue, and one pass over a real tap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_ring.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"
#include "devices/backend/tap.h"
#include "tests/harness/net_fixture.h"

#define MULTIQUEUE (1ull << VIRTIO_NET_F_MQ | 1ull << VIRTIO_NET_F_CTRL_VQ)
#define CONTROL    (2 * NET_FIXTURE_PAIRS)

static struct net_fixture fixture;

static struct net_fixture *begin(unsigned pairs)
{
    net_fixture_init(&fixture, pairs, false);
    assert_int_equal(net_fixture_create(&fixture), 0);
    return &fixture;
}

static int end(void **state)
{
    net_fixture_release(&fixture);
    return 0;
}

static void test_offered_features(void **state)
{
    const uint64_t always = 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM |
                            1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_GUEST_TSO6 |
                            1ull << VIRTIO_NET_F_GUEST_ECN | 1ull << VIRTIO_NET_F_HOST_TSO4 |
                            1ull << VIRTIO_NET_F_HOST_TSO6 | 1ull << VIRTIO_NET_F_HOST_ECN |
                            1ull << VIRTIO_NET_F_MRG_RXBUF | 1ull << VIRTIO_NET_F_MAC |
                            1ull << VIRTIO_NET_F_STATUS | 1ull << VIRTIO_F_VERSION_1 |
                            1ull << VIRTIO_RING_F_EVENT_IDX | 1ull << VIRTIO_RING_F_INDIRECT_DESC;
    struct net_fixture *f = begin(1);

    assert_true(f->device->offered == always);
    assert_int_equal(f->device->queue_count, 2);
    assert_int_equal(f->device->id, 1);
    net_fixture_release(f);

    net_fixture_init(f, 2, false);
    f->config.mtu = 1400;
    assert_int_equal(net_fixture_create(f), 0);
    assert_true(f->device->offered == (always | MULTIQUEUE | 1ull << VIRTIO_NET_F_MTU));
    assert_int_equal(f->device->queue_count, 5);
}

static void test_configuration_space(void **state)
{
    struct net_fixture *f = &fixture;
    uint8_t space[12], one;

    net_fixture_init(f, 3, false);
    f->config.mtu = 1400;
    assert_int_equal(net_fixture_create(f), 0);
    virtio_device_config_read(f->device, 0, space, sizeof(space));
    assert_memory_equal(space, f->config.mac, 6);
    assert_int_equal(get_le16(space + 6), 1);
    assert_int_equal(get_le16(space + 8), 3);
    assert_int_equal(get_le16(space + 10), 1400);
    virtio_device_config_write(f->device, 0, "xxxxxx", 6);
    virtio_device_config_read(f->device, 0, &one, 1);
    assert_int_equal(one, f->config.mac[0]);
    virtio_device_config_read(f->device, 12, &one, 1);
    assert_int_equal(one, 0xff);
}

static void test_failed_creation_keeps_nothing(void **state)
{
    struct net_fixture *f = &fixture;

    net_fixture_init(f, 0, false);
    assert_int_equal(net_fixture_create(f), -EINVAL);
    f->config.queue_pairs = NET_MAX_PAIRS + 1;
    assert_int_equal(net_fixture_create(f), -EINVAL);
    f->config.queue_pairs = 2;
    close_fd(&f->tap[1]);
    assert_int_equal(net_fixture_create(f), -EBADF);
    assert_true(fcntl(f->tap[0], F_GETFD) >= 0);
    assert_null(f->device);
    /* The real tap functions refuse what is no tap. */
    f->config.queue_pairs = 1;
    assert_int_equal(virtio_net_create(&f->env, &f->config, &f->device), -ENOTTY);
    assert_null(f->device);
}

static void test_offloads_follow_the_driver(void **state)
{
    const uint64_t csum = 1ull << VIRTIO_NET_F_GUEST_CSUM, tso4 = 1ull << VIRTIO_NET_F_GUEST_TSO4,
                   tso6 = 1ull << VIRTIO_NET_F_GUEST_TSO6, ecn = 1ull << VIRTIO_NET_F_GUEST_ECN;
    struct net_fixture *f = begin(1);

    net_fixture_start(f, csum | tso4 | tso6 | ecn, 16);
    assert_int_equal(net_fixture_host.offload,
                     TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN);
    net_fixture_start(f, csum | tso4, 16);
    assert_int_equal(net_fixture_host.offload, TUN_F_CSUM | TUN_F_TSO4);
    net_fixture_start(f, tso4 | ecn, 16); /* nothing without GUEST_CSUM */
    assert_int_equal(net_fixture_host.offload, 0);
    net_fixture_start(f, csum | ecn, 16);
    assert_int_equal(net_fixture_host.offload, TUN_F_CSUM);

    net_fixture_host.offload_result = -EINVAL;
    net_fixture_start(f, csum, 16);
    assert_true(net_fixture_needs_reset(f));
}

/* ---- control queue ---- */

/* Send a command in pieces of at most `piece` bytes; returns the answer. */
static uint8_t command(struct net_fixture *f, unsigned queue, const uint8_t *bytes, uint32_t len,
                       uint32_t piece)
{
    uint64_t at = net_fixture_alloc(f, len + 1);
    struct net_fixture_buffer buffers[16];
    unsigned count = 0;
    uint16_t head;
    uint32_t written;

    memcpy(net_fixture_at(f, at, len + 1), bytes, len);
    *(uint8_t *)net_fixture_at(f, at + len, 1) = 0xee;
    for (uint32_t done = 0; done < len; done += piece)
        buffers[count++] =
            (struct net_fixture_buffer){at + done, (uint32_t)min_u64(piece, len - done), false};
    buffers[count++] = (struct net_fixture_buffer){at + len, 1, true};
    net_fixture_add(f, queue, buffers, count);
    net_fixture_kick(f, queue);
    assert_true(net_fixture_used(f, queue, &head, &written));
    assert_int_equal(written, 1);
    return *(uint8_t *)net_fixture_at(f, at + len, 1);
}

static uint8_t set_pairs(struct net_fixture *f, unsigned queue, uint16_t pairs)
{
    uint8_t bytes[4] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET};

    put_le16(bytes + 2, pairs);
    return command(f, queue, bytes, sizeof(bytes), 4);
}

static void test_pairs_set_bounds(void **state)
{
    struct net_fixture *f = begin(NET_FIXTURE_PAIRS);

    net_fixture_start(f, MULTIQUEUE, 16);
    assert_int_equal(set_pairs(f, CONTROL, 1), VIRTIO_NET_OK);
    assert_int_equal(set_pairs(f, CONTROL, NET_FIXTURE_PAIRS), VIRTIO_NET_OK);
    assert_int_equal(set_pairs(f, CONTROL, 2), VIRTIO_NET_OK);
    assert_int_equal(set_pairs(f, CONTROL, 0), VIRTIO_NET_ERR);
    assert_int_equal(set_pairs(f, CONTROL, NET_FIXTURE_PAIRS + 1), VIRTIO_NET_ERR);
    assert_int_equal(set_pairs(f, CONTROL, 0xffff), VIRTIO_NET_ERR);
    net_fixture_host.queue_result = -EINVAL;
    assert_int_equal(set_pairs(f, CONTROL, 3), VIRTIO_NET_ERR);
    assert_false(net_fixture_needs_reset(f));
}

/* 2.7.10: with EVENT_IDX the driver kicks when its index passes avail_event, which therefore has to
 * follow it: a driver waits for each answer. */
static void test_each_command_is_announced(void **state)
{
    struct net_fixture *f = begin(2);
    const struct virtqueue *queue;

    net_fixture_start(f, 1ull << VIRTIO_RING_F_EVENT_IDX | MULTIQUEUE, 16);
    queue = &f->device->queues[4];
    for (uint16_t sent = 1; sent <= 3; sent++) {
        assert_int_equal(set_pairs(f, 4, 1), VIRTIO_NET_OK);
        assert_int_equal(get_le16((const uint8_t *)queue->used + 4 + 8 * 16), sent);
    }
}

static void test_commands_in_any_layout(void **state)
{
    const uint8_t good[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, 2, 0};
    const uint8_t other_command[] = {VIRTIO_NET_CTRL_MQ, 77, 2, 0};
    const uint8_t other_class[] = {VIRTIO_NET_CTRL_RX, 0, 1, 0};
    struct net_fixture *f = begin(NET_FIXTURE_PAIRS);

    net_fixture_start(f, MULTIQUEUE, 64);
    for (uint32_t piece = 1; piece <= 4; piece++) {
        assert_int_equal(command(f, CONTROL, good, 4, piece), VIRTIO_NET_OK);
        assert_int_equal(command(f, CONTROL, good, 3, piece), VIRTIO_NET_ERR);
        assert_int_equal(command(f, CONTROL, good, 1, piece), VIRTIO_NET_ERR);
        assert_int_equal(command(f, CONTROL, other_command, 4, piece), VIRTIO_NET_ERR);
        assert_int_equal(command(f, CONTROL, other_class, 4, piece), VIRTIO_NET_ERR);
        assert_int_equal(command(f, CONTROL, other_class, 3, piece), VIRTIO_NET_ERR);
    }
}

static void test_no_room_for_the_answer(void **state)
{
    struct net_fixture *f = begin(2);

    net_fixture_start(f, MULTIQUEUE, 16);
    net_fixture_add_send(f, 4, "\4\0\1", 4);
    net_fixture_kick(f, 4);
    assert_true(net_fixture_needs_reset(f));
}

static void test_control_queue_moves_without_multiqueue(void **state)
{
    struct net_fixture *f = begin(NET_FIXTURE_PAIRS);

    net_fixture_start(f, 1ull << VIRTIO_NET_F_CTRL_VQ, 16);
    assert_int_equal(set_pairs(f, 2, 1), VIRTIO_NET_ERR);
}

/* Receives on the pairs that are in service only, and on all of those. */
static void test_pairs_in_service(void **state)
{
    struct net_fixture *f = begin(3);
    uint8_t frame[72] = {0};
    uint16_t head;
    uint32_t len;

    for (unsigned round = 0; round < 2; round++) {
        net_fixture_start(f, MULTIQUEUE, 16);
        for (unsigned pair = 0; pair < 3; pair++) {
            net_fixture_add_receive(f, 2 * pair, 2048);
            net_fixture_add_receive(f, 2 * pair, 2048);
            assert_int_equal(send(f->wire[pair], frame, sizeof(frame), 0), sizeof(frame));
            net_fixture_add_send(f, 2 * pair + 1, frame, sizeof(frame));
            net_fixture_kick(f, 2 * pair + 1);
        }
        net_fixture_settle(f);
        assert_true(net_fixture_used(f, 0, &head, &len));
        assert_false(net_fixture_used(f, 2, &head, &len));
        assert_false(net_fixture_used(f, 3, &head, &len));

        /* What waited is served at once; the third pair still waits. */
        assert_int_equal(set_pairs(f, 6, 2), VIRTIO_NET_OK);
        net_fixture_settle(f);
        assert_true(net_fixture_used(f, 2, &head, &len));
        assert_int_equal(len, sizeof(frame));
        assert_true(net_fixture_used(f, 3, &head, &len));
        assert_false(net_fixture_used(f, 4, &head, &len));

        /* Out of service again: no packet more, though buffers are there. */
        net_fixture_add_receive(f, 2, 2048);
        net_fixture_kick(f, 2);
        while (net_fixture_used(f, 2, &head, &len))
            ;
        assert_int_equal(set_pairs(f, 6, 1), VIRTIO_NET_OK);
        assert_int_equal(send(f->wire[1], frame, sizeof(frame), 0), sizeof(frame));
        net_fixture_settle(f);
        assert_false(net_fixture_used(f, 2, &head, &len));
    }
}

/* ---- a real tap ---- */

static int host_socket(const char *name)
{
    struct ifreq request = {0};
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_true(fd >= 0);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags |= IFF_UP;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    address.sll_ifindex = (int)if_nametoindex(name);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Whether a frame of our ethertype arrives; the kernel sends some of its own. */
static bool receives_ours(int fd, const uint8_t *frame, size_t size)
{
    uint8_t got[2048];
    ssize_t len;

    while ((len = recv(fd, got, sizeof(got), 0)) > 0) {
        if ((size_t)len == size && memcmp(got, frame, size) == 0)
            return true;
    }
    return false;
}

static void test_real_tap(void **state)
{
    struct ifreq request = {.ifr_name = "husk0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    uint8_t packet[12 + 64] = {0}, *frame = packet + 12, *seen;
    struct net_fixture *f = &fixture;
    int tun, host;
    uint16_t head;
    uint32_t len;
    bool arrived = false;

    net_fixture_init(f, 1, false);
    if (unshare(CLONE_NEWNET) < 0) {
        print_message("skipped: cannot make a network namespace (%s): run as root\n",
                      strerror(errno));
        skip();
    }
    tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request) < 0 || ioctl(tun, TUNSETPERSIST, 1L) < 0) {
        print_message("skipped: cannot make a tap interface (%s)\n", strerror(errno));
        close_fd(&tun);
        skip();
    }
    close_fd(&tun);
    close_fd(&f->tap[0]);
    assert_int_equal(tap_open("husk0", 1, f->tap, NULL), 0);
    assert_int_equal(virtio_net_create(&f->env, &f->config, &f->device), 0);
    f->tap[0] = -1;
    host = host_socket("husk0");
    net_fixture_start(f,
                      1ull << VIRTIO_NET_F_MRG_RXBUF | 1ull << VIRTIO_NET_F_GUEST_CSUM |
                          1ull << VIRTIO_NET_F_GUEST_TSO4 | 1ull << VIRTIO_NET_F_CSUM,
                      64);
    assert_false(net_fixture_needs_reset(f));

    memset(frame, 0xff, 6);
    memcpy(frame + 6, f->config.mac, 6);
    frame[12] = 0x88; /* local experimental ethertype */
    frame[13] = 0xb5;
    net_fixture_add_send(f, 1, packet, sizeof(packet));
    net_fixture_kick(f, 1);
    assert_true(net_fixture_used(f, 1, &head, &len));
    assert_true(receives_ours(host, frame, 64));

    for (unsigned i = 0; i < 32; i++)
        net_fixture_add_receive(f, 0, 2048);
    frame[20] = 0x77;
    assert_int_equal(send(host, frame, 64, 0), 64);
    for (unsigned i = 0; i < 100 && !arrived; i++) {
        event_loop_run_once(f->loop, 100);
        while (net_fixture_used(f, 0, &head, &len)) {
            seen = net_fixture_at(f, net_fixture_buffer_of(f, 0, head), len);
            arrived = arrived || (len == sizeof(packet) && memcmp(seen + 12, frame, 64) == 0);
        }
    }
    assert_true(arrived);

    /* A checksum beyond the frame's end never reaches the kernel; one inside a frame without IP
     * does, whatever it thinks of it. */
    packet[NET_HDR_FLAGS] = 1;
    put_le16(packet + NET_HDR_CSUM_START, 14);
    net_fixture_add_send(f, 1, packet, sizeof(packet));
    net_fixture_kick(f, 1);
    assert_true(net_fixture_used(f, 1, &head, &len));
    assert_false(net_fixture_needs_reset(f));
    close(host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_offered_features, end),
        cmocka_unit_test_teardown(test_configuration_space, end),
        cmocka_unit_test_teardown(test_failed_creation_keeps_nothing, end),
        cmocka_unit_test_teardown(test_offloads_follow_the_driver, end),
        cmocka_unit_test_teardown(test_pairs_set_bounds, end),
        cmocka_unit_test_teardown(test_each_command_is_announced, end),
        cmocka_unit_test_teardown(test_commands_in_any_layout, end),
        cmocka_unit_test_teardown(test_no_room_for_the_answer, end),
        cmocka_unit_test_teardown(test_control_queue_moves_without_multiqueue, end),
        cmocka_unit_test_teardown(test_pairs_in_service, end),
        cmocka_unit_test_teardown(test_real_tap, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
