// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/manifest/selector.h"

static json_t *labels(const char *text)
{
    json_t *object = json_loads(text, 0, NULL);

    assert_non_null(object);
    return object;
}

static bool matches(const char *text, const json_t *object)
{
    struct husk_error err = {.code = 0};
    struct selector *selector;
    bool found;

    if (selector_parse(text, &selector, &err))
        fail_msg("%s: %s: %s", text, err.what, err.why);
    found = selector_match(selector, object);
    selector_free(selector);
    return found;
}

static void test_text(void **state)
{
    json_t *web = labels("{\"app\":\"web\",\"tier\":\"front\",\"empty\":\"\",\"a.b/c\":\"1\"}");
    static const char *const yes[] = {
        "",
        " ",
        "app=web",
        "app==web",
        " app = web , tier!=db ",
        "app in (web)",
        "app in (db, web)",
        "app in(db,web),tier",
        "app notin (db,cache)",
        "absent notin (x)",
        "absent!=x",
        "!absent",
        "! absent",
        "app,tier",
        "empty=",
        "empty in ()",
        "empty in (,x)",
        "a.b/c=1",
        "in notin (x)",
        "!in",
    };
    static const char *const no[] = {
        "app=db", "app!=web", "app in (db)",  "app notin (web)",   "!app",
        "absent", "absent=",  "absent in ()", "empty!=",           "app=web,!tier",
        "in",     "a.b/c=2",  "app in (Web)", "app=web,tier=back",
    };

    for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
        if (!matches(yes[i], web))
            fail_msg("\"%s\" does not match", yes[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
        if (matches(no[i], web))
            fail_msg("\"%s\" matches", no[i]);
    }
    assert_true(matches(NULL, web));
    assert_true(matches("!app", NULL));
    assert_false(matches("app", NULL));
    json_decref(web);
}

static void test_refused(void **state)
{
    static const char *const bad[][2] = {
        {",", "wants a label's name"},
        {"=web", "wants a label's name"},
        {"app=web,", "ends with a comma"},
        {"app=web,,x", "wants a label's name"},
        {"app web", "wants a comma"},
        {"app=a b", "wants a comma"},
        {"app in web", "wants (VALUE, ...)"},
        {"app in", "wants (VALUE, ...)"},
        {"app in (web", "does not end with )"},
        {"app in (a b)", "does not end with )"},
        {"app)", "wants a comma"},
        {"x>5", "compares numbers"},
        {"x<5", "compares numbers"},
        {"-a", "a key that is none"},
        {"a/b/c", "a key that is none"},
        {"a=-b", "a value that is none"},
        {"a in (\xc3\xa4)", "a value that is none"},
        {"!!a", "wants a label's name"},
        {"!a=b", "wants a comma"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct husk_error err = {.code = 0};
        struct selector *selector;

        if (selector_parse(bad[i][0], &selector, &err) != -EINVAL)
            fail_msg("\"%s\" is not refused", bad[i][0]);
        assert_string_equal(err.where, "selector");
        if (!strstr(err.what, bad[i][1]))
            fail_msg("\"%s\": %s", bad[i][0], err.what);
    }
}

static void test_limits(void **state)
{
    struct husk_error err = {.code = 0};
    struct selector *selector;
    char *text = calloc(1, SELECTOR_BYTES_MAX + 2);

    assert_non_null(text);
    for (unsigned i = 0; i <= SELECTOR_REQUIREMENTS_MAX; i++)
        strcat(text, i ? ",a" : "a");
    assert_int_equal(selector_parse(text, &selector, &err), -E2BIG);
    text[strlen(text) - 2] = '\0';
    assert_int_equal(selector_parse(text, &selector, &err), 0);
    selector_free(selector);
    strcpy(text, "a in (");
    for (unsigned i = 0; i <= SELECTOR_VALUES_MAX; i++)
        strcat(text, "b,");
    assert_int_equal(selector_parse(text, &selector, &err), -E2BIG);
    memset(text, 'a', SELECTOR_BYTES_MAX + 1);
    assert_int_equal(selector_parse(text, &selector, &err), -E2BIG);
    free(text);
}

static void test_object(void **state)
{
    json_t *object = labels("{\"matchLabels\":{\"app\":\"web\"},\"matchExpressions\":["
                            "{\"key\":\"tier\",\"operator\":\"In\",\"values\":[\"front\",\"x\"]},"
                            "{\"key\":\"tier\",\"operator\":\"NotIn\",\"values\":[\"db\"]},"
                            "{\"key\":\"app\",\"operator\":\"Exists\"},"
                            "{\"key\":\"canary\",\"operator\":\"DoesNotExist\"}]}");
    json_t *web = labels("{\"app\":\"web\",\"tier\":\"front\"}");
    json_t *bad = labels("{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Near\"}]}");
    struct husk_error err = {.code = 0};
    struct selector *selector;

    assert_int_equal(selector_from_object(object, &selector, &err), 0);
    assert_true(selector_match(selector, web));
    json_object_set_new(web, "canary", json_string(""));
    assert_false(selector_match(selector, web));
    json_object_del(web, "canary");
    json_object_set_new(web, "tier", json_string("back"));
    assert_false(selector_match(selector, web));
    selector_free(selector);
    assert_int_equal(selector_from_object(bad, &selector, &err), -EINVAL);
    assert_int_equal(selector_from_object(NULL, &selector, &err), 0);
    assert_true(selector_match(selector, NULL));
    selector_free(selector);
    selector_free(NULL);
    json_decref(object);
    json_decref(web);
    json_decref(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_object),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
