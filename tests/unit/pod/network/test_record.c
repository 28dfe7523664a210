// SPDX-License-Identifier: Apache-2.0
/* Records of networks: when what took too long is tried again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "pod/network/record.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int read_hung(json_int_t seconds_ago, json_int_t times, struct network_record *out)
{
    json_t *document =
        json_pack("{s:i, s:s, s:s, s:{s:I, s:I}}", "version", 1, "id", ID, "mode", "bridge", "hung",
                  "at", (json_int_t)time(NULL) - seconds_ago, "times", times);
    int ret = network_record_decode(document, "test", out, NULL);

    assert_non_null(document);
    json_decref(document);
    return ret;
}

static void waits_longer_each_time(void **state)
{
    static const struct {
        json_int_t seconds_ago, times;
        bool hangs;
    } cases[] = {
        {0, 0, false},        {10, 1, true},       {700, 1, false},   {700, 2, true},
        {1300, 2, false},     {2300, 3, true},     {80000, 20, true}, {90000, 20, false},
        {90000, 1000, false}, {80000, 1000, true}, {-5000, 1, false},
    };
    struct network_record record;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_hung(cases[i].seconds_ago, cases[i].times, &record), 0);
        assert_int_equal(network_record_hangs(&record), cases[i].hangs);
        network_record_end(&record);
    }
}

static void refuses_what_is_out_of_range(void **state)
{
    struct network_record record;

    (void)state;
    assert_true(read_hung(0, 1001, &record) < 0);
    assert_true(read_hung(0, -1, &record) < 0);
    assert_true(read_hung((json_int_t)time(NULL) + 5, 1, &record) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_longer_each_time),
        cmocka_unit_test(refuses_what_is_out_of_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
