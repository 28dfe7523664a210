// SPDX-License-Identifier: Apache-2.0
/* image/version.c: the order of versions, both ways round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/checked.h"
#include "image/version.h"

static void test_order(void **state)
{
    /* Older first. (UAPI.10 has the middle ones as its examples.) */
    static const char *const pairs[][2] = {
        {"vmlinuz-6.1.0-9-cloud-amd64", "vmlinuz-6.1.0-32-cloud-amd64"},
        {"vmlinuz-6.8.5-301.fc40", "vmlinuz-6.10.2-1.fc40"},
        {"a-0-rescue", "a-6.1"},
        {"11", "11a"},
        {"systemd-123", "systemd-123.1"},
        {"124~rc1", "124"},
        {"123", "123.a"},
        {"123.a", "123.b"},
        {"123a", "123b"},
        {"123.a-1", "123.a.1"},
        {"1", "2"},
        {"2", "10"},
        {"", "a"},
        {"A", "a"},
        {"1.0-1", "1.0^1"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        if (version_compare(pairs[i][0], pairs[i][1]) >= 0 ||
            version_compare(pairs[i][1], pairs[i][0]) <= 0)
            fail_msg("%s is not older than %s", pairs[i][0], pairs[i][1]);
    }
}

static void test_same(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""}, {"1.2", "1.2"}, {"001", "1"}, {"1_2", "1=2"}, {"~", "~"}, {"a.", "a."}, {"_", ""},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
        assert_int_equal(version_compare(pairs[i][0], pairs[i][1]), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_same)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
