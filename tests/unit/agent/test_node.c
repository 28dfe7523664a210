// SPDX-License-Identifier: Apache-2.0
/* Reading JSON: types, ranges, and the names that errors give to fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/node.h"

static struct husk_error error;

static json_t *parse(const char *text)
{
    return json_parse_object(text, strlen(text), &error);
}

static void test_error_names_the_field(void **state)
{
    json_t *json = parse("{\"a\": {\"list\": [{}, {\"x\": \"text\"}]}}");
    struct node root = node_root(json, "config"), a = node_member(&root, "a"), list, item;
    int64_t value = 5;

    assert_int_equal(node_array(&a, "list", 2, &list, &error), 0);
    assert_int_equal(node_object_at(&list, 1, &item, &error), 0);
    assert_int_equal(node_integer(&item, "x", 0, 9, &value, NULL, &error), -EINVAL);
    assert_string_equal(error.where, "config.a.list[1].x");
    assert_int_equal(value, 5);
    assert_int_equal(node_array(&a, "list", 1, &list, &error), -E2BIG);
    assert_int_equal(node_object(&a, "list", &item, &error), -EINVAL);
    json_decref(json);
}

static void test_absent_and_null_change_nothing(void **state)
{
    json_t *json = parse("{\"n\": null}");
    struct node root = node_root(json, "");
    const char *text = "before", **texts = NULL;
    uint64_t number = 7;
    bool flag = true, given = true;

    assert_int_equal(node_text(&root, "n", 0, 9, &text, &error), 0);
    assert_string_equal(text, "before");
    assert_int_equal(node_unsigned(&root, "n", 9, &number, &given, &error), 0);
    assert_false(given);
    assert_int_equal(number, 7);
    assert_int_equal(node_flag(&root, "absent", &flag, &error), 0);
    assert_true(flag);
    assert_int_equal(node_texts(&root, "absent", 9, 9, &texts, &error), 0);
    assert_null(texts);
    assert_int_equal(node_need_text(&root, "n", 0, 9, &text, &error), -EINVAL);
    assert_int_equal(node_unsupported(&root, "n", &error), 0);
    json_decref(json);
}

static void test_integers(void **state)
{
    json_t *json = parse("{\"small\": -3, \"big\": 9223372036854775807, \"half\": 1.5}");
    struct node root = node_root(json, "");
    int64_t value = 0;
    uint64_t number = 0;

    assert_int_equal(node_integer(&root, "small", -3, 3, &value, NULL, &error), 0);
    assert_int_equal(value, -3);
    assert_int_equal(node_integer(&root, "small", -2, 3, &value, NULL, &error), -ERANGE);
    assert_int_equal(node_integer(&root, "half", 0, 3, &value, NULL, &error), -EINVAL);
    assert_int_equal(node_unsigned(&root, "small", 3, &number, NULL, &error), -ERANGE);
    assert_int_equal(node_unsigned(&root, "big", UINT64_MAX, &number, NULL, &error), 0);
    assert_true(number == INT64_MAX);
    json_decref(json);
}

/* RLIM_INFINITY, as every engine writes it, is more than the parser's integers. */
static void test_no_limit(void **state)
{
    json_t *json = parse("{\"max\": 18446744073709551615, \"one\": 1, \"odd\": 9007199254740995,"
                         " \"far\": 18446744073709540000}");
    struct node root = node_root(json, "");
    uint64_t number = 0;

    assert_int_equal(node_unsigned(&root, "max", UINT64_MAX, &number, NULL, &error), 0);
    assert_true(number == UINT64_MAX);
    assert_int_equal(node_unsigned(&root, "max", 100, &number, NULL, &error), -EINVAL);
    assert_int_equal(node_unsigned(&root, "one", 9, &number, NULL, &error), 0);
    assert_int_equal(number, 1);
    /* What is not exact any more is not guessed. */
    assert_int_equal(node_unsigned(&root, "odd", UINT64_MAX, &number, NULL, &error), -EINVAL);
    assert_int_equal(node_unsigned(&root, "far", UINT64_MAX, &number, NULL, &error), -EINVAL);
    json_decref(json);
}

static void test_words_and_members(void **state)
{
    static const char *const words[] = {"one", "two"}, *const names[] = {"word", NULL};
    json_t *json = parse("{\"word\": \"two\", \"more\": [0]}");
    struct node root = node_root(json, "r");
    unsigned word = 0;

    assert_int_equal(node_choice(&root, "word", words, 2, &word, NULL, &error), 0);
    assert_int_equal(word, 1);
    assert_int_equal(node_choice(&root, "word", words, 1, &word, NULL, &error), -EINVAL);
    assert_int_equal(node_only(&root, names, &error), -EINVAL);
    assert_string_equal(error.where, "r.more");
    assert_int_equal(node_unsupported(&root, "more", &error), -ENOTSUP);
    json_decref(json);
}

static void test_bad_documents(void **state)
{
    char deep[200];

    assert_null(parse("[]"));
    assert_null(parse("{"));
    assert_null(parse("{\"a\": 1, \"a\": 2}"));
    assert_null(parse("{\"a\": \"\\u0000\"}"));
    assert_null(parse("{} {}"));
    assert_null(parse("{\"\xff\": 1}"));
    memset(deep, '[', sizeof(deep));
    assert_null(json_parse_object(deep, sizeof(deep), &error));
    assert_non_null(strstr(error.why, "levels"));
    /* Brackets in texts are no levels. */
    memset(deep, '[', sizeof(deep));
    memcpy(deep, "{\"a\":\"", 6);
    memcpy(deep + sizeof(deep) - 2, "\"}", 2);
    json_decref(json_parse_object(deep, sizeof(deep), &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_names_the_field),
        cmocka_unit_test(test_absent_and_null_change_nothing),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_words_and_members),
        cmocka_unit_test(test_bad_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
