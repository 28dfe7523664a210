// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pod/pods/programs.h"

#define VARIABLE "HUSK_TEST_PROGRAM"

static void what_the_environment_says(void **state)
{
    char path[PATH_MAX];

    setenv(VARIABLE, "/some/where", 1);
    program_find("husk-probe", VARIABLE, path);
    unsetenv(VARIABLE);
    assert_string_equal(path, "/some/where");
}

static void beside_this_program(void **state)
{
    char self[PATH_MAX] = "", path[PATH_MAX];

    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    program_find(strrchr(self, '/') + 1, VARIABLE, path);
    assert_string_equal(path, self);
}

static void where_it_is_installed(void **state)
{
    static const char end[] = "/husk/husk-not-there";
    char path[PATH_MAX];

    program_find("husk-not-there", VARIABLE, path);
    assert_true(path[0] == '/' && strlen(path) > strlen(end));
    assert_string_equal(path + strlen(path) - strlen(end), end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_environment_says),
        cmocka_unit_test(beside_this_program),
        cmocka_unit_test(where_it_is_installed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
