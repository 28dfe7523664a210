// SPDX-License-Identifier: Apache-2.0
/* Sizes, fractions and limits in the spelling of engines; signals, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/checked.h"
#include "pod/spec/limits.h"

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } lines[] = {
        {"0", 0},
        {"4096", 4096},
        {"1b", 1},
        {"1k", 1024},
        {"64m", 64 << 20},
        {"64MB", 64 << 20},
        {"64MiB", 64 << 20},
        {"1g", 1 << 30},
        {"1.5G", 3ull << 29},
        {"0.5k", 512},
        {"1.25t", 5ull << 38},
        {"2p", 2ull << 50},
        {"1.0009765625k", 1025},
        {"1.99b", 1},
        {"18446744073709551615", UINT64_MAX},
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        uint64_t bytes = 7;

        assert_int_equal(limits_parse_size(lines[i].text, &bytes), 0);
        assert_int_equal(bytes, lines[i].bytes);
    }
}

static void test_wrong_sizes(void **state)
{
    static const char *const malformed[] = {"",    "k",    "-1",   "+1",    " 1",  "1 ",
                                            "1.",  ".5k",  "1..2", "1.2.3", "1kk", "1kbb",
                                            "1ib", "0x10", "1e3",  "1,5g",  "1x"};
    static const char *const large[] = {"18446744073709551616", "18446744073709551615k", "16384p",
                                        "99999999999999999999999999"};
    uint64_t bytes;

    for (size_t i = 0; i < ARRAY_SIZE(malformed); i++)
        assert_int_equal(limits_parse_size(malformed[i], &bytes), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(large); i++)
        assert_int_equal(limits_parse_size(large[i], &bytes), -ERANGE);
}

static void test_cpus(void **state)
{
    static const struct {
        const char *text;
        uint64_t nanos;
    } lines[] = {{"1", 1000000000},
                 {"0.5", 500000000},
                 {"1.25", 1250000000},
                 {"0.01", 10000000},
                 {"1024", 1024000000000},
                 {"0.333333333", 333333333},
                 {"0", 0}};

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        const struct spec_options options = {.cpus = lines[i].text};
        struct spec spec = {.cpu_nanos = 7};
        json_t *resources;

        assert_int_equal(limits_resources(&options, &spec, &resources, NULL), 0);
        assert_int_equal(spec.cpu_nanos, lines[i].nanos);
        assert_int_equal(json_object_get(resources, "cpu") != NULL, lines[i].nanos != 0);
        json_decref(resources);
    }
}

static void test_signals(void **state)
{
    static const struct {
        const char *text;
        int number;
    } lines[] = {{"TERM", 15},     {"SIGTERM", 15},  {"sigterm", 15},    {"9", 9},
                 {"64", 64},       {"RTMIN", 34},    {"SIGRTMIN+3", 37}, {"RTMAX", 64},
                 {"RTMAX-14", 50}, {"rtmin+30", 64}, {"WINCH", 28},      {"IOT", 6},
                 {"SIGCLD", 17}};
    static const char *const wrong[] = {"",         "0",       "65",      "-9",    "SIG", "SIG9",
                                        "RTMIN+31", "RTMIN-1", "RTMAX+1", "TERM ", "9x"};
    static const struct {
        int number;
        const char *name;
    } named[] = {{15, "SIGTERM"},  {6, "SIGABRT"},      {34, "SIGRTMIN"}, {37, "SIGRTMIN+3"},
                 {64, "SIGRTMAX"}, {63, "SIGRTMIN+29"}, {32, "32"}};
    char text[SPEC_SIGNAL_BYTES];
    int number;

    for (size_t i = 0; i < ARRAY_SIZE(named); i++)
        assert_string_equal(spec_signal_name(named[i].number, text), named[i].name);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        assert_int_equal(spec_signal_parse(lines[i].text, &number), 0);
        assert_int_equal(number, lines[i].number);
    }
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(spec_signal_parse(wrong[i], &number), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_wrong_sizes),
        cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
