// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "cli/run_form.h"

/* A command line in one text, separated by blanks. */
static enum run_form form_of(const char *line, struct run_doubt *doubt)
{
    static char copy[256];
    char *argv[32] = {"run"};
    int argc = 1;

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return run_form_of(argc, argv, doubt);
}

static void test_machines(void **state)
{
    static const char *const lines[] = {
        "",
        "-k vmlinux",
        "-k vmlinux -i initrd -a quiet",
        "-kvmlinux",
        "--kernel=vmlinux alpine",
        "-d disk.img",
        "-ddisk.img,ro",
        "-d a -d b -m 1G",
        "-i initrd",
        "-m 1G --cpus 2 -v -v",
        "--memory 1G -c 2",
        "-vk vmlinux",
        "--vfio 0000:01:00.0 -d disk.img",
        "-d disk.img --net tap=x",
        "-k vmlinux stray",
        "--help",
        "--",
        "-n tap=t0",
        "--verbose",
    };
    struct run_doubt doubt;

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        if (form_of(lines[i], &doubt) != RUN_MACHINE)
            fail_msg("%s", lines[i]);
    }
}

static void test_containers(void **state)
{
    static const char *const lines[] = {
        "alpine",
        "alpine -k x",
        "-it alpine",
        "-i -t alpine sh",
        "-t alpine",
        "-i alpine cat",
        "--rm alpine",
        "--rm -d nginx",
        "-d --name web nginx",
        "-d --rm nginx",
        "--detach nginx",
        "-d -e A=B nginx",
        "-d nginx nginx -g x",
        "-v /a:/b alpine",
        "-m 64M alpine",
        "--memory=64M --cpus=1 alpine",
        "--cpus 1 alpine",
        "--init alpine",
        "--network none alpine",
        "-- alpine",
        "-d -- alpine",
        "-",
        "--bogus",
        "-q alpine",
    };
    struct run_doubt doubt;

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        if (form_of(lines[i], &doubt) != RUN_CONTAINER)
            fail_msg("%s", lines[i]);
    }
}

static void test_doubt(void **state)
{
    struct run_doubt doubt;

    assert_int_equal(form_of("-m 1G -d nginx", &doubt), RUN_MACHINE);
    assert_string_equal(doubt.option, "-d");
    assert_string_equal(doubt.value, "nginx");
    assert_int_equal(form_of("-i alpine", &doubt), RUN_MACHINE);
    assert_string_equal(doubt.option, "-i");
    /* Not when something else says that it is a machine, or when the value cannot be an image. */
    form_of("-d nginx -k vmlinux", &doubt);
    assert_null(doubt.option);
    form_of("-d nginx -v", &doubt);
    assert_null(doubt.option);
    form_of("-dnginx", &doubt);
    assert_null(doubt.option);
    form_of("-d", &doubt);
    assert_null(doubt.option);
    form_of("-m 1G", &doubt);
    assert_null(doubt.option);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_machines),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_doubt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
