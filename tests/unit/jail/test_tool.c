// SPDX-License-Identifier: Apache-2.0
/* jail/tool.c: a program reads what it was given, writes what it was given, and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "jail/tool.h"

static char input[] = "/tmp/husk-tool-in-XXXXXX", output[] = "/tmp/husk-tool-out-XXXXXX";
static int in_fd, out_fd;
static char said[256];
static bool is_confined;

/* Runs a shell command; returns its wait status, with what it printed in `said`. */
static int run(const char *command)
{
    char *const arguments[] = {(char *)"sh", (char *)"-c", (char *)command, input, output, NULL};
    struct tool_plan plan = {.program = "/usr/bin/sh",
                             .arguments = arguments,
                             .input_fd = in_fd,
                             .output_fd = out_fd,
                             .file_bytes = 4096};
    struct husk_error err;
    struct tool tool;
    size_t len = 0;
    ssize_t n;
    int status = -1;

    assert_int_equal(tool_start(&plan, &tool, &err), 0);
    while (len < sizeof(said) - 1 &&
           (n = read(tool.output_fd, said + len, sizeof(said) - 1 - len)) > 0)
        len += (size_t)n;
    said[len] = '\0';
    assert_int_equal(waitpid(tool.pid, &status, 0), tool.pid);
    close(tool.output_fd);
    close(tool.error_fd);
    is_confined = tool.is_confined;
    return status;
}

static int set_up(void **state)
{
    in_fd = mkstemp(input);
    out_fd = mkstemp(output);
    return in_fd < 0 || out_fd < 0 || write_full(in_fd, "given", 5);
}

static int clean(void **state)
{
    return unlink(input) || unlink(output);
}

/* $0 is the input, $1 the output. */
static void test_its_files(void **state)
{
    char bytes[8];

    assert_int_equal(run("cat \"$0\" >> \"$1\" && echo done"), 0);
    assert_string_equal(said, "done\n");
    assert_int_equal(pread(out_fd, bytes, sizeof(bytes), 0), 5);
    assert_memory_equal(bytes, "given", 5);
}

static void test_other_files(void **state)
{
    static const char *const forbidden[] = {
        "cat /etc/passwd",
        "ls /",
        "ls /tmp",
        "echo x > \"$0\"",
        "echo x > /tmp/husk-tool-new",
        "rm \"$1\"",
        "mkdir /tmp/husk-tool-directory",
        "cat /proc/1/environ",
    };

    run("true");
    if (!is_confined) {
        print_message("skipped: tool: this kernel has no Landlock\n");
        skip();
    }
    for (unsigned i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++) {
        if (run(forbidden[i]) == 0)
            fail_msg("it can: %s", forbidden[i]);
    }
    assert_int_equal(access(output, F_OK), 0);
}

static void test_limits(void **state)
{
    assert_int_equal(run("ulimit -f; ulimit -c; ulimit -n"), 0);
    assert_string_equal(said, "8\n0\n256\n"); /* in 512 bytes */
    assert_int_not_equal(run("head -c 8192 /usr/bin/sh > \"$1\""), 0);
}

static void test_no_program(void **state)
{
    char *const arguments[] = {(char *)"none", NULL};
    struct tool_plan plan = {.program = "/usr/bin/does-not-exist",
                             .arguments = arguments,
                             .input_fd = in_fd,
                             .output_fd = out_fd,
                             .file_bytes = 4096};
    struct husk_error err;
    struct tool tool;

    assert_int_equal(tool_start(&plan, &tool, &err), -ENOENT);
    assert_string_equal(err.where, plan.program);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_its_files), cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_no_program)};

    return cmocka_run_group_tests(tests, set_up, clean);
}
