// SPDX-License-Identifier: Apache-2.0
/* Credentials out of a pod's secrets, in all the forms that Kubernetes has had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pod/manifest/base64.h"
#include "pod/pods/pull_secrets.h"

static struct {
    unsigned warned;
    char line[512];
} told;

static void warn(void *arg, const char *line)
{
    told.warned++;
    snprintf(told.line, sizeof(told.line), "%s", line);
}

static json_t *spec, *secrets, *auths;

static int setup(void **state)
{
    told.warned = 0;
    spec = json_pack("{s:[]}", "imagePullSecrets");
    secrets = json_object();
    auths = NULL;
    return 0;
}

static int teardown(void **state)
{
    json_decref(spec);
    json_decref(secrets);
    json_decref(auths);
    return 0;
}

static void name(const char *secret)
{
    json_array_append_new(json_object_get(spec, "imagePullSecrets"),
                          json_pack("{s:s}", "name", secret));
}

static void add(const char *secret, const char *key, const char *text)
{
    char *data = manifest_base64_encode(text, strlen(text));

    name(secret);
    json_object_set_new(secrets, secret, json_pack("{s:{s:s}}", "data", key, data));
    free(data);
}

static void read_all(void)
{
    assert_int_equal(pull_secrets_read(spec, secrets, &auths, warn, NULL), 0);
}

/* What `auth` there is for a host; "" for none. */
static const char *auth_of(const char *host)
{
    const char *text = json_string_value(
        json_object_get(json_object_get(json_object_get(auths, "auths"), host), "auth"));

    return text ? text : "";
}

static void forms_are_read(void **state)
{
    add("a", ".dockerconfigjson",
        "{\"auths\": {\"one.example\": {\"auth\": \"dTpw\"}, \"two.example\": {\"username\": "
        "\"u\", \"password\": \"q\"}, \"none.example\": {\"email\": \"x\"}}}");
    add("b", ".dockercfg", "{\"three.example\": {\"auth\": \"djp3\"}}");
    read_all();
    assert_int_equal(told.warned, 0);
    assert_string_equal(auth_of("one.example"), "dTpw");
    assert_string_equal(auth_of("two.example"), "dTpx");
    assert_string_equal(auth_of("three.example"), "djp3");
    assert_string_equal(auth_of("none.example"), "");
}

static void the_first_secret_counts(void **state)
{
    add("a", ".dockerconfigjson", "{\"auths\": {\"h.example\": {\"auth\": \"dTpw\"}}}");
    add("b", ".dockerconfigjson", "{\"auths\": {\"h.example\": {\"auth\": \"djp3\"}}}");
    read_all();
    assert_string_equal(auth_of("h.example"), "dTpw");
}

static void what_is_none_is_told(void **state)
{
    static const char *const texts[] = {"",
                                        "[]",
                                        "{",
                                        "{\"auths\": 7}",
                                        "{\"auths\": {}}",
                                        "{\"auths\": {\"h\": \"dTpw\"}}",
                                        "{\"auths\": {\"h\": {\"username\": \"a:b\"}}}"};
    char own[8];

    name("gone");
    read_all();
    assert_int_equal(told.warned, 1);
    assert_non_null(strstr(told.line, "\"gone\" is not there"));
    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        snprintf(own, sizeof(own), "s%u", i);
        add(own, ".dockerconfigjson", texts[i]);
    }
    add("other", "password", "p");
    told.warned = 0;
    read_all();
    assert_int_equal(told.warned, 2 + sizeof(texts) / sizeof(texts[0]));
    assert_null(auths);
}

static void only_what_is_for_an_image_is_given(void **state)
{
    char *text;

    add("a", ".dockerconfigjson",
        "{\"auths\": {\"h.example/team\": {\"auth\": \"dTpw\"},"
        " \"https://index.docker.io/v1/\": {\"auth\": \"djp3\"}}}");
    read_all();
    text = pull_secrets_for(auths, "h.example/team/app:1");
    assert_non_null(strstr(text, "dTpw"));
    pull_secrets_free(text);
    text = pull_secrets_for(auths, "busybox");
    assert_non_null(text);
    pull_secrets_free(text);
    assert_null(pull_secrets_for(auths, "h.example/other/app:1"));
    assert_null(pull_secrets_for(auths, "not an image"));
    assert_null(pull_secrets_for(NULL, "busybox"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(forms_are_read),
        TEST(the_first_secret_counts),
        TEST(what_is_none_is_told),
        TEST(only_what_is_for_an_image_is_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
