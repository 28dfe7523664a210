// SPDX-License-Identifier: Apache-2.0
/* What is shown of a pull: lines where nobody looks, bars on a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/image/progress.h"

struct screen {
    FILE *out;
    char *text;
    size_t len;
    struct progress progress;
};

static void screen_open(struct screen *screen, bool terminal)
{
    memset(screen, 0, sizeof(*screen));
    screen->out = open_memstream(&screen->text, &screen->len);
    progress_init(&screen->progress, stdin);
    screen->progress.out = screen->out;
    screen->progress.terminal = terminal;
    screen->progress.columns = 60;
}

static const char *screen_text(struct screen *screen)
{
    fflush(screen->out);
    return screen->text;
}

static void screen_close(struct screen *screen)
{
    fclose(screen->out);
    free(screen->text);
}

static void show(struct screen *screen, unsigned index, enum import_state state, uint64_t done,
                 uint64_t total)
{
    struct import_progress layer = {
        .index = index, .count = 2, .state = state, .done_bytes = done, .total_bytes = total};

    assert_int_equal(digest_of(&index, sizeof(index), &layer.digest), 0);
    progress_show(&screen->progress, &layer);
}

static unsigned lines_of(const char *text)
{
    unsigned count = 0;

    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void test_one_line_for_each_change(void **state)
{
    struct screen screen;

    screen_open(&screen, false);
    for (uint64_t bytes = 0; bytes < 100; bytes++)
        show(&screen, 0, IMPORT_READING, bytes, 100);
    show(&screen, 0, IMPORT_CONVERTING, 100, 100);
    show(&screen, 1, IMPORT_PRESENT, 5000000, 5000000);
    show(&screen, 0, IMPORT_DONE, 100, 100);
    assert_int_equal(lines_of(screen_text(&screen)), 4);
    assert_non_null(strstr(screen.text, "present (layer 2 of 2, 4.8 MiB)"));
    assert_null(strchr(screen.text, '\033'));
    progress_end(&screen.progress);
    assert_null(strchr(screen_text(&screen), '\033'));
    screen_close(&screen);
}

static void test_bars_come_and_go(void **state)
{
    struct screen screen;

    screen_open(&screen, true);
    show(&screen, 0, IMPORT_READING, 50, 100);
    assert_non_null(strstr(screen_text(&screen), "[============"));
    assert_int_equal(screen.progress.drawn, 2);
    show(&screen, 0, IMPORT_READING, 0, 0); /* an empty layer */
    show(&screen, 0, IMPORT_READING, UINT64_MAX, 1);
    show(&screen, 1, IMPORT_CONVERTING, 1, 1);
    assert_int_equal(screen.progress.drawn, 3);
    show(&screen, 0, IMPORT_DONE, 100, 100);
    assert_int_equal(screen.progress.drawn, 2);
    assert_non_null(strstr(screen_text(&screen), "1 of 2 layers"));
    progress_end(&screen.progress);
    assert_int_equal(screen.progress.drawn, 0);
    screen_close(&screen);
}

static void test_bytes(void **state)
{
    char text[24];

    assert_string_equal(format_bytes(0, text), "0 B");
    assert_string_equal(format_bytes(1023, text), "1023 B");
    assert_string_equal(format_bytes(1536, text), "1.5 KiB");
    assert_string_equal(format_bytes(3ull << 30, text), "3.0 GiB");
    assert_string_equal(format_bytes(UINT64_MAX, text), "16777216.0 TiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_line_for_each_change),
        cmocka_unit_test(test_bars_come_and_go),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
