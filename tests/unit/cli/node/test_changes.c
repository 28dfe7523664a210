// SPDX-License-Identifier: Apache-2.0
/* What is said of changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "cli/node/changes.h"

static void the_agents_own_are_left_out(void **state)
{
    static const struct {
        const char *changed, *wanted;
    } cases[] = {
        {NULL, ""},
        {"no JSON", ""},
        {"[]", ""},
        {"[\"metadata.annotations[kubernetes.io/config.hash]\"]", ""},
        {"[\"metadata.annotations[kubernetes.io/config.hash]\", \"metadata.labels[a]\", "
         "\"metadata.annotations[node.husk/manifest]\", \"metadata.annotations[b]\", "
         "\"metadata.annotations[kubernetes.io/config.source]\"]",
         ": metadata.labels[a], metadata.annotations[b]"},
        {"[\"spec.activeDeadlineSeconds\"]", ": spec.activeDeadlineSeconds"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = changes_described(cases[i].changed);

        assert_non_null(text);
        assert_string_equal(text, cases[i].wanted);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_agents_own_are_left_out)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
