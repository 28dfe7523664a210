// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "cli/pods/yaml.h"

static void prints(const char *json, const char *yaml)
{
    json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(value);
    assert_int_equal(yaml_print(value, out), 0);
    fclose(out);
    assert_string_equal(text, yaml);
    free(text);
    json_decref(value);
}

static void test_collections(void **state)
{
    prints("{\"a\": {\"b\": [1, \"x\", true, null], \"c\": {}, \"d\": []}}",
           "a:\n  b:\n  - 1\n  - x\n  - true\n  - null\n  c: {}\n  d: []\n");
    prints("[{\"name\": \"web\", \"image\": \"nginx:1.22\"}]",
           "- name: web\n  image: nginx:1.22\n");
}

static void test_texts(void **state)
{
    prints("{\"a\": \"yes\", \"b\": \"12\", \"c\": \"\", \"d\": \"Null\", \"e\": \"a: b\", \"f\": "
           "\"-x\"}",
           "a: \"yes\"\nb: \"12\"\nc: \"\"\nd: \"Null\"\ne: 'a: b'\nf: \"-x\"\n");
    prints("{\"on\": \"first\\nsecond\\n\"}", "\"on\": |\n  first\n  second\n");
    prints("{\"a\": \"\\u001b[31m\"}", "a: \"\\e[31m\"\n");
    prints("{\"a\": \"gr\\u00fc\\u00df\"}", "a: gr\303\274\303\237\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collections),
        cmocka_unit_test(test_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
