// SPDX-License-Identifier: Apache-2.0
/* What the command line of `husk image` accepts and refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "cli/cli.h"
#include "cli/image/options.h"

/* The words of a line, split at blanks. */
static int parse(struct image_options *out, const char *line)
{
    static char text[256];
    static char *argv[32];
    char *rest = text;
    int argc = 0;

    snprintf(text, sizeof(text), "%s", line);
    for (char *word; argc < 31 && (word = strsep(&rest, " "));)
        argv[argc++] = word;
    argv[argc] = NULL;
    return image_options_parse(out, argc, argv);
}

static void test_good(void **state)
{
    struct image_options o;

    assert_int_equal(parse(&o, "image pull --threads 7 nginx --platform=linux/arm64 --plain-http"),
                     0);
    assert_int_equal(o.action, ACTION_PULL);
    assert_int_equal(o.word_count, 1);
    assert_string_equal(o.words[0], "nginx");
    assert_int_equal(o.threads, 7);
    assert_string_equal(o.platform.architecture, "arm64");
    assert_true(o.plain_http);
    assert_int_equal(parse(&o, "image load - --name x:1 --only y -q"), 0);
    assert_string_equal(o.words[0], "-");
    assert_string_equal(o.name, "x:1");
    assert_string_equal(o.only, "y");
    assert_true(o.quiet);
    assert_int_equal(parse(&o, "image --store /s ls --json"), 0);
    assert_string_equal(o.store, "/s");
    assert_true(o.json);
    assert_int_equal(parse(&o, "image rm a b c"), 0);
    assert_int_equal(o.word_count, 3);
    assert_int_equal(parse(&o, "image rm -- --odd"), 0);
    assert_string_equal(o.words[0], "--odd");
    assert_false(o.force);
    assert_int_equal(parse(&o, "image rm -f a"), 0);
    assert_true(o.force);
    assert_int_equal(parse(&o, "image prune"), 0);
    assert_int_equal(parse(&o, "image inspect x"), 0);
}

static void test_bad(void **state)
{
    static const char *const lines[] = {"image",
                                        "image frob",
                                        "image pull",
                                        "image pull a b",
                                        "image load",
                                        "image ls x",
                                        "image prune x",
                                        "image rm",
                                        "image inspect",
                                        "image inspect a b",
                                        "image pull --frob x",
                                        "image pull x --threads",
                                        "image pull x --threads 0",
                                        "image pull x --threads 17",
                                        "image pull x --threads=",
                                        "image pull x --json=1",
                                        "image pull x --platform linux",
                                        "image pull x --name y",
                                        "image load x --plain-http",
                                        "image ls --platform linux/amd64",
                                        "image pull x --user a --auth-file b",
                                        "image pull x --store=",
                                        "image pull x -x"};

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        struct image_options o;

        if (parse(&o, lines[i]) != STATUS_USAGE)
            fail_msg("%s is accepted", lines[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
