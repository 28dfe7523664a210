// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "cli/cli.h"
#include "cli/pod/options.h"

struct wanted {
    bool interactive, tty, all;
    const char *name;
    struct pod_list env;
    uint64_t size;
};

#define AT(member) offsetof(struct wanted, member)

static const struct pod_option table[] = {
    {'i', "interactive", false, pod_set_flag, AT(interactive)},
    {'t', "tty", false, pod_set_flag, AT(tty)},
    {0, "all", false, pod_set_flag, AT(all)},
    {'n', "name", true, pod_set_text, AT(name)},
    {'e', "env", true, pod_add_text, AT(env)},
    {'m', "memory", true, pod_set_size, AT(size)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax ends = {.command = "run",
                                       .help = "help\n",
                                       .wants = "an image",
                                       .least = 1,
                                       .most = 100,
                                       .words_before_end = 1,
                                       .own_statuses = true,
                                       .options = table};
static const struct pod_syntax anywhere = {
    .command = "stop", .help = "help\n", .wants = "one", .least = 1, .most = 1, .options = table};

/* Parses a line of words separated by blanks; the words left over, joined by '|', come to `rest`.
 */
static int parse(const struct pod_syntax *syntax, const char *line, struct wanted *out, char *rest)
{
    static char copy[512];
    char *argv[32] = {"x"}, **words;
    int argc = 1, ret;
    unsigned count;

    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    memset(out, 0, sizeof(*out));
    ret = pod_options_parse(syntax, out, argc, argv, &words, &count);
    rest[0] = '\0';
    for (unsigned i = 0; !ret && i < count; i++) {
        snprintf(rest + strlen(rest), 256 - strlen(rest), "%s|", words[i]);
    }
    return ret;
}

static void test_words_end_options(void **state)
{
    struct wanted w;
    char rest[256];

    assert_int_equal(parse(&ends, "-it -e A=1 -eB=2 --env=C --name x alpine sh -c -t", &w, rest),
                     0);
    assert_string_equal(rest, "alpine|sh|-c|-t|");
    assert_true(w.interactive && w.tty && !w.all);
    assert_string_equal(w.name, "x");
    assert_int_equal(w.env.count, 3);
    assert_string_equal(w.env.items[0], "A=1");
    assert_string_equal(w.env.items[1], "B=2");
    assert_string_equal(w.env.items[2], "C");
    pod_list_release(&w.env);
    assert_int_equal(parse(&ends, "-itn=y -- -e --", &w, rest), 0);
    assert_string_equal(rest, "-e|--|");
    assert_string_equal(w.name, "y");
}

static void test_options_anywhere(void **state)
{
    struct wanted w;
    char rest[256];

    assert_int_equal(parse(&anywhere, "a --all -m 2G", &w, rest), 0);
    assert_string_equal(rest, "a|");
    assert_true(w.all && w.size == 2ull << 30);
    assert_int_equal(parse(&anywhere, "-- --all", &w, rest), 0);
    assert_string_equal(rest, "--all|");
    assert_int_equal(parse(&anywhere, "-", &w, rest), 0);
    assert_string_equal(rest, "-|");
    assert_int_equal(parse(&anywhere, "--all=false a", &w, rest), 0);
    assert_false(w.all);
    assert_int_equal(parse(&anywhere, "--help", &w, rest), POD_HELP_SHOWN);
}

static void test_what_is_wrong(void **state)
{
    static const char *const lines[] = {
        "",      "a b", "-x a",       "--bogus a", "--al a", "a -n",    "a --name",     "--name= a",
        "-ix a", "-e",  "--all=2x a", "-m 12x a",  "-m 0 a", "-m -1 a", "--tty=maybe a"};
    struct wanted w;
    char rest[256];

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        if (parse(&anywhere, lines[i], &w, rest) != STATUS_USAGE)
            fail_msg("%s", lines[i]);
    }
    /* A command that returns a program's statuses has one for all that is its own. */
    assert_int_equal(parse(&ends, "--bogus a", &w, rest), STATUS_MONITOR_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_end_options),
        cmocka_unit_test(test_options_anywhere),
        cmocka_unit_test(test_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
