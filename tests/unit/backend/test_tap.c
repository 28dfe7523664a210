// SPDX-License-Identifier: Apache-2.0
/* tap_open() against real interfaces, in a network namespace of the test's own (needs root). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/if_tun.h>

#include "devices/backend/tap.h"

struct fixture {
    char why_not[128]; /* why the tests with interfaces cannot run; empty when they can */
};

/* Makes a persistent interface, as `ip tuntap add` does. Returns 0 or -errno. */
static int make_interface(const char *name, short flags)
{
    struct ifreq request = {.ifr_flags = flags};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    int ret = 0;

    if (fd < 0)
        return -errno;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETPERSIST, 1L) < 0)
        ret = -errno;
    close(fd);
    return ret;
}

static int enter_namespace(void **state)
{
    static struct fixture fixture;
    int ret;

    *state = &fixture;
    if (unshare(CLONE_NEWNET) < 0) {
        snprintf(fixture.why_not, sizeof(fixture.why_not),
                 "cannot make a network namespace (%s): run as root", strerror(errno));
        return 0;
    }
    ret = make_interface("single", IFF_TAP | IFF_NO_PI);
    if (ret == 0)
        ret = make_interface("multi", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
    if (ret == 0)
        ret = make_interface("routed", IFF_TUN | IFF_NO_PI);
    if (ret)
        snprintf(fixture.why_not, sizeof(fixture.why_not), "cannot make a tap interface (%s)",
                 strerror(-ret));
    return 0;
}

static void need_interfaces(void **state)
{
    const struct fixture *fixture = *state;

    if (fixture->why_not[0]) {
        print_message("skipped: %s\n", fixture->why_not);
        skip();
    }
}

static void test_impossible_names(void **state)
{
    struct husk_error err;
    int fd;

    assert_int_equal(tap_open("", 1, &fd, &err), -EINVAL);
    assert_int_equal(tap_open("a-name-too-long-", 1, &fd, &err), -EINVAL);
    assert_string_equal(err.where, "a-name-too-long-");
    assert_int_equal(tap_open("single", 0, &fd, &err), -EINVAL);
    assert_int_equal(tap_open("", 1, &fd, NULL), -EINVAL);
}

static void test_missing_interface_is_not_created(void **state)
{
    struct husk_error err;
    int fd = 7;

    assert_int_equal(tap_open("nosuch0", 1, &fd, &err), -ENODEV);
    assert_string_equal(err.where, "nosuch0");
    assert_non_null(strstr(err.why, "ip tuntap add nosuch0"));
    assert_int_equal(if_nametoindex("nosuch0"), 0);
    /* the kernel would fill in the number of a pattern */
    assert_int_equal(tap_open("nosuch%d", 1, &fd, &err), -ENODEV);
}

static void test_other_interfaces_are_refused(void **state)
{
    struct husk_error err;
    int fds[2];

    need_interfaces(state);
    assert_int_equal(tap_open("lo", 1, fds, &err), -EINVAL);
    assert_string_equal(err.why, "it is not a tap interface");
    assert_int_equal(tap_open("lo", 2, fds, &err), -EINVAL);
    assert_string_equal(err.why, "it is not a tap interface");
    assert_int_equal(tap_open("routed", 1, fds, &err), -EINVAL);
    assert_string_equal(err.why, "it is not a tap interface");
    assert_int_equal(fds[0], -1);
}

static void test_single_queue(void **state)
{
    struct husk_error err;
    struct ifreq request;
    int fd, other, header_size = 0;

    need_interfaces(state);
    assert_int_equal(tap_open("single", 1, &fd, &err), 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(ioctl(fd, TUNGETIFF, &request), 0);
    assert_string_equal(request.ifr_name, "single");
    assert_true(request.ifr_flags & IFF_VNET_HDR);
    assert_true(request.ifr_flags & IFF_NO_PI);
    assert_int_equal(ioctl(fd, TUNGETVNETHDRSZ, &header_size), 0);
    assert_int_equal(header_size, 12);
    assert_int_equal(tap_set_offload(fd, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN), 0);
    assert_int_equal(tap_set_offload(fd, 0), 0);

    assert_int_equal(tap_open("single", 1, &other, &err), -EBUSY);
    assert_string_equal(err.why, "it is in use by another process");
    close(fd);
    /* and again */
    assert_int_equal(tap_open("single", 1, &fd, &err), 0);
    close(fd);
}

static void test_more_queues_than_the_interface_has(void **state)
{
    struct husk_error err;
    int fds[2], fd;

    need_interfaces(state);
    assert_int_equal(tap_open("single", 2, fds, &err), -EINVAL);
    assert_non_null(strstr(err.why, "multi_queue"));
    assert_int_equal(fds[0], -1);
    assert_int_equal(fds[1], -1);
    /* nothing stays attached */
    assert_int_equal(tap_open("single", 1, &fd, &err), 0);
    close(fd);
}

static void test_multi_queue(void **state)
{
    struct husk_error err;
    int fds[4];

    need_interfaces(state);
    assert_int_equal(tap_open("multi", 1, fds, &err), 0);
    close(fds[0]);
    assert_int_equal(tap_open("multi", 4, fds, &err), 0);
    assert_int_equal(tap_set_queue_enabled(fds[3], 0), 0);
    assert_int_equal(tap_set_queue_enabled(fds[3], 0), -EINVAL);
    assert_int_equal(tap_set_queue_enabled(fds[3], 1), 0);
    for (unsigned i = 0; i < 4; i++)
        close(fds[i]);
}

static void test_not_a_tap_descriptor(void **state)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(tap_set_header_size(pair[0], 12), -ENOTTY);
    assert_int_equal(tap_set_offload(pair[0], 0), -ENOTTY);
    assert_int_equal(tap_set_queue_enabled(pair[0], 1), -ENOTTY);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_names),
        cmocka_unit_test(test_missing_interface_is_not_created),
        cmocka_unit_test(test_other_interfaces_are_refused),
        cmocka_unit_test(test_single_queue),
        cmocka_unit_test(test_more_queues_than_the_interface_has),
        cmocka_unit_test(test_multi_queue),
        cmocka_unit_test(test_not_a_tap_descriptor),
    };

    return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
