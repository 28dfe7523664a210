// SPDX-License-Identifier: Apache-2.0
/* What is accepted; what is refused, and how it is said, is in tests/e2e/test_jail.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "cli/jail_options.h"

static int parse(struct jail_options *options, char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return jail_options_parse(options, argc, argv);
}

static void test_defaults(void **state)
{
    struct jail_options o;
    char *argv[] = {"jail",  "--id=a", "--exec-file", "F", "--uid",
                    "12345", "--gid",  "4294967294",  NULL};

    assert_int_equal(parse(&o, argv), 0);
    assert_string_equal(o.id, "a");
    assert_string_equal(o.exec_file, "F");
    assert_string_equal(o.base_dir, "/srv/jailer");
    assert_int_equal(o.uid, 12345);
    assert_int_equal(o.gid, 4294967294u);
    assert_int_equal(o.nofile, 2048);
    assert_true(o.fsize_bytes == UINT64_MAX);
    assert_null(o.netns);
    assert_null(o.parent_cgroup);
    assert_false(o.daemonize || o.new_pid_ns || o.help || o.cgroup_count);
    assert_int_equal(o.rest, 8);
    jail_options_release(&o);
}

static void test_everything(void **state)
{
    struct jail_options o;
    char *argv[] = {"jail",
                    "--gid=1",
                    "--uid=1",
                    "--exec-file=F",
                    "--id",
                    "A-z-0",
                    "--daemonize",
                    "--new-pid-ns",
                    "--netns=/run/netns/n",
                    "--chroot-base-dir=/b",
                    "--cgroup",
                    "memory.max=1G",
                    "--cgroup=io.max=8:0 rbps=1=2",
                    "--cgroup-version=2",
                    "--parent-cgroup=a/b",
                    "--resource-limit",
                    "no-file=64",
                    "--resource-limit",
                    "fsize=0",
                    "--",
                    "--id",
                    "other",
                    NULL};

    assert_int_equal(parse(&o, argv), 0);
    assert_string_equal(o.id, "A-z-0");
    assert_true(o.daemonize && o.new_pid_ns);
    assert_string_equal(o.netns, "/run/netns/n");
    assert_string_equal(o.base_dir, "/b");
    assert_string_equal(o.parent_cgroup, "a/b");
    assert_int_equal(o.cgroup_count, 2);
    assert_string_equal(o.cgroup_files[0], "memory.max");
    assert_string_equal(o.cgroup_values[0], "1G");
    assert_string_equal(o.cgroup_files[1], "io.max");
    assert_string_equal(o.cgroup_values[1], "8:0 rbps=1=2");
    assert_int_equal(o.nofile, 64);
    assert_int_equal(o.fsize_bytes, 0);
    assert_string_equal(argv[o.rest], "--id");
    jail_options_release(&o);
    jail_options_release(&o);
}

static void test_help_needs_nothing_else(void **state)
{
    struct jail_options o;
    char *argv[] = {"jail", "--help", NULL};

    assert_int_equal(parse(&o, argv), 0);
    assert_true(o.help);
}

/* What was read before the fault is released all the same. */
static void test_faults_leak_nothing(void **state)
{
    struct jail_options o;
    char *argv[] = {"jail", "--cgroup=memory.max=1", "--cgroup=x", NULL};

    assert_int_equal(parse(&o, argv), STATUS_USAGE);
    assert_int_equal(o.cgroup_count, 1);
    jail_options_release(&o);
    assert_int_equal(o.cgroup_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_help_needs_nothing_else),
        cmocka_unit_test(test_faults_leak_nothing),
    };

    return cmocka_run_group_tests_name("cli/jail_options", tests, NULL, NULL);
}
