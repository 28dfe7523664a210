// SPDX-License-Identifier: Apache-2.0
/* image/environment.c: GRUB's variables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/environment.h"

static struct environment *make(const char *block)
{
    struct environment *env = calloc(1, sizeof(*env));

    assert_non_null(env);
    environment_read(env, block);
    return env;
}

static void test_block(void **state)
{
    struct environment *env = make("# GRUB Environment Block\n"
                                   "saved_entry=a b\\\\c\nempty=\nbad name=x\n=y\nsaved_entry=new\n"
                                   "#########");

    assert_int_equal(env->count, 2);
    assert_string_equal(environment_get(env, "saved_entry", 11), "new");
    assert_string_equal(environment_get(env, "empty", 5), "");
    assert_string_equal(environment_get(env, "saved", 5), "");
    free(env);
}

static void test_expand(void **state)
{
    struct environment *env = make("a=1\nb=two words\n");
    char out[16];

    assert_int_equal(environment_expand(env, "x$a ${b}$none${", out, sizeof(out)), 0);
    assert_string_equal(out, "x1 two words");
    assert_int_equal(environment_expand(env, "$b$b", out, sizeof(out)), -1);
    assert_int_equal(environment_expand(env, "0123456789abcdef", out, sizeof(out)), -1);
    assert_int_equal(environment_expand(env, "0123456789abcde", out, sizeof(out)), 0);
    free(env);
}

static void test_limits(void **state)
{
    struct environment *env = make("");
    char name[100], value[2000];

    for (unsigned i = 0; i < ENVIRONMENT_MAX + 10; i++)
        environment_set(env, name, (size_t)snprintf(name, sizeof(name), "v%u", i), "x", 1);
    assert_int_equal(env->count, ENVIRONMENT_MAX);
    memset(name, 'n', sizeof(name));
    environment_set(env, name, sizeof(name), "x", 1);
    memset(value, 'v', sizeof(value));
    environment_set(env, "v1", 2, value, sizeof(value));
    assert_string_equal(environment_get(env, "v1", 2), "x");
    environment_set(env, "v1", 2, "y", 1);
    assert_string_equal(environment_get(env, "v1", 2), "y");
    free(env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_block), cmocka_unit_test(test_expand),
                                       cmocka_unit_test(test_limits)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
