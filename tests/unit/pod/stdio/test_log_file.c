// SPDX-License-Identifier: Apache-2.0
/* The log: lines and parts of lines, rotation, a disk that takes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "base/io.h"
#include "pod/store/files.h"
#include "pod/stdio/log_file.h"

#define PREFIX "2026-11-29T02:00:00.000000000Z "

struct fixture {
    char directory[64];
    int dir;
    struct log_file *log;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->directory, "/tmp/husk-log-XXXXXX");
    if (!mkdtemp(f->directory))
        return -1;
    f->dir = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = f;
    return log_file_open(f->dir, "log", 1 << 20, 3, &f->log);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret = files_remove_tree(tmp, f->directory + strlen("/tmp/"));

    close(tmp);
    close(f->dir);
    log_file_close(f->log);
    free(f);
    return ret;
}

static void reopen(struct fixture *f, uint64_t bytes, unsigned files)
{
    log_file_close(f->log);
    assert_int_equal(log_file_open(f->dir, "log", bytes, files, &f->log), 0);
}

static void put(struct fixture *f, enum log_stream stream, const char *text)
{
    log_file_write(f->log, stream, text, strlen(text));
}

/* The file with all times cut off; the caller's to free. */
static char *text_of(struct fixture *f, const char *name)
{
    char *bytes, *out, *to;
    size_t len;

    assert_int_equal(read_file_at(f->dir, name, 1 << 24, &bytes, &len), 0);
    to = out = calloc(1, len + 1);
    for (char *line = bytes, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        assert_true(end - line > (ptrdiff_t)strlen(PREFIX));
        assert_int_equal(line[4], '-');
        assert_int_equal(line[10], 'T');
        assert_int_equal(line[29], 'Z');
        to = mempcpy(to, line + strlen(PREFIX), (size_t)(end + 1 - line) - strlen(PREFIX));
    }
    free(bytes);
    return out;
}

static void expect(struct fixture *f, const char *name, const char *wanted)
{
    char *text = text_of(f, name);

    assert_string_equal(text, wanted);
    free(text);
}

static void whole_lines(void **state)
{
    struct fixture *f = *state;

    put(f, LOG_STDOUT, "one\ntwo\n\n");
    put(f, LOG_STDERR, "three\n");
    expect(f, "log", "stdout F one\nstdout F two\nstdout F \nstderr F three\n");
}

static void lines_come_in_pieces(void **state)
{
    struct fixture *f = *state;

    put(f, LOG_STDOUT, "be");
    put(f, LOG_STDERR, "between\n");
    put(f, LOG_STDOUT, "gin");
    put(f, LOG_STDOUT, "\n");
    expect(f, "log", "stderr F between\nstdout F begin\n");
    put(f, LOG_STDOUT, "no newline");
    expect(f, "log", "stderr F between\nstdout F begin\n");
    log_file_end(f->log, LOG_STDOUT);
    log_file_end(f->log, LOG_STDERR);
    expect(f, "log", "stderr F between\nstdout F begin\nstdout P no newline\n");
}

/* As many bytes as a line may have are one whole line; one more makes it two. */
static void long_lines(void **state)
{
    struct fixture *f = *state;
    char *line = malloc(LOG_FILE_LINE_MAX + 2), *text;

    memset(line, 'x', LOG_FILE_LINE_MAX);
    log_file_write(f->log, LOG_STDOUT, line, LOG_FILE_LINE_MAX);
    log_file_write(f->log, LOG_STDOUT, "\n", 1);
    text = text_of(f, "log");
    assert_int_equal(strlen(text), strlen("stdout F \n") + LOG_FILE_LINE_MAX);
    assert_int_equal(strncmp(text, "stdout F x", 10), 0);
    free(text);
    assert_int_equal(unlinkat(f->dir, "log", 0), 0);
    reopen(f, 1 << 20, 3);
    line[LOG_FILE_LINE_MAX] = 'y';
    line[LOG_FILE_LINE_MAX + 1] = '\n';
    log_file_write(f->log, LOG_STDOUT, line, LOG_FILE_LINE_MAX + 2);
    text = text_of(f, "log");
    assert_int_equal(strncmp(text, "stdout P x", 10), 0);
    assert_string_equal(text + strlen("stdout P \n") + LOG_FILE_LINE_MAX, "stdout F y\n");
    free(text);
    free(line);
}

static void any_bytes(void **state)
{
    struct fixture *f = *state;
    const char bytes[] = {'a', '\0', '\r', (char)0xff, '\n'};
    char *found;
    size_t len;

    log_file_write(f->log, LOG_STDOUT, bytes, sizeof(bytes));
    assert_int_equal(read_file_at(f->dir, "log", 4096, &found, &len), 0);
    assert_int_equal(len, strlen(PREFIX "stdout F ") + sizeof(bytes));
    assert_memory_equal(found + len - sizeof(bytes), bytes, sizeof(bytes));
    free(found);
}

