// SPDX-License-Identifier: Apache-2.0
/* The numbers of a process, beside a name that it has chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "guest/agent/files.h"
#include "guest/agent/processes.h"

#define FIELDS \
    ") S 7 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 8888 4096000 321 18446744073709551615 1"

static const char status[] = "Name:\tx\nUmask:\t0022\nState:\tS (sleeping)\nUid:\t1\t2\t3\t4\n"
                             "NSpid:\t900\t40\t3\nThreads:\t1\n";

static void test_numbers(void **state)
{
    static const char *const names[] = {"1 (sleep" FIELDS, "1 (a) R 1 2 3 (b" FIELDS, "1 ()" FIELDS,
                                        "1 () Z 9 9" FIELDS};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct process_numbers numbers;

        assert_true(processes_parse(names[i], status, &numbers));
        assert_int_equal(numbers.state, 'S');
        assert_int_equal(numbers.ppid, 7);
        assert_int_equal(numbers.pid_inside, 3);
        assert_int_equal(numbers.uid, 2);
        assert_int_equal(numbers.cpu_ticks, 300);
        assert_int_equal(numbers.start_ticks, 8888);
        assert_int_equal(numbers.memory_pages, 321);
    }
    (void)state;
}

static void test_what_is_cut(void **state)
{
    struct process_numbers numbers;

    assert_false(processes_parse("", status, &numbers));
    assert_false(processes_parse("1 (sleep", status, &numbers));
    assert_false(processes_parse("1 (sleep) S 7 7", status, &numbers));
    assert_false(processes_parse("1 (x" FIELDS, "", &numbers));
    assert_false(processes_parse("1 (x" FIELDS, "Name:\tUid:\t1 1\nNSpid:\t1\n", &numbers));
    assert_false(processes_parse("1 (x" FIELDS, "Uid:\t1\t2\n", &numbers));
    assert_true(processes_parse("1 (x" FIELDS, "Uid:\t1\t2\nNSpid:\n", &numbers));
    assert_int_equal(numbers.pid_inside, 0);
    (void)state;
}

static void test_the_kernels_own(void **state)
{
    char stat[1024], text[4096];
    struct process_numbers numbers;

    assert_int_equal(file_read(AT_FDCWD, "/proc/self/stat", stat, sizeof(stat)), 0);
    assert_int_equal(file_read(AT_FDCWD, "/proc/self/status", text, sizeof(text)), 0);
    assert_true(processes_parse(stat, text, &numbers));
    assert_int_equal(numbers.ppid, getppid());
    assert_int_equal(numbers.uid, geteuid());
    assert_int_equal(numbers.state, 'R');
    assert_true(numbers.memory_pages > 10);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_what_is_cut),
        cmocka_unit_test(test_the_kernels_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
