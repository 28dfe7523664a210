// SPDX-License-Identifier: Apache-2.0
/* What differs between two descriptions, and what of it can be changed while the pod runs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/checked.h"
#include "husk/pod.h"
#include "pod/manifest/change.h"
#include "pod/manifest/manifest.h"

#define HEAD "{apiVersion: v1, kind: Pod, metadata: {name: p"
#define SPEC "}, spec: {containers: [{name: a, image: i"
#define TAIL "}]}}"

static const char plain[] = HEAD SPEC TAIL;

static json_t *pod_of(const char *text)
{
    struct husk_manifest *manifest;
    struct husk_error err;
    json_t *pod;

    if (husk_manifest_read("test", text, strlen(text), NULL, &manifest, &err))
        fail_msg("%s: %s: %s", text, err.where, err.why);
    pod = json_deep_copy(manifest_pod(manifest, 0));
    husk_manifest_free(manifest);
    return pod;
}

static const struct {
    const char *before, *after;
    const char *changed; /* NULL: it cannot be */
    const char *fixed;
} cases[] = {
    {plain, plain, "", NULL},
    {plain, HEAD ", labels: {a: b}" SPEC TAIL, "metadata.labels[a]", NULL},
    {HEAD ", annotations: {a: b}" SPEC TAIL, plain, "metadata.annotations[a]", NULL},
    {HEAD ", labels: {a: b, c: d}" SPEC TAIL, HEAD ", labels: {a: b, c: e}" SPEC TAIL,
     "metadata.labels[c]", NULL},
    {plain, HEAD SPEC ", resources: {limits: {cpu: 1}}" TAIL, "spec.containers[0].resources", NULL},
    {plain, HEAD SPEC "}], terminationGracePeriodSeconds: 3}}",
     "spec.terminationGracePeriodSeconds", NULL},
    {plain, HEAD SPEC "}], activeDeadlineSeconds: 3}}", "spec.activeDeadlineSeconds", NULL},
    {plain, HEAD SPEC "}], terminationGracePeriodSeconds: 30}}", "", NULL}, /* as the default */
    {plain, HEAD SPEC "2" TAIL, NULL, "spec.containers[0].image"},
    {plain, HEAD SPEC "}, {name: b, image: i" TAIL, NULL, "spec.containers"},
    {plain, HEAD SPEC ", env: [{name: A, value: b}]" TAIL, NULL, "spec.containers[0].env"},
    {plain, HEAD ", labels: {a: b}" SPEC ", tty: true" TAIL, NULL, "spec.containers[0].tty"},
    {plain, HEAD SPEC "}], restartPolicy: Never}}", NULL, "spec.restartPolicy"},
};

static void tells_what_can_be_changed(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *before = pod_of(cases[i].before), *after = pod_of(cases[i].after), *changed = NULL;
        struct husk_error err = {.code = 0};
        int ret = change_of_pod(before, after, &changed, &err);

        if (ret != (cases[i].changed ? 0 : -EEXIST))
            fail_msg("%s: %d, %s: %s", cases[i].after, ret, err.where, err.why);
        if (cases[i].fixed) {
            assert_string_equal(err.where, cases[i].fixed);
        } else {
            assert_int_equal(json_array_size(changed), cases[i].changed[0] != '\0');
            if (cases[i].changed[0])
                assert_string_equal(json_string_value(json_array_get(changed, 0)),
                                    cases[i].changed);
        }
        json_decref(changed);
        json_decref(before);
        json_decref(after);
    }
}

static void tells_which_objects_differ(void **state)
{
    json_t *before =
        json_loads("{\"configMaps\": {\"same\": {\"data\": {\"a\": \"b\"}}, \"other\": "
                   "{\"data\": {\"a\": \"b\"}}, \"gone\": {}}, \"secrets\": {}}",
                   0, NULL);
    json_t *after = json_loads("{\"configMaps\": {\"same\": {\"data\": {\"a\": \"b\"}}, \"other\": "
                               "{\"data\": {\"a\": \"c\"}}}, \"secrets\": {\"new\": {}}}",
                               0, NULL);
    json_t *changed,
        *wanted = json_pack("[s, s, s]", "configMaps[other]", "configMaps[gone]", "secrets[new]");

    assert_int_equal(change_of_objects(before, after, &changed, NULL), 0);
    assert_true(json_equal(changed, wanted));
    json_decref(changed);
    assert_int_equal(change_of_objects(after, after, &changed, NULL), 0);
    assert_int_equal(json_array_size(changed), 0);
    json_decref(changed);
    json_decref(wanted);
    json_decref(before);
    json_decref(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_can_be_changed),
        cmocka_unit_test(tells_which_objects_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
