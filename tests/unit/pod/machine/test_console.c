// SPDX-License-Identifier: Apache-2.0
/* The console's last lines, and how a machine's end is explained with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "pod/machine/console.h"

static struct console_tail tail;

static int set_up(void **state)
{
    console_tail_init(&tail);
    return 0;
}

static int tear_down(void **state)
{
    console_tail_destroy(&tail);
    return 0;
}

static void write_text(const char *text)
{
    console_tail_write(&tail, text, strlen(text));
}

static void gives_lines_that_can_be_printed(void **state)
{
    char text[200];

    assert_int_equal(console_tail_read(&tail, text, sizeof(text)), 0);
    assert_string_equal(text, "");
    write_text("one\r\n\r\n\ntwo\x1b[31m\x80\nthr");
    write_text("ee");
    assert_int_equal(console_tail_read(&tail, text, sizeof(text)), 20);
    assert_string_equal(text, "one\ntwo?[31m?\nthree\n");
    assert_int_equal(console_tail_read(&tail, text, 0), 0);
}

static void gives_the_last_whole_lines(void **state)
{
    char text[12];

    write_text("first\nsecond\nthird\n");
    console_tail_read(&tail, text, sizeof(text));
    assert_string_equal(text, "third\n");
    console_tail_read(&tail, text, 7); /* just that line */
    assert_string_equal(text, "third\n");
    console_tail_read(&tail, text, 4); /* a line that is too long: its end */
    assert_string_equal(text, "rd\n");
    console_tail_read(&tail, text, 1);
    assert_string_equal(text, "");
}

/* However much a guest writes, and however it is cut: the end is what is kept. */
static void keeps_the_end_of_a_flood(void **state)
{
    static char flood[3 * CONSOLE_TAIL_BYTES];
    char text[CONSOLE_TAIL_BYTES + 2];

    memset(flood, 'x', sizeof(flood));
    console_tail_write(&tail, flood, sizeof(flood));
    for (unsigned i = 0; i < 1000; i++)
        console_tail_write(&tail, flood, 777);
    write_text("\nthe end\n");
    assert_int_equal(console_tail_read(&tail, text, sizeof(text)), CONSOLE_TAIL_BYTES);
    assert_string_equal(text + CONSOLE_TAIL_BYTES - 10, "x\nthe end\n");
}

static void expect(const struct husk_event *event, int code, const char *what, const char *why)
{
    struct husk_error err = {.code = 0};

    assert_int_equal(console_explain(&tail, event, &err), -code);
    assert_int_equal(err.code, code);
    assert_string_equal(err.what, what);
    assert_string_equal(err.why, why);
}

static void explains_a_panic(void **state)
{
    const struct husk_event panic = {.type = HUSK_EVENT_STOPPED, .reason = HUSK_STOP_PANIC};
    const struct husk_event reset = {.type = HUSK_EVENT_STOPPED, .reason = HUSK_STOP_RESET};

    expect(&panic, EIO, "the guest's kernel panicked", "the console is silent");
    write_text(
        "[    0.2] Kernel panic - not syncing: No working init found.\r\n[    0.3] CPU: 0\r\n");
    expect(&panic, EIO, "the guest's kernel panicked", "No working init found.");
    /* A kernel that has no driver for pvpanic yet. */
    expect(&reset, EIO, "the guest's kernel panicked", "No working init found.");
}

static void explains_want_of_memory(void **state)
{
    const struct husk_event reset = {.type = HUSK_EVENT_STOPPED, .reason = HUSK_STOP_RESET};

    write_text("Kernel panic - not syncing: System is deadlocked on memory\n");
    expect(&reset, ENOMEM, "the guest has too little memory", "System is deadlocked on memory");
}

static void explains_other_ends(void **state)
{
    const struct husk_event fault = {.type = HUSK_EVENT_STOPPED, .reason = HUSK_STOP_TRIPLE_FAULT};
    const struct husk_event off = {.type = HUSK_EVENT_STOPPED, .reason = HUSK_STOP_POWER_OFF};
    struct husk_event monitor = {.type = HUSK_EVENT_STOPPED, .reason = HUSK_STOP_MONITOR_ERROR};

    expect(&off, EIO, "the guest ended by itself", "the console is silent");
    write_text("agent: a\nagent: cannot go on\n");
    expect(&fault, EIO, "the guest's processor gave up (triple fault)",
           "the console's last line: agent: cannot go on");
    expect(NULL, ETIMEDOUT, "the agent in the guest does not answer",
           "the console's last line: agent: cannot go on");
    error_set(&monitor.error, EFAULT, "kvm", "failed", "so it was");
    expect(&monitor, EFAULT, "failed", "so it was");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_lines_that_can_be_printed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gives_the_last_whole_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_the_end_of_a_flood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(explains_a_panic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(explains_want_of_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(explains_other_ends, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
