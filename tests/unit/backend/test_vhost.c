// SPDX-License-Identifier: Apache-2.0
/* The vhost calls against a simulated kernel: which ioctls, in which order, with which contents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <linux/vhost.h>

#include "base/checked.h"
#include "devices/backend/tap.h"
#include "devices/backend/vhost.h"

static struct fake_kernel {
    unsigned long requests[16];
    unsigned count;
    unsigned fail_at; /* 1 for the first call; 0 for never */
    struct vhost_vring_state state;
    struct vhost_vring_addr address;
    struct vhost_vring_file file;
    unsigned char memory[4096];
} fake;

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
    assert_int_equal(fd, 42);
    assert_true(fake.count < ARRAY_SIZE(fake.requests));
    fake.requests[fake.count++] = request;
    if (fake.count == fake.fail_at)
        return -EFAULT;
    switch (request) {
    case VHOST_GET_FEATURES:
        *(uint64_t *)arg = 0x1234;
        break;
    case VHOST_GET_VRING_BASE:
        ((struct vhost_vring_state *)arg)->num = 77;
        break;
    case VHOST_SET_VRING_NUM:
        fake.state = *(struct vhost_vring_state *)arg;
        break;
    case VHOST_SET_VRING_ADDR:
        fake.address = *(struct vhost_vring_addr *)arg;
        break;
    case VHOST_SET_VRING_KICK:
    case VHOST_NET_SET_BACKEND:
        fake.file = *(struct vhost_vring_file *)arg;
        break;
    case VHOST_SET_MEM_TABLE: {
        const struct vhost_memory *table = arg;

        memcpy(fake.memory, table,
               sizeof(*table) + table->nregions * sizeof(struct vhost_memory_region));
        break;
    }
    default:
        break;
    }
    return 0;
}

static const struct vhost vhost = {.fd = 42, .ioctl = fake_ioctl};
static char desc, avail, used;
static const struct vhost_ring ring = {.index = 1,
                                       .size = 128,
                                       .base = 9,
                                       .desc = &desc,
                                       .avail = &avail,
                                       .used = &used,
                                       .kick_fd = 3,
                                       .call_fd = 4,
                                       .error_fd = 5};

static int forget(void **state)
{
    memset(&fake, 0, sizeof(fake));
    return 0;
}

static void test_ring_is_described_before_it_may_be_kicked(void **state)
{
    static const unsigned long expected[] = {VHOST_SET_VRING_NUM,  VHOST_SET_VRING_BASE,
                                             VHOST_SET_VRING_ADDR, VHOST_SET_VRING_CALL,
                                             VHOST_SET_VRING_ERR,  VHOST_SET_VRING_KICK};

    assert_int_equal(vhost_start_ring(&vhost, &ring), 0);
    assert_int_equal(fake.count, ARRAY_SIZE(expected));
    assert_memory_equal(fake.requests, expected, sizeof(expected));
    assert_int_equal(fake.state.index, 1);
    assert_int_equal(fake.state.num, 128);
    assert_int_equal(fake.address.desc_user_addr, (uintptr_t)&desc);
    assert_int_equal(fake.address.avail_user_addr, (uintptr_t)&avail);
    assert_int_equal(fake.address.used_user_addr, (uintptr_t)&used);
    assert_int_equal(fake.address.flags, 0);
    assert_int_equal(fake.file.fd, 3);
}

static void test_a_failing_call_ends_the_description(void **state)
{
    for (unsigned at = 1; at <= 6; at++) {
        forget(state);
        fake.fail_at = at;
        assert_int_equal(vhost_start_ring(&vhost, &ring), -EFAULT);
        assert_int_equal(fake.count, at);
    }
}

static void test_stop_lets_go_of_the_kick_and_says_where_to_go_on(void **state)
{
    uint16_t base = 0;

    assert_int_equal(vhost_stop_ring(&vhost, 1, &base), 0);
    assert_int_equal(base, 77);
    assert_int_equal(fake.file.fd, -1);
    forget(state);
    fake.fail_at = 2;
    base = 5;
    assert_int_equal(vhost_stop_ring(&vhost, 1, &base), -EFAULT);
    assert_int_equal(base, 5);
}

static void test_memory_table(void **state)
{
    struct vhost_region regions[VHOST_MAX_REGIONS + 1] = {{.gpa = 0, .size = 0x1000, .hva = &desc},
                                                          {.gpa = 1ull << 32, .size = 0x2000}};
    const struct vhost_memory *table = (const struct vhost_memory *)fake.memory;

    assert_int_equal(vhost_set_memory(&vhost, regions, 2), 0);
    assert_int_equal(table->nregions, 2);
    assert_int_equal(table->regions[0].userspace_addr, (uintptr_t)&desc);
    assert_int_equal(table->regions[0].flags_padding, 0);
    assert_int_equal(table->regions[1].guest_phys_addr, 1ull << 32);
    assert_int_equal(table->regions[1].memory_size, 0x2000);
    assert_int_equal(vhost_set_memory(&vhost, regions, VHOST_MAX_REGIONS + 1), -E2BIG);
}

static void test_features_and_backend(void **state)
{
    uint64_t features = 0;

    assert_int_equal(vhost_set_owner(&vhost), 0);
    assert_int_equal(vhost_get_features(&vhost, &features), 0);
    assert_int_equal(features, 0x1234);
    assert_int_equal(vhost_set_features(&vhost, features), 0);
    assert_int_equal(vhost_net_set_backend(&vhost, 0, 8), 0);
    assert_int_equal(fake.file.index, 0);
    assert_int_equal(fake.file.fd, 8);
}

static void test_open_all_or_nothing(void **state)
{
    struct husk_error err;
    int fds[2];

    if (access("/dev/vhost-net", R_OK | W_OK) == 0) {
        assert_int_equal(vhost_net_open(2, fds, &err), 0);
        close(fds[0]);
        close(fds[1]);
        return;
    }
    assert_true(vhost_net_open(2, fds, &err) < 0);
    assert_string_equal(err.where, "/dev/vhost-net");
    assert_int_equal(fds[0], -1);
    assert_int_equal(fds[1], -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_ring_is_described_before_it_may_be_kicked, forget),
        cmocka_unit_test_setup(test_a_failing_call_ends_the_description, forget),
        cmocka_unit_test_setup(test_stop_lets_go_of_the_kick_and_says_where_to_go_on, forget),
        cmocka_unit_test_setup(test_memory_table, forget),
        cmocka_unit_test_setup(test_features_and_backend, forget),
        cmocka_unit_test_setup(test_open_all_or_nothing, forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
