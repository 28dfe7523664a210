// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
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

static char *spec_text_with(const char *network)
{
    static char *command[] = {(char *)"/bin/true", NULL};
    struct pod_run_options options = {.stop_timeout = -1, .command = command, .command_count = 1};
    const struct pod_image image = {.record = {.name = "image"}};
    struct container_spec spec;
    char *text;

    options.hostname = "box";
    options.network = network;
    assert_int_equal(pod_record_make(&options, &image, &spec), 0);
    text = json_dumps(spec.spec, JSON_COMPACT);
    assert_non_null(text);
    container_spec_clear(&spec);
    return text;
}

static void test_address_in_hosts(void **state)
{
    char *with = spec_text_with("tap=t0,address=10.9.8.7/24,address=fd00::7/64");
    char *without = spec_text_with("tap=t0");

    assert_non_null(strstr(with, "10.9.8.7\\tbox\\n"));
    assert_null(strstr(with, "fd00::7"));
    assert_null(strstr(without, "\\tbox"));
    free(with);
    free(without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_address_in_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
