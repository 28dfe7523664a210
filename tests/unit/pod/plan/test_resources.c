// SPDX-License-Identifier: Apache-2.0
/* Classes of service, OOM scores and what the kernel is told, by the kubelet's arithmetic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "pod/plan/resources.h"

#define GIB (UINT64_C(1) << 30)

static json_t *spec_of(const char *first, const char *second)
{
    char text[1024];
    json_t *spec;

    snprintf(
        text, sizeof(text),
        "{\"containers\": [{\"resources\": {%s}}], \"initContainers\": [{\"resources\": {%s}}]}",
        first, second);
    spec = json_loads(text, 0, NULL);
    assert_non_null(spec);
    return spec;
}

#define ALL                                               \
    "\"limits\": {\"cpu\": \"1\", \"memory\": \"1Gi\"}, " \
    "\"requests\": {\"cpu\": \"1000m\", \"memory\": \"1024Mi\"}"
#define LESS                                              \
    "\"limits\": {\"cpu\": \"1\", \"memory\": \"1Gi\"}, " \
    "\"requests\": {\"cpu\": \"1\", \"memory\": \"1023Mi\"}"
#define ONLY "\"limits\": {\"memory\": \"1Gi\"}, \"requests\": {\"memory\": \"1Gi\"}"
#define DISK "\"requests\": {\"ephemeral-storage\": \"1Gi\"}"

static void names_the_class_of_service(void **state)
{
    static const struct {
        const char *first, *second, *wanted;
    } cases[] = {{"", "", "BestEffort"},   {DISK, "", "BestEffort"}, {ALL, ALL, "Guaranteed"},
                 {ALL, "", "Burstable"},   {"", ALL, "Burstable"},   {ALL, LESS, "Burstable"},
                 {ONLY, ONLY, "Burstable"}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *spec = spec_of(cases[i].first, cases[i].second);
        const char *found;

        assert_int_equal(resources_qos(spec, &found, NULL), 0);
        assert_string_equal(found, cases[i].wanted);
        json_decref(spec);
    }
}

static void scores_for_the_want_of_memory(void **state)
{
    static const struct {
        uint64_t request;
        int wanted;
    } cases[] = {
        {0, 999},     {1, 999}, {GIB / 1000 + 1, 999}, {GIB / 100, 991}, {GIB / 2, 500},
        {GIB - 1, 3}, {GIB, 3}, {4 * GIB, 3},          {UINT64_MAX, 3},  {GIB / 4 * 3, 250}};
    struct resources none = {.cpu_limit = 0};

    assert_int_equal(resources_oom_score("Guaranteed", &none, GIB), -997);
    assert_int_equal(resources_oom_score("BestEffort", &none, GIB), 1000);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct resources r = {.memory_request = cases[i].request};

        assert_int_equal(resources_oom_score("Burstable", &r, GIB), cases[i].wanted);
    }
}

static void expect(const struct resources *r, bool update, const char *wanted)
{
    json_t *found = resources_json(r, update), *json = json_loads(wanted, 0, NULL);

    if (!json_equal(found, json))
        fail_msg("%s: %s", wanted, json_dumps(found, 0));
    json_decref(found);
    json_decref(json);
}

static void tells_the_kernel(void **state)
{
    const struct resources none = {.cpu_limit = 0}, least = {.cpu_request = 1, .cpu_limit = 1},
                           most = {.cpu_request = 1024000, .cpu_limit = 1024000},
                           some = {.cpu_request = 250,
                                   .cpu_limit = 1500,
                                   .memory_request = 1,
                                   .memory_limit = 64 << 20};

    expect(&none, false, "{\"cpu\": {\"shares\": 2}, \"unified\": {\"memory.oom.group\": \"1\"}}");
    expect(&none, true,
           "{\"cpu\": {\"shares\": 2, \"quota\": -1, \"period\": 100000}, "
           "\"memory\": {\"limit\": -1}}");
    expect(&least, true,
           "{\"cpu\": {\"shares\": 2, \"quota\": 1000, \"period\": 100000}, "
           "\"memory\": {\"limit\": -1}}");
    expect(&most, true,
           "{\"cpu\": {\"shares\": 262144, \"quota\": 102400000, \"period\": 100000}, "
           "\"memory\": {\"limit\": -1}}");
    expect(&some, false,
           "{\"cpu\": {\"shares\": 256, \"quota\": 150000, \"period\": 100000}, "
           "\"memory\": {\"limit\": 67108864}, "
           "\"unified\": {\"memory.oom.group\": \"1\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_class_of_service),
        cmocka_unit_test(scores_for_the_want_of_memory),
        cmocka_unit_test(tells_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
