// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "cli/cli.h"
#include "cli/pod/run_options.h"

static int parse(struct pod_run_options *out, char **argv)
{
    int argc = 0;

    while (argv[argc])
        argc++;
    return pod_run_options_parse(&pod_run_syntax, out, argc, argv);
}

static void test_everything(void **state)
{
    static struct pod_run_options o;
    char *argv[] = {"run",
                    "-it",
                    "--rm",
                    "-e",
                    "A=1",
                    "--env-file",
                    "f",
                    "-v/a:/b",
                    "-w/x",
                    "-u",
                    "1:2",
                    "--entrypoint",
                    "",
                    "--init",
                    "--read-only",
                    "--cap-add=NET_ADMIN",
                    "--cap-drop",
                    "ALL",
                    "--security-opt",
                    "seccomp=unconfined",
                    "--name",
                    "web",
                    "-m",
                    "64M",
                    "--cpus",
                    "1.5",
                    "--network",
                    "none",
                    "--timeout",
                    "1m",
                    "--stop-signal",
                    "INT",
                    "--stop-timeout=3",
                    "--pull",
                    "never",
                    "--detach-keys",
                    "",
                    "--sig-proxy=false",
                    "-l",
                    "a=b",
                    "-h",
                    "host",
                    "img:1",
                    "cmd",
                    "--rm",
                    NULL};

    assert_int_equal(parse(&o, argv), 0);
    assert_true(o.interactive && o.tty && o.remove && o.init && o.read_only && !o.detach &&
                !o.sig_proxy);
    assert_string_equal(o.env.items[0], "A=1");
    assert_string_equal(o.volumes.items[0], "/a:/b");
    assert_string_equal(o.directory, "/x");
    assert_string_equal(o.entrypoint, "");
    assert_string_equal(o.detach_keys, "");
    assert_int_equal(o.pull, PULL_NEVER);
    assert_int_equal(o.timeout, 60);
    assert_int_equal(o.stop_timeout, 3);
    assert_string_equal(o.hostname, "host");
    assert_string_equal(o.image, "img:1");
    assert_int_equal(o.command_count, 2);
    assert_string_equal(o.command[1], "--rm");
    pod_run_options_release(&o);
}

static void test_defaults(void **state)
{
    static struct pod_run_options o;
    char *argv[] = {"run", "img", NULL};

    assert_int_equal(parse(&o, argv), 0);
    assert_true(o.sig_proxy && !o.interactive && !o.tty && !o.detach && !o.remove);
    assert_int_equal(o.pull, PULL_MISSING);
    assert_true(o.timeout == -1 && o.stop_timeout == -1 && !o.entrypoint);
    assert_int_equal(o.command_count, 0);
    pod_run_options_release(&o);
}

static void test_what_is_wrong(void **state)
{
    static char *const lines[][4] = {
        {"run"},
        {"run", "--rm"},
        {"run", "--pull=sometimes", "img"},
        {"run", "--name=-x", "img"},
        {"run", "--name", "a b", "img"},
        {"run", "--detach-keys=ctrl", "img"},
        {"run", "--timeout=x", "img"},
        {"run", "--scratch-size=x", "img"},
        {"run", "--bogus", "img"},
        /* Those of the other form say so. */
        {"run", "-k", "vmlinux", "img"},
        {"run", "--rm", "--vfio=x", "img"},
        {"run", "-c", "2", "img"},
    };
    static struct pod_run_options o;

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        char *argv[5] = {lines[i][0], lines[i][1], lines[i][2], lines[i][3], NULL};

        assert_int_equal(parse(&o, argv), STATUS_MONITOR_ERROR);
        pod_run_options_release(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
