// SPDX-License-Identifier: Apache-2.0
/* boot/cmdline.c: default words, order, refusals. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "boot/cmdline.h"

static bool has_word(const char *line, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = line; (at = strstr(at, word)) != NULL; at += len) {
        if ((at == line || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
            return true;
    }
    return false;
}

static void test_consoles(void **state)
{
    char line[512];

    assert_int_equal(cmdline_build(CMDLINE_CONSOLE_SERIAL, false, NULL, line, sizeof(line)), 0);
    assert_string_equal(line, cmdline_default(CMDLINE_CONSOLE_SERIAL));
    assert_true(has_word(line, "console=ttyS0"));
    assert_false(has_word(line, "quiet"));
    assert_int_equal(cmdline_build(CMDLINE_CONSOLE_SERIAL, true, NULL, line, sizeof(line)), 0);
    assert_null(strstr(line, "pci="));
    assert_int_equal(cmdline_build(CMDLINE_CONSOLE_VIRTIO, false, "", line, sizeof(line)), 0);
    assert_true(has_word(line, "console=hvc0"));
    assert_int_equal(cmdline_build(CMDLINE_CONSOLE_NONE, false, NULL, line, sizeof(line)), 0);
    assert_null(strstr(line, "console="));
}

static void test_quiet_has_no_early_console(void **state)
{
    char line[512];

    assert_int_equal(cmdline_build(CMDLINE_CONSOLE_SERIAL, false, "a=quiet", line, sizeof(line)),
                     0);
    assert_non_null(strstr(line, "earlycon"));
    assert_int_equal(
        cmdline_build(CMDLINE_CONSOLE_SERIAL, false, "a=b quiet c", line, sizeof(line)), 0);
    assert_null(strstr(line, "earlycon"));
    assert_true(has_word(line, "console=ttyS0") && has_word(line, "quiet"));
}

/* A triple fault is a stop reason of its own: no default may reboot by one. */
static void test_every_default_ends_a_panic(void **state)
{
    for (int console = CMDLINE_CONSOLE_SERIAL; console <= CMDLINE_CONSOLE_NONE; console++) {
        const char *line = cmdline_default((enum cmdline_console)console);

        assert_true(has_word(line, "panic=-1"));
        assert_null(strstr(line, "reboot=t"));
        assert_null(strstr(line, "  "));
        assert_true(strlen(line) < 256);
    }
}

static void test_user_words_come_last(void **state)
{
    char line[512];
    size_t head = strlen(cmdline_default(CMDLINE_CONSOLE_SERIAL));

    assert_int_equal(
        cmdline_build(CMDLINE_CONSOLE_SERIAL, false, "panic=5 root=/dev/vda", line, sizeof(line)),
        0);
    assert_string_equal(line + head, " panic=5 root=/dev/vda");
}

static void test_refuses_control_characters(void **state)
{
    static const char *const bad[] = {"a\nb", "a\tb", "\x7f", "x\x01", "\r"};
    char line[512];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(line, 'x', sizeof(line));
        assert_int_equal(cmdline_build(CMDLINE_CONSOLE_SERIAL, false, bad[i], line, sizeof(line)),
                         -EINVAL);
        assert_string_equal(line, "");
    }
    assert_int_equal(
        cmdline_build(CMDLINE_CONSOLE_SERIAL, false, "name=\xc3\xa4", line, sizeof(line)), 0);
}

static void test_every_size(void **state)
{
    char want[512], line[512];
    size_t len;

    assert_int_equal(cmdline_build(CMDLINE_CONSOLE_VIRTIO, false, "ro", want, sizeof(want)), 0);
    len = strlen(want);
    for (size_t size = 0; size <= len + 2; size++) {
        memset(line, '!', sizeof(line));
        if (size <= len) {
            assert_int_equal(cmdline_build(CMDLINE_CONSOLE_VIRTIO, false, "ro", line, size),
                             -E2BIG);
            assert_true(size == 0 || line[0] == '\0');
        } else {
            assert_int_equal(cmdline_build(CMDLINE_CONSOLE_VIRTIO, false, "ro", line, size), 0);
            assert_string_equal(line, want);
        }
        assert_int_equal(line[size], '!');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_consoles),
        cmocka_unit_test(test_quiet_has_no_early_console),
        cmocka_unit_test(test_every_default_ends_a_panic),
        cmocka_unit_test(test_user_words_come_last),
        cmocka_unit_test(test_refuses_control_characters),
        cmocka_unit_test(test_every_size),
    };

    return cmocka_run_group_tests_name("boot/cmdline", tests, NULL, NULL);
}
