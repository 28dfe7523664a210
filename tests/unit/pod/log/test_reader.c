// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pod/log/reader.h"

#define TIME "2026-11-29T02:00:00.000000000Z"

struct fixture {
    char path[64];
    int dir;
    struct log_reader reader;
};

static void set_up(struct fixture *f)
{
    snprintf(f->path, sizeof(f->path), "/tmp/husk-log-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->dir = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f->dir >= 0);
    log_reader_init(&f->reader, f->dir, "log");
}

static void tear_down(struct fixture *f)
{
    static const char *const names[] = {"log", "log.1", "log.2", "log.3"};

    log_reader_close(&f->reader);
    for (unsigned i = 0; i < 4; i++)
        unlinkat(f->dir, names[i], 0);
    close(f->dir);
    rmdir(f->path);
}

static void append(struct fixture *f, const char *name, const char *text)
{
    int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

/* The next line is `text`; NULL: there is none yet. */
static void expect(struct fixture *f, const char *text)
{
    struct log_line line;

    assert_int_equal(log_reader_next(&f->reader, &line), text ? 1 : 0);
    if (text) {
        assert_int_equal(line.len, strlen(text));
        assert_memory_equal(line.text, text, line.len);
    }
}

static void test_oldest_first(void **state)
{
    struct fixture f;

    set_up(&f);
    append(&f, "log.2", TIME " stdout F one\n" TIME " stdout F two\n");
    append(&f, "log.1", TIME " stdout F three\n");
    append(&f, "log", TIME " stderr F four\n");
    expect(&f, "one");
    expect(&f, "two");
    expect(&f, "three");
    expect(&f, "four");
    expect(&f, NULL);
    tear_down(&f);
}

static void test_growing(void **state)
{
    struct fixture f;

    set_up(&f);
    expect(&f, NULL);
    append(&f, "log", TIME " stdout F one\n" TIME " std");
    expect(&f, "one");
    expect(&f, NULL);
    append(&f, "log", "out F two\n");
    expect(&f, "two");
    expect(&f, NULL);
    tear_down(&f);
}

static void rotate(struct fixture *f)
{
    renameat(f->dir, "log.2", f->dir, "log.3");
    renameat(f->dir, "log.1", f->dir, "log.2");
    assert_int_equal(renameat(f->dir, "log", f->dir, "log.1"), 0);
}

static void test_rotation(void **state)
{
    struct fixture f;

    set_up(&f);
    append(&f, "log", TIME " stdout F one\n");
    expect(&f, "one");
    expect(&f, NULL);
    /* What was written between our last read and the rotation is not lost. */
    append(&f, "log", TIME " stdout F two\n");
    rotate(&f);
    append(&f, "log", TIME " stdout F three\n");
    expect(&f, "two");
    expect(&f, "three");
    expect(&f, NULL);
    /* Twice, before we look again. */
    append(&f, "log", TIME " stdout F four\n");
    rotate(&f);
    append(&f, "log", TIME " stdout F five\n");
    rotate(&f);
    append(&f, "log", TIME " stdout F six\n");
    expect(&f, "four");
    expect(&f, "five");
    expect(&f, "six");
    expect(&f, NULL);
    tear_down(&f);
}

static void test_removed_behind_us(void **state)
{
    struct fixture f;

    set_up(&f);
    append(&f, "log", TIME " stdout F one\n");
    expect(&f, "one");
    assert_int_equal(unlinkat(f.dir, "log", 0), 0);
    append(&f, "log.1", TIME " stdout F two\n");
    append(&f, "log", TIME " stdout F three\n");
    expect(&f, "two");
    expect(&f, "three");
    expect(&f, NULL);
    tear_down(&f);
}

static void test_damage(void **state)
{
    static char long_line[3 << 20];
    struct fixture f;

    set_up(&f);
    memset(long_line, 'x', sizeof(long_line) - 1);
    append(&f, "log", "garbage\n" TIME " stdout F one\n");
    append(&f, "log", long_line);
    append(&f, "log", "\n" TIME " stdout F two\n");
    expect(&f, "one");
    expect(&f, "two");
    expect(&f, NULL);
    assert_true(f.reader.damaged >= 2);
    assert_true(f.reader.size < 2 << 20);
    tear_down(&f);
}

static void test_links_are_refused(void **state)
{
    struct fixture f;
    struct log_line line;

    set_up(&f);
    assert_int_equal(symlinkat("/etc/passwd", f.dir, "log"), 0);
    assert_true(log_reader_next(&f.reader, &line) < 0);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_first), cmocka_unit_test(test_growing),
        cmocka_unit_test(test_rotation),     cmocka_unit_test(test_removed_behind_us),
        cmocka_unit_test(test_damage),       cmocka_unit_test(test_links_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
