// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "cli/pod/record.h"

static void test_names(void **state)
{
    static const struct {
        const char *image, *name;
    } cases[] = {
        {"docker.io/library/busybox:latest", "busybox-012345"},
        {"localhost:5000/a/b@sha256:0123", "b-012345"},
        {"x", "x-012345"},
    };
    char name[CONTAINER_NAME_BYTES], longest[300];

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        pod_record_name(cases[i].image, "0123456789abcdef", name);
        assert_string_equal(name, cases[i].name);
        assert_true(container_name_valid(name));
    }
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    pod_record_name(longest, "0123456789abcdef", name);
    assert_int_equal(strlen(name), CONTAINER_NAME_BYTES - 1);
    assert_true(container_name_valid(name));
}

static void test_memory(void **state)
{
    const uint64_t mib = 1 << 20;

    assert_int_equal(pod_record_memory(0), 0);
    /* The container gets what it may have; the machine is whole MiB. */
    for (uint64_t limit = mib; limit < 64 * 1024 * mib; limit = limit * 3 + 4096) {
        assert_true(pod_record_memory(limit) >= limit + limit / 64 + 64 * mib);
        assert_int_equal(pod_record_memory(limit) % mib, 0);
    }
    assert_true(pod_record_memory(UINT64_MAX) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
