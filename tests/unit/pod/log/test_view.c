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

#include "base/checked.h"
#include "base/io.h"
#include "pod/log/view.h"

#define AT(second) "2001-09-09T01:46:4" second ".000000000Z "
#define NS         INT64_C(1000000000)

struct fixture {
    char path[64];
    int dir;
};

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    int fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write_full(fd, text, strlen(text)), 0);
    close(fd);
}

static int set_up(void **state)
{
    static struct fixture f;

    strcpy(f.path, "/tmp/husk-view-XXXXXX");
    assert_non_null(mkdtemp(f.path));
    f.dir = open(f.path, O_RDONLY | O_DIRECTORY);
    assert_true(f.dir >= 0);
    write_file(&f, "2.log.1", AT("0") "stdout F one\n" AT("1") "stderr F two\n");
    write_file(&f, "2.log", AT("2") "stdout P thr\n" AT("2") "stdout F ee\n" AT("3") "stdout P fo");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    unlinkat(f->dir, "2.log", 0);
    unlinkat(f->dir, "2.log.1", 0);
    close(f->dir);
    rmdir(f->path);
    return 0;
}

/* Everything that the view shows now, "/" between records. */
static void shows(struct log_view *view, const char *text)
{
    struct log_line line;
    char all[256] = "";
    int ret;

    while ((ret = log_view_next(view, &line)) == 1)
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%.*s/", (int)line.len, line.text);
    assert_int_equal(ret, 0);
    assert_string_equal(all, text);
}

static void test_views(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int64_t since_s, tail;
        const char *text;
    } cases[] = {
        {0, -1, "one/two/thr/ee/"},  {0, 0, ""},
        {0, 1, "thr/ee/"},           {0, 2, "two/thr/ee/"},
        {0, 100, "one/two/thr/ee/"}, {1000000001, -1, "two/thr/ee/"},
        {1000000001, 1, "thr/ee/"},  {2000000000, -1, ""},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct log_view view;

        assert_int_equal(
            log_view_open(&view, f->dir, "2.log", cases[i].since_s * NS, cases[i].tail), 0);
        shows(&view, cases[i].text);
        log_view_close(&view);
    }
}

/* What comes later is shown whatever `tail` was. */
static void test_later(void **state)
{
    struct fixture *f = *state;
    const char more[] = "ur\n" AT("4") "stdout F five\n";
    struct log_view view;
    int fd;

    assert_int_equal(log_view_open(&view, f->dir, "2.log", 0, 0), 0);
    shows(&view, "");
    fd = openat(f->dir, "2.log", O_WRONLY | O_APPEND);
    assert_int_equal(write_full(fd, more, strlen(more)), 0);
    close(fd);
    shows(&view, "four/five/");
    log_view_close(&view);
}

static void test_nothing(void **state)
{
    struct fixture *f = *state;
    struct log_view view;

    assert_int_equal(log_view_open(&view, f->dir, "3.log", 0, -1), 0);
    shows(&view, "");
    log_view_close(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_views, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
