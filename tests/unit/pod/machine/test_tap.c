// SPDX-License-Identifier: Apache-2.0
/* A tap in a network namespace of the test's own is attached to from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "pod/machine/tap.h"

struct place {
    int netns, tap; /* tap: keeps it in being */
};

static void *make(void *arg)
{
    struct ifreq request = {.ifr_name = "husktest0",
                            .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    struct place *place = arg;

    if (unshare(CLONE_NEWNET) < 0)
        return NULL;
    place->netns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    place->tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (place->tap >= 0 &&
        (ioctl(place->tap, TUNSETIFF, &request) < 0 || ioctl(place->tap, TUNSETPERSIST, 1) < 0)) {
        close(place->tap);
        place->tap = -1;
    }
    return NULL;
}

static void attaches_there(void **state)
{
    struct place place = {.netns = -1, .tap = -1};
    struct husk_error err;
    struct ifreq request;
    char path[64];
    pthread_t thread;
    int fd;

    assert_int_equal(pthread_create(&thread, NULL, make, &place), 0);
    pthread_join(thread, NULL);
    if (place.netns < 0 || place.tap < 0) {
        print_message("skipped: no network namespace or no tap can be made here\n");
        close(place.netns);
        skip();
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", place.netns);
    fd = pod_machine_tap_open(path, "husktest0", &err);
    assert_int_equal(fd, -EBUSY); /* its one queue is taken */
    assert_string_equal(err.where, "husktest0");
    close(place.tap);
    fd = pod_machine_tap_open(path, "husktest0", &err);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, TUNGETIFF, &request), 0);
    assert_string_equal(request.ifr_name, "husktest0");
    assert_int_equal(if_nametoindex("husktest0"), 0); /* we did not go there */
    close(fd);
    assert_int_equal(pod_machine_tap_open(path, "other0", &err), -ENODEV);
    assert_string_equal(err.where, "other0");
    close(place.netns);
    assert_int_equal(pod_machine_tap_open("/nonexistent", "husktest0", &err), -ENOENT);
    assert_string_equal(err.where, "/nonexistent");
    assert_int_equal(pod_machine_tap_open("/dev/null", "husktest0", &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attaches_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
