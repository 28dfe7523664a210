// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "cli/cli.h"
#include "cli/pod/options.h"

static const struct pod_option none[] = {{0, NULL, false, NULL, 0}};
static const struct pod_syntax syntax = {.command = "update", .help = "", .options = none};
static const struct pod_place place = {&syntax, "--value"};

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {{"0", 0},     {"90", 90},      {"90s", 90},    {"5m", 300},
                {"2h", 7200}, {"1h30m", 5400}, {"1d1s", 86401}};
    static const char *const bad[] = {"",   "s",   "-1",   "1.5h",           "30m1h", "1h30",
                                      "5x", "1 s", "1m1m", "99999999999999", "+1",    "0x10"};
    int64_t seconds;

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(duration_parse(good[i].text, &seconds), 0);
        assert_int_equal(seconds, good[i].seconds);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        if (!duration_parse(bad[i], &seconds))
            fail_msg("%s", bad[i]);
        assert_int_equal(pod_set_seconds(&seconds, &place, bad[i]), STATUS_USAGE);
    }
}

static void test_processors(void **state)
{
    static const struct {
        const char *text;
        uint32_t thousandths;
    } good[] = {{"1", 1000}, {"1.5", 1500}, {"0.25", 250}, {"0.001", 1}, {"256", 256000}};
    static const char *const bad[] = {"",    "0",       "0.0", ".5",  "1.",   "1.2345",  "-1",
                                      "257", "256.001", "1e3", "0x1", "1.5x", "12345678"};
    uint32_t out;

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(pod_set_cpus(&out, &place, good[i].text), 0);
        assert_int_equal(out, good[i].thousandths);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        if (pod_set_cpus(&out, &place, bad[i]) != STATUS_USAGE)
            fail_msg("%s", bad[i]);
    }
}

static void test_signals(void **state)
{
    int out = 0;

    assert_int_equal(pod_set_signal(&out, &place, "SIGTERM"), 0);
    assert_int_equal(out, 15);
    assert_int_equal(pod_set_signal(&out, &place, "9"), 0);
    assert_int_equal(out, 9);
    assert_int_equal(pod_set_signal(&out, &place, "65"), STATUS_USAGE);
    assert_int_equal(pod_set_signal(&out, &place, "SIGNOTHING"), STATUS_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_processors),
        cmocka_unit_test(test_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
