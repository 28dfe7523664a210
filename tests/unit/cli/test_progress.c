// SPDX-License-Identifier: Apache-2.0
/* cli/progress.c: what qemu-img says, and what is shown of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/progress.h"

static void test_parse(void **state)
{
    assert_int_equal(progress_parse("    (12.34/100%)\r"), 12);
    assert_int_equal(progress_parse("    (0.00/100%)\r    (99.99/100%)\r    (100.0"), 99);
    assert_int_equal(progress_parse("(100.00/100%)"), 100);
    assert_int_equal(progress_parse(""), -1);
    assert_int_equal(progress_parse("(-1/100%)(101/100%)(nan/100%)(/100%)(5/10%)"), -1);
}

/* Without a terminal: a line for each quarter, none twice. */
static void test_lines(void **state)
{
    struct progress progress;
    char said[512] = "";
    int saved = dup(STDERR_FILENO);
    int file = memfd_create("stderr", MFD_CLOEXEC);

    assert_true(saved >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    progress_begin(&progress, "copy");
    for (unsigned i = 0; i <= 100; i++)
        progress_show(&progress, i);
    progress_show(&progress, 10);
    progress_show(&progress, 1000);
    progress_end(&progress);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    assert_true(pread(file, said, sizeof(said) - 1, 0) > 0);
    assert_string_equal(said, "husk: copy: 0 %\nhusk: copy: 25 %\nhusk: copy: 50 %\n"
                              "husk: copy: 75 %\nhusk: copy: 100 %\n");
    close(saved);
    close(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parse), cmocka_unit_test(test_lines)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
