// SPDX-License-Identifier: Apache-2.0
/* Environments: who overrides whom, and what an --env-file may say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "pod/spec/environment.h"

static char *const callers[] = {(char *)"HOME=/home/me", (char *)"EMPTY=", (char *)"X=a=b", NULL};

static struct environment *with(const char *const *entries)
{
    struct environment *environment = environment_new();

    assert_non_null(environment);
    for (; *entries; entries++)
        assert_int_equal(environment_set(environment, *entries, NULL), 0);
    return environment;
}

/* Checks and frees. */
static void expect(struct environment *environment, const char *const *entries)
{
    unsigned count = 0;

    for (; entries[count]; count++) {
        assert_true(count < environment->count);
        assert_string_equal(environment->entries[count], entries[count]);
    }
    assert_int_equal(environment->count, count);
    environment_free(environment);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void test_set(void **state)
{
    struct environment *environment = with(LIST("A=1", "B=2", "A=3", "AB=4", "B", "C"));

    expect(environment, LIST("A=3", "AB=4"));
}

static void test_option(void **state)
{
    struct environment *environment = with(LIST("HOME=/", "GONE=1", "KEPT=1"));
    const char *const options[] = {"HOME", "GONE", "EMPTY", "X", "Y= z "};

    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        assert_int_equal(environment_option(environment, options[i], callers, NULL), 0);
    expect(environment, LIST("HOME=/home/me", "KEPT=1", "EMPTY=", "X=a=b", "Y= z "));
}

static void test_option_refused(void **state)
{
    struct environment *environment = environment_new();
    struct husk_error err = {.code = 0};
    char *text = malloc(200000);

    assert_non_null(text);
    assert_int_equal(environment_option(environment, "=x", callers, &err), -EINVAL);
    assert_string_equal(err.where, "--env =x");
    assert_int_equal(environment_option(environment, "", callers, &err), -EINVAL);
    memset(text, 'x', 199999);
    text[1] = '=';
    text[199999] = '\0';
    assert_int_equal(environment_option(environment, text, callers, &err), -E2BIG);
    free(text);
    expect(environment, LIST());
}

static int parse(struct environment *environment, const char *text, struct husk_error *err)
{
    return environment_parse(environment, text, strlen(text), callers, "vars", err);
}

static void test_file(void **state)
{
    struct environment *environment = with(LIST("A=0", "NOBODY=1"));

    assert_int_equal(parse(environment,
                           "\xef\xbb\xbf# first\n"
                           "A=1\r\n"
                           "\n"
                           "  \t B=\"quoted\" # no comment \n"
                           "C=\n"
                           "HOME\n"
                           "NOBODY\n"
                           "  #D=1\n"
                           "E==\n"
                           "F=last",
                           NULL),
                     0);
    expect(environment, LIST("A=1", "NOBODY=1", "B=\"quoted\" # no comment ", "C=", "HOME=/home/me",
                             "E==", "F=last"));
}

static void test_file_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *why;
    } cases[] = {
        {"A=1\n=2\n", EINVAL, "line 2 has no name"},
        {"A B=1\n", EINVAL, "line 1 has a blank in its name"},
        {"\n\nexport A=1\n", EINVAL, "line 3 has a blank in its name"},
        {"A =1\n", EINVAL, "line 1 has a blank in its name"},
        {"A=\xff\n", EILSEQ, "line 1 is not valid UTF-8"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct environment *environment = environment_new();
        struct husk_error err = {.code = 0};

        assert_int_equal(parse(environment, cases[i].text, &err), -cases[i].code);
        assert_string_equal(err.where, "--env-file vars");
        assert_non_null(strstr(err.why, cases[i].why));
        environment_free(environment);
    }
}

static void test_file_bytes(void **state)
{
    struct environment *environment = environment_new();
    struct husk_error err = {.code = 0};
    char *text = malloc(ENVIRONMENT_FILE_MAX + 1);

    assert_non_null(text);
    assert_int_equal(environment_parse(environment, "A=1\0B=2", 7, callers, "vars", &err), -EINVAL);
    memset(text, '\n', ENVIRONMENT_FILE_MAX + 1);
    assert_int_equal(
        environment_parse(environment, text, ENVIRONMENT_FILE_MAX, callers, "vars", &err), 0);
    assert_int_equal(
        environment_parse(environment, text, ENVIRONMENT_FILE_MAX + 1, callers, "vars", &err),
        -EFBIG);
    memset(text, 'A', 200000);
    assert_int_equal(environment_parse(environment, text, 200000, callers, "vars", &err), -E2BIG);
    assert_int_equal(environment_file(environment, "/nonexistent/vars", callers, &err), -ENOENT);
    assert_string_equal(err.where, "--env-file /nonexistent/vars");
    free(text);
    environment_free(environment);
}

static void test_files_before_options(void **state)
{
    char path[] = "/tmp/husk-env-XXXXXX";
    const char *paths[] = {path}, *options[] = {"A=option"};
    struct environment *environment = with(LIST("A=image", "B=image"));
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "A=file\nB=file\n", 14), 14);
    close(fd);
    assert_int_equal(environment_options(environment, &(struct spec_words){paths, 1},
                                         &(struct spec_words){options, 1}, callers, NULL),
                     0);
    unlink(path);
    expect(environment, LIST("A=option", "B=file"));
}

static void test_many(void **state)
{
    struct environment *environment = environment_new();
    struct husk_error err = {.code = 0};
    char entry[32];

    for (unsigned i = 0; i < SPEC_LIST_MAX; i++) {
        snprintf(entry, sizeof(entry), "V%u=%u", i, i);
        assert_int_equal(environment_set(environment, entry, &err), 0);
    }
    assert_int_equal(environment_set(environment, "ONE=more", &err), -E2BIG);
    assert_int_equal(environment_set(environment, "V7=again", &err), 0);
    assert_string_equal(environment->entries[7], "V7=again");
    environment_free(environment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_option),
        cmocka_unit_test(test_option_refused),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_refused),
        cmocka_unit_test(test_file_bytes),
        cmocka_unit_test(test_files_before_options),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
