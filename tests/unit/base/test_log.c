// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/log.h"

struct sink {
    unsigned lines;
    char last[1024];
};

static void collect(void *arg, enum log_level level, const char *line)
{
    struct sink *sink = arg;

    sink->lines++;
    snprintf(sink->last, sizeof(sink->last), "%s", line);
}

static void test_levels_and_null(void **state)
{
    struct sink sink = {0};
    struct log log = {.sink = collect, .sink_arg = &sink, .level = LOG_LEVEL_WARN};

    log_info(&log, "x", "dropped");
    assert_int_equal(sink.lines, 0);
    log_warn(&log, "blk", "queue %d", 3);
    assert_string_equal(sink.last, "blk: queue 3");
    log_warn(NULL, "x", "goes nowhere");
}

static void test_one_printable_line(void **state)
{
    struct sink sink = {0};
    struct log log = {.sink = collect, .sink_arg = &sink, .level = LOG_LEVEL_WARN};
    char flood[5000];

    log_warn(&log, "x", "a\nb\x1b");
    assert_string_equal(sink.last, "x: a?b?");
    memset(flood, 'y', sizeof(flood) - 1);
    flood[sizeof(flood) - 1] = '\0';
    log_warn(&log, "x", "%s", flood);
    assert_true(strlen(sink.last) < 600);
}

static void test_flood_is_limited(void **state)
{
    struct sink sink = {0};
    struct log log = {.sink = collect, .sink_arg = &sink, .level = LOG_LEVEL_WARN};
    struct log_limit limit = {0};

    for (int i = 0; i < 1000; i++)
        log_limited(&log, &limit, LOG_LEVEL_WARN, "x", "again");
    /* A thousand calls take far less than a second; even if not, it is 10 and a note a second. */
    assert_in_range(sink.lines, 10, 200);
    assert_true(limit.suppressed > 0 || sink.lines > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels_and_null),
        cmocka_unit_test(test_one_printable_line),
        cmocka_unit_test(test_flood_is_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