static void rotates(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    reopen(f, 4096, 2);
    for (unsigned i = 0; i < 400; i++) {
        char line[32];

        snprintf(line, sizeof(line), "line %u\n", i);
        put(f, LOG_STDOUT, line);
        assert_int_equal(fstatat(f->dir, "log", &st, 0), 0);
        assert_true(st.st_size <= 4096);
    }
    assert_int_equal(fstatat(f->dir, "log.1", &st, 0), 0);
    assert_true(st.st_size <= 4096 && st.st_size > 4000);
    assert_int_equal(fstatat(f->dir, "log.2", &st, 0), -1);
}

static void one_file_only(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    reopen(f, 4096, 1);
    for (unsigned i = 0; i < 200; i++)
        put(f, LOG_STDOUT, "line\n");
    assert_int_equal(fstatat(f->dir, "log", &st, 0), 0);
    assert_true(st.st_size <= 4096);
    assert_int_equal(fstatat(f->dir, "log.1", &st, 0), -1);
}

static void goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;

    put(f, LOG_STDOUT, "before\n");
    reopen(f, 1 << 20, 3);
    put(f, LOG_STDOUT, "after\n");
    expect(f, "log", "stdout F before\nstdout F after\n");
}

static void none_at_all(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    reopen(f, 4096, 0);
    put(f, LOG_STDOUT, "line\n");
    log_file_end(f->log, LOG_STDOUT);
    assert_int_equal(fstatat(f->dir, "log", &st, 0), -1);
}

/* A limit on the file's size stands for a full disk: the line that does not fit leaves no part. */
static void what_does_not_fit(void **state)
{
    struct fixture *f = *state;
    struct rlimit full = {.rlim_cur = 100}, before;
    int code;

    signal(SIGXFSZ, SIG_IGN);
    put(f, LOG_STDOUT, "first\n");
    assert_int_equal(log_file_lost(f->log, &code), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    put(f, LOG_STDOUT,
        "a line that has no room any more in this file, and the next neither\nnext\n");
    put(f, LOG_STDERR, "and not this either, for what was lost is said first, and has no room\n");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(log_file_lost(f->log, &code), 3);
    assert_int_equal(code, EFBIG);
    expect(f, "log", "stdout F first\n");
    put(f, LOG_STDOUT, "room\n");
    expect(f, "log",
           "stdout F first\nstderr F husk: 3 lines could not be written here: File too large\n"
           "stdout F room\n");
    assert_int_equal(log_file_lost(f->log, &code), 3);
}

static void a_strange_file_is_not_written(void **state)
{
    struct fixture *f = *state;
    int code;

    assert_int_equal(symlinkat("/dev/null", f->dir, "log"), 0);
    put(f, LOG_STDOUT, "line\n");
    assert_int_equal(log_file_lost(f->log, &code), 1);
    assert_int_equal(code, ELOOP);
}

/* The writer was killed in the middle of a line. */
static void a_torn_end_is_mended(void **state)
{
    static const struct {
        const char *torn, *mended;
    } ends[] = {
        {PREFIX "stderr F some", "stderr P some\n"},
        {PREFIX "stdout P x", "stdout P x\n"},
        {PREFIX "stdout F ", ""},
        {PREFIX "stdo", ""},
        {"2026-1", ""},
    };
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char wanted[256];
        int fd;

        put(f, LOG_STDOUT, "whole\n");
        log_file_close(f->log);
        fd = openat(f->dir, "log", O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_int_equal(write(fd, ends[i].torn, strlen(ends[i].torn)), strlen(ends[i].torn));
        close(fd);
        assert_int_equal(log_file_open(f->dir, "log", 1 << 20, 3, &f->log), 0);
        put(f, LOG_STDOUT, "next\n");
        snprintf(wanted, sizeof(wanted), "stdout F whole\n%sstdout F next\n", ends[i].mended);
        expect(f, "log", wanted);
        assert_int_equal(unlinkat(f->dir, "log", 0), 0);
        reopen(f, 1 << 20, 3);
    }
}

#define WITH_LOG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOG(whole_lines),
        WITH_LOG(lines_come_in_pieces),
        WITH_LOG(long_lines),
        WITH_LOG(any_bytes),
        WITH_LOG(rotates),
        WITH_LOG(one_file_only),
        WITH_LOG(goes_on_where_it_was),
        WITH_LOG(none_at_all),
        WITH_LOG(what_does_not_fit),
        WITH_LOG(a_strange_file_is_not_written),
        WITH_LOG(a_torn_end_is_mended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
