// SPDX-License-Identifier: Apache-2.0
/* References to variables, by the examples of Kubernetes' documentation and at their edges. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/plan/expand.h"

static const struct {
    const char *text, *wanted, *missing;
} cases[] = {
    {"", "", NULL},
    {"plain", "plain", NULL},
    {"$(A)", "1", NULL},
    {"x$(A)y$(B)z", "x1y$(A)z", NULL}, /* a value is not looked at again */
    {"$(NONE)", "$(NONE)", "NONE"},
    {"$(A)$(NO)$(NEVER)", "1$(NO)$(NEVER)", "NO"},
    {"$$(A)", "$(A)", NULL},
    {"$$$(A)", "$1", NULL},
    {"$$$$(A)", "$$(A)", NULL},
    {"$A", "$A", NULL},
    {"$(A", "$(A", NULL},
    {"$(A)$(A", "1$(A", NULL},
    {")$(A$(", ")$(A$(", NULL},
    {"$(A)$", "1$", NULL},
    {"$(A$(A)", "$(A$(A)", "A$(A"},
    {"$()", "$()", ""},
    {"$", "$", NULL},
    {"a$", "a$", NULL},
    {"$(E)", "", NULL},
    {"${A} $A) (A)", "${A} $A) (A)", NULL},
};

static void expands(void **state)
{
    json_t *variables = json_pack("{s:s, s:s, s:s}", "A", "1", "B", "$(A)", "E", "");

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *missing = NULL;
        size_t len = 0;
        char *out;

        assert_int_equal(expand(cases[i].text, variables, &out, &missing, &len), 0);
        assert_string_equal(out, cases[i].wanted);
        free(out);
        assert_true((missing == NULL) == (cases[i].missing == NULL));
        if (missing) {
            assert_int_equal(len, strlen(cases[i].missing));
            assert_memory_equal(missing, cases[i].missing, len);
        }
    }
    json_decref(variables);
}

static void has_an_end(void **state)
{
    char *half = calloc(1, EXPAND_MAX / 2 + 1), *out;
    json_t *variables;

    memset(half, 'x', EXPAND_MAX / 2);
    variables = json_pack("{s:s}", "H", half);
    assert_int_equal(expand("$(H)$(H)", variables, &out, NULL, NULL), 0);
    assert_int_equal(strlen(out), EXPAND_MAX);
    free(out);
    assert_int_equal(expand("$(H)$(H).", variables, &out, NULL, NULL), -E2BIG);
    json_decref(variables);
    free(half);
}

/* Were the rest of the text looked through at each of them, until the result is too long, this
 * would take hours. */
static void many_that_do_not_end(void **state)
{
    size_t len = 64u << 20;
    char *texts = malloc(len + 1), *out;
    json_t *none = json_object();

    assert_non_null(texts);
    for (size_t i = 0; i < len; i += 2)
        memcpy(texts + i, "$(", 2);
    texts[len] = '\0';
    assert_int_equal(expand(texts, none, &out, NULL, NULL), -E2BIG);
    assert_int_equal(expand(texts + len - EXPAND_MAX, none, &out, NULL, NULL), 0);
    assert_string_equal(out, texts + len - EXPAND_MAX);
    free(out);
    json_decref(none);
    free(texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(expands), cmocka_unit_test(has_an_end),
                                       cmocka_unit_test(many_that_do_not_end)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
