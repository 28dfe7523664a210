// SPDX-License-Identifier: Apache-2.0
/* vmm/config_ids.c: ids given and made up, finding and removing devices by them; results for
 * structs of other releases. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "vmm/config.h"

static int setup(void **state)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;
    struct machine_config *config = malloc(sizeof(*config));

    options.kernel_path = "vmlinux";
    *state = config;
    return machine_config_init(config, &options, NULL);
}

static int teardown(void **state)
{
    machine_config_release(*state);
    free(*state);
    return 0;
}

static int add_drive(struct machine_config *config, const char *id, const char *path,
                     struct husk_error *err)
{
    struct husk_drive_options options = HUSK_DRIVE_OPTIONS_INIT;

    options.id = id;
    options.path = path;
    return machine_config_add_drive(config, &options, err);
}

static int add_net(struct machine_config *config, const char *id, const char *tap_name,
                   struct husk_error *err)
{
    struct husk_net_options options = HUSK_NET_OPTIONS_INIT;

    options.id = id;
    options.tap_name = tap_name;
    return machine_config_add_net(config, &options, err);
}

static void ids_are_made_up(void **state)
{
    struct machine_config *config = *state;

    assert_int_equal(add_drive(config, NULL, "a", NULL), 0);
    assert_int_equal(add_drive(config, "root", "b", NULL), 0);
    assert_int_equal(add_drive(config, NULL, "c", NULL), 0);
    assert_int_equal(add_net(config, NULL, "tap0", NULL), 0);
    assert_string_equal(config->drives[0].id, "drive1");
    assert_string_equal(config->drives[1].id, "root");
    assert_string_equal(config->drives[2].id, "drive3");
    assert_string_equal(config->nets[0].id, "net1");
}

/* The next position's name may be taken, by the caller or because a device before it has gone. */
static void made_up_ids_give_way(void **state)
{
    struct machine_config *config = *state;

    assert_int_equal(add_drive(config, "drive2", "a", NULL), 0);
    assert_int_equal(add_drive(config, NULL, "b", NULL), 0);
    assert_string_equal(config->drives[1].id, "drive3");
    assert_int_equal(machine_config_remove_drive(config, "drive2", NULL), 0);
    assert_int_equal(add_drive(config, NULL, "c", NULL), 0);
    assert_string_equal(config->drives[1].id, "drive2");
    assert_int_equal(add_drive(config, NULL, "d", NULL), 0);
    assert_string_equal(config->drives[2].id, "drive4");
}

static void bad_ids_are_refused(void **state)
{
    static const char longest[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    static const char *const bad[] = {"", "a b", "a/b", "..", "\xc3\xa4", "a\nb", "a:b"};
    struct machine_config *config = *state;
    struct husk_error err = {0};
    char too_long[sizeof(longest) + 1];

    snprintf(too_long, sizeof(too_long), "%sx", longest);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(add_drive(config, bad[i], "a", &err), -EINVAL);
        assert_string_equal(err.where, "drive 1: id");
        assert_int_equal(add_net(config, bad[i], "tap0", &err), -EINVAL);
        assert_string_equal(err.where, "net 1: id");
    }
    assert_int_equal(add_drive(config, too_long, "a", &err), -EINVAL);
    assert_non_null(strstr(err.why, "64"));
    assert_int_equal(config->drive_count, 0);
    assert_int_equal(add_drive(config, longest, "a", NULL), 0);
    assert_string_equal(config->drives[0].id, longest);
}

static void ids_are_unique_among_their_kind(void **state)
{
    struct machine_config *config = *state;
    struct husk_error err = {0};

    assert_int_equal(add_drive(config, "x", "a", NULL), 0);
    assert_int_equal(add_net(config, "x", "tap0", NULL), 0);
    assert_int_equal(add_drive(config, "x", "b", &err), -EEXIST);
    assert_string_equal(err.where, "drive 2: id");
    assert_string_equal(err.why, "drive 1 is called x already");
    assert_int_equal(add_net(config, "x", "tap1", &err), -EEXIST);
    assert_int_equal(config->drive_count, 1);
    assert_int_equal(config->net_count, 1);
}

static void a_device_is_removed(void **state)
{
    struct machine_config *config = *state;
    struct husk_error err = {0};

    for (unsigned i = 0; i < 3; i++) {
        static const char *const names[] = {"a", "b", "c"};

        assert_int_equal(add_drive(config, names[i], names[i], NULL), 0);
        assert_int_equal(add_net(config, names[i], names[i], NULL), 0);
    }
    assert_int_equal(machine_config_remove_drive(config, "b", NULL), 0);
    assert_int_equal(machine_config_remove_net(config, "a", NULL), 0);
    assert_int_equal(config->drive_count, 2);
    assert_string_equal(config->drives[0].path, "a");
    assert_string_equal(config->drives[1].path, "c");
    assert_int_equal(config->net_count, 2);
    assert_string_equal(config->nets[0].tap_name, "b");
    assert_int_equal(machine_config_remove_drive(config, "b", &err), -ENOENT);
    assert_string_equal(err.where, "b");
    assert_int_equal(machine_config_remove_net(config, NULL, &err), -ENOENT);
    assert_int_equal(machine_config_find_drive(config, "c", "", NULL), 1);
    assert_int_equal(machine_config_find_net(config, "c", "", NULL), 1);
    /* The tap is free again. */
    assert_int_equal(add_net(config, NULL, "a", NULL), 0);
}

static void removal_closes_descriptors(void **state)
{
    struct machine_config *config = *state;
    struct husk_drive_options options = HUSK_DRIVE_OPTIONS_INIT;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    options.fd = fd;
    assert_int_equal(machine_config_add_drive(config, &options, NULL), 0);
    assert_int_equal(machine_config_remove_drive(config, "drive1", NULL), 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void results_fit_other_releases(void **state)
{
    struct husk_drive_stats whole = {.read_requests = 1, .read_bytes = 2, .throttled = 3};
    struct {
        struct husk_drive_stats known;
        uint64_t later;
    } newer = {.known.size = sizeof(newer), .later = 7};
    struct husk_drive_stats older = {.size = offsetof(struct husk_drive_stats, read_bytes),
                                     .read_bytes = 99};
    struct husk_drive_stats none = {0};
    struct husk_error err = {0};

    assert_int_equal(config_copy_results(&newer, &whole, sizeof(whole), "", NULL), 0);
    assert_int_equal(newer.known.throttled, 3);
    assert_int_equal(newer.known.size, sizeof(newer));
    assert_int_equal(newer.later, 7);
    assert_int_equal(config_copy_results(&older, &whole, sizeof(whole), "", NULL), 0);
    assert_int_equal(older.read_requests, 1);
    assert_int_equal(older.read_bytes, 99);
    assert_int_equal(config_copy_results(&none, &whole, sizeof(whole), "cannot", &err), -EINVAL);
    assert_string_equal(err.what, "cannot");
    assert_int_equal(config_copy_results(NULL, &whole, sizeof(whole), "cannot", &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ids_are_made_up, setup, teardown),
        cmocka_unit_test_setup_teardown(made_up_ids_give_way, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_ids_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_are_unique_among_their_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(a_device_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(removal_closes_descriptors, setup, teardown),
        cmocka_unit_test(results_fit_other_releases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
