// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "vmm/api/json.h"

struct inner {
    bool given;
    struct json_number depth;
};

struct outer {
    bool given;
    char *name;
    struct json_number size;
    struct json_flag ready;
    struct json_choice colour;
    struct inner inner;
    json_t *any;
};

static const char *const colours[] = {"Red", "Blue", NULL};
static const struct json_field inner_fields[] = {
    {.name = "depth",
     .kind = JSON_NUMBER,
     .offset = offsetof(struct inner, depth),
     .required = true,
     .max = 9},
};
static const struct json_shape inner_shape = JSON_SHAPE(inner_fields);
static const struct json_field outer_fields[] = {
    {.name = "name",
     .kind = JSON_TEXT,
     .offset = offsetof(struct outer, name),
     .required = true,
     .min = 1,
     .max = 4},
    {.name = "size",
     .kind = JSON_NUMBER,
     .offset = offsetof(struct outer, size),
     .min = 2,
     .max = 200},
    {.name = "ready", .kind = JSON_FLAG, .offset = offsetof(struct outer, ready)},
    {.name = "colour",
     .kind = JSON_CHOICE,
     .offset = offsetof(struct outer, colour),
     .choices = colours},
    {.name = "inner",
     .kind = JSON_PART,
     .offset = offsetof(struct outer, inner),
     .shape = &inner_shape},
    {.name = "any", .kind = JSON_VALUE, .offset = offsetof(struct outer, any), .quiet = true},
};
static const struct json_shape outer_shape = JSON_SHAPE(outer_fields);

static int read_text(const char *text, struct outer *out, struct api_fault *fault)
{
    memset(out, 0, sizeof(*out));
    return json_read_text(&outer_shape, text, strlen(text), out, fault);
}

static void test_reads_everything(void **state)
{
    struct api_fault fault;
    struct outer out;

    assert_int_equal(read_text("{\"name\":\"abcd\",\"size\":200,\"ready\":true,\"colour\":\"Blue\","
                               "\"inner\":{\"depth\":0},\"any\":[1]}",
                               &out, &fault),
                     0);
    assert_true(out.given);
    assert_string_equal(out.name, "abcd");
    assert_true(out.size.given);
    assert_int_equal(out.size.value, 200);
    assert_true(out.ready.given && out.ready.value);
    assert_int_equal(out.colour.value, 1);
    assert_true(out.inner.given && out.inner.depth.given);
    assert_true(json_is_array(out.any));
    assert_int_equal(json_given(&outer_shape, &out), 6);
    json_release(&outer_shape, &out);
    assert_null(out.name);
    assert_int_equal(json_given(&outer_shape, &out), 0);
}

static void test_absent_and_null_are_the_same(void **state)
{
    struct api_fault fault;
    struct outer out;

    assert_int_equal(
        read_text("{\"name\":\"a\",\"size\":null,\"inner\":null,\"any\":null}", &out, &fault), 0);
    assert_int_equal(json_given(&outer_shape, &out), 1);
    json_release(&outer_shape, &out);
}

static void test_refuses(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "line 1"},
        {"{", "line 1"},
        {"{\"name\":\"a\"} x", "end of file expected"},
        {"{\"name\":\"a\",\"name\":\"b\"}", "duplicate object key"},
        {"{\"name\":\"\xff\"}", "unable to decode byte"},
        {"{\"name\":\"a\\u0000b\"}", "\\u0000"},
        {"[]", "array, expected an object"},
        {"null", "null, expected an object"},
        {"{}", "missing field `name`"},
        {"{\"name\":null}", "invalid type of field `name`: null"},
        {"{\"name\":1}", "invalid type of field `name`: integer, expected a string"},
        {"{\"name\":\"\"}", "invalid length of field `name`"},
        {"{\"name\":\"abcde\"}", "invalid length of field `name`: 5 bytes, expected 1 to 4"},
        {"{\"name\":\"a\",\"nmae\":1}", "unknown field `nmae`, expected one of `name`, `size`"},
        {"{\"name\":\"a\",\"size\":1}", "invalid value of field `size`: 1, expected 2 to 200"},
        {"{\"name\":\"a\",\"size\":201}", "field `size`"},
        {"{\"name\":\"a\",\"size\":-1}", "field `size`"},
        {"{\"name\":\"a\",\"size\":2.0}", "field `size`: floating point number"},
        {"{\"name\":\"a\",\"size\":\"2\"}", "field `size`: string"},
        {"{\"name\":\"a\",\"size\":9223372036854775808}", "too big integer"},
        {"{\"name\":\"a\",\"ready\":1}", "field `ready`: integer, expected a boolean"},
        {"{\"name\":\"a\",\"colour\":\"blue\"}",
         "unknown variant `blue` of field `colour`, expected one of `Red`, `Blue`"},
        {"{\"name\":\"a\",\"colour\":1}", "field `colour`"},
        {"{\"name\":\"a\",\"inner\":[]}", "field `inner`: array"},
        {"{\"name\":\"a\",\"inner\":{}}", "inner: missing field `depth`"},
        {"{\"name\":\"a\",\"inner\":{\"depth\":10}}", "inner: invalid value of field `depth`"},
        {"{\"name\":\"a\",\"any\":[1],\"inner\":{\"x\":1}}", "inner: unknown field `x`"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct api_fault fault = {0};
        struct outer out;

        assert_int_equal(read_text(cases[i].text, &out, &fault), -EINVAL);
        if (!strstr(fault.text, cases[i].words))
            fail_msg("%s: \"%s\" has no \"%s\"", cases[i].text, fault.text, cases[i].words);
        assert_false(out.given);
        assert_null(out.name);
        assert_null(out.any);
    }
}

static void test_faults_are_printable(void **state)
{
    struct api_fault fault = {0};
    struct outer out;

    assert_int_equal(read_text("{\"name\":\"a\",\"\\u001b[2J\\n\\u00e4\":1}", &out, &fault),
                     -EINVAL);
    for (const char *c = fault.text; *c; c++)
        assert_true(*c >= 0x20 && *c < 0x7f);
}

static void test_writes_what_it_reads(void **state)
{
    static const char text[] = "{\"name\":\"ab\",\"size\":null,\"ready\":false,\"colour\":\"Red\","
                               "\"inner\":{\"depth\":3}}";
    struct api_fault fault;
    struct outer out;
    json_t *value;
    char *again;

    assert_int_equal(read_text(text, &out, &fault), 0);
    value = json_write(&outer_shape, &out);
    again = json_dumps(value, JSON_COMPACT);
    assert_string_equal(again, text);
    free(again);
    json_decref(value);
    json_release(&outer_shape, &out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_everything),
        cmocka_unit_test(test_absent_and_null_are_the_same),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_faults_are_printable),
        cmocka_unit_test(test_writes_what_it_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
