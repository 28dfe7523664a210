// SPDX-License-Identifier: Apache-2.0
/* Files of config maps that are long, many, or refused. Layouts are in test_plan.c's pods. */
#include "tests/unit/pod/plan/fixture.h"

#include "base/base64.h"
#include "pod/plan/payload.h"

static const char volume[] =
    "{\"pod\": {\"metadata\": {\"name\": \"p\", \"namespace\": \"default\"}, \"spec\": "
    "{\"volumes\": "
    "[{\"name\": \"v\", \"configMap\": {\"name\": \"conf\", \"defaultMode\": 420}}], "
    "\"containers\": "
    "[{\"name\": \"app\", \"image\": \"app:1\", \"terminationMessagePath\": \"/m\"}]}}, "
    "\"objects\": {\"configMaps\": {\"conf\": {}}, \"secrets\": {}}}";

static json_t *conf_of(json_t *file)
{
    return json_object_get(json_object_get(json_object_get(file, "objects"), "configMaps"), "conf");
}

/* What the requests make of `path`, put together; *requests is how many they are. */
static char *written(const struct pod_plan *plan, const char *name, size_t *len, unsigned *requests)
{
    char *out = malloc(4 << 20);
    const json_t *request;
    size_t index;

    *len = 0;
    *requests = 0;
    json_array_foreach(plan->requests, index, request)
    {
        const json_t *params = json_object_get(request, "params");
        const char *path = json_string_value(json_object_get(params, "path"));
        const char *base64 = json_string_value(json_object_get(params, "data_base64"));
        const char *text = json_string_value(json_object_get(params, "data"));
        size_t some = 0;

        if (!path || !strchr(path, '/') || strcmp(strchr(path, '/') + 1, name) != 0)
            continue;
        assert_true(json_is_true(json_object_get(params, "append")) == (*requests > 0));
        assert_int_equal(json_integer_value(json_object_get(params, "mode")), 0644);
        assert_true(json_dumpb(request, NULL, 0, JSON_COMPACT) < HUSK_AGENT_FRAME_MAX - 256);
        if (text)
            memcpy(out + *len, text, some = strlen(text));
        else
            assert_int_equal(base64_decode(base64, strlen(base64), out + *len, &some), 0);
        assert_true(some <= HUSK_AGENT_DATA_MAX);
        *len += some;
        ++*requests;
    }
    return out;
}

static void cuts_long_files(void **state)
{
    static const size_t sizes[] = {0, 1, 65536, 65537, 524286, 524287, 1048570, 1048575, 3};
    struct fixture f;
    json_t *file = json_loads(volume, 0, NULL);
    char *text = malloc(1 << 20), *base64 = malloc(BASE64_LEN(1 << 20) + 1), name[16];
    struct pod_plan plan;

    json_object_set_new(conf_of(file), "data", json_object());
    json_object_set_new(conf_of(file), "binaryData", json_object());
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memset(text, 'a' + (int)i, sizes[i]);
        snprintf(name, sizeof(name), "t%zu", i);
        json_object_set_new(json_object_get(conf_of(file), "data"), name,
                            json_stringn(text, sizes[i]));
        base64_encode(text, sizes[i], base64);
        name[0] = 'b';
        json_object_set_new(json_object_get(conf_of(file), "binaryData"), name,
                            json_string(base64));
    }
    fixture_init(&f, file);
    assert_int_equal(plan_build(&f.input, &plan, NULL), 0);
    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned requests;
        size_t len;
        char *found;

        snprintf(name, sizeof(name), "%c%zu", i % 2 ? 'b' : 't', i / 2);
        found = written(&plan, name, &len, &requests);
        assert_int_equal(len, sizes[i / 2]);
        assert_int_equal(requests, len <= 524286 ? 1 : len <= 1048572 ? 2 : 3);
        for (size_t j = 0; j < len; j++)
            assert_true(found[j] == 'a' + (char)(i / 2));
        free(found);
    }
    plan_clear(&plan);
    fixture_clear(&f);
    free(text);
    free(base64);
}

static void bounds_the_number_of_files(void **state)
{
    json_t *file = json_loads(volume, 0, NULL), *data = json_object();
    struct husk_error err = {.code = 0};
    struct fixture f;
    struct pod_plan plan;
    char name[16];

    json_object_set_new(conf_of(file), "data", data);
    for (unsigned i = 0; i < PAYLOAD_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "k%u", i);
        json_object_set_new(data, name, json_string("v"));
    }
    fixture_init(&f, file);
    assert_int_equal(plan_build(&f.input, &plan, &err), 0);
    plan_clear(&plan);
    json_object_set_new(data, "one-more", json_string("v"));
    assert_int_equal(plan_build(&f.input, &plan, &err), -E2BIG);
    assert_string_equal(err.where, "spec.volumes[0]");
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_long_files),
        cmocka_unit_test(bounds_the_number_of_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
