// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/host_pods.h"

static char top[32];

static int make_place(void **state)
{
    strcpy(top, "/tmp/husk-host-XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int remove_place(void **state)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -r %s", top);
    return system(command);
}

static void make(const char *name, mode_t mode)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", top, name);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    close(fd);
}

static void nothing_there(void **state)
{
    struct host_pods pods;

    host_look_at_pods("/no/such", "/no/such:/neither", &pods);
    assert_int_equal(pods.networks, 0);
    assert_string_equal(pods.first, "");
    assert_false(pods.has_plugins);
    host_look_at_pods(top, "", &pods);
    assert_int_equal(pods.networks, 0);
    assert_false(pods.has_plugins);
}

static void networks_and_plugins(void **state)
{
    struct host_pods pods;
    char path[64];

    make("20-b.conf", 0600);
    make("10-a.conflist", 0600);
    make(".hidden.conf", 0600);
    make("README", 0600);
    make("loopback", 0600);
    snprintf(path, sizeof(path), "/no/such:%s", top);
    host_look_at_pods(top, path, &pods);
    assert_int_equal(pods.networks, 2);
    assert_string_equal(pods.first, "10-a.conflist");
    assert_false(pods.has_plugins); /* it is no program */

    snprintf(path, sizeof(path), "%s/loopback", top);
    assert_int_equal(chmod(path, 0700), 0);
    snprintf(path, sizeof(path), "/no/such:%s:/neither", top);
    host_look_at_pods(top, path, &pods);
    assert_true(pods.has_plugins);
}

/* What it is depends on the host: that there is an answer, and one that doctor has words for. */
static void nftables(void **state)
{
    struct host_pods pods;

    host_look_at_pods(top, "", &pods);
    assert_in_range(-pods.nftables, 0, 4095);
    assert_int_not_equal(pods.nftables, -EPROTO);
    assert_int_not_equal(pods.nftables, -EAGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_there, make_place, remove_place),
        cmocka_unit_test_setup_teardown(networks_and_plugins, make_place, remove_place),
        cmocka_unit_test_setup_teardown(nftables, make_place, remove_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
