// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/similar.h"

static const char *meant(const char *word)
{
    static const char *const names[] = {"command", "image",   "args",         "ports",
                                        "env",     "envFrom", "restartPolicy"};
    struct similar similar;

    similar_begin(&similar, word);
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
        similar_offer(&similar, names[i]);
    return similar.best;
}

static void finds_what_was_meant(void **state)
{
    assert_string_equal(meant("comand"), "command");   /* one less */
    assert_string_equal(meant("commmand"), "command"); /* one more */
    assert_string_equal(meant("cummand"), "command");  /* another */
    assert_string_equal(meant("iamge"), "image");      /* swapped */
    assert_string_equal(meant("imgae"), "image");
    assert_string_equal(meant("port"), "ports");
    assert_string_equal(meant("ENVFROM"), "envFrom");
    assert_string_equal(meant("restart_policy"), "restartPolicy");
}

static void does_not_guess(void **state)
{
    char longer[200];

    assert_null(meant(""));
    assert_null(meant("e"));
    assert_null(meant("x"));
    assert_null(meant("en")); /* half of it */
    assert_null(meant("volumes"));
    assert_null(meant("cmd"));
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_null(meant(longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_what_was_meant),
                                       cmocka_unit_test(does_not_guess)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
