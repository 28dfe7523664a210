// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/checked.h"
#include "pod/lib/pods.h"

/* A pod of one container "a" and one init container "i". */
static bool goes_on(const char *policy, const char *init_policy, const char *phase,
                    const char *container, int exit_code)
{
    json_t *ended = exit_code < 0 ? json_pack("{s:{}}", "running")
                                  : json_pack("{s:{s:i}}", "terminated", "exitCode", exit_code);
    json_t *status = json_pack("{s:s, s:o}", "name", container, "state", ended);
    json_t *init = json_pack("{s:s}", "name", "i");
    json_t *pod;
    bool result;

    if (init_policy[0])
        json_object_set_new(init, "restartPolicy", json_string(init_policy));
    pod = json_pack("{s:{s:s, s:[{s:s}], s:[o]}, s:{s:s, s:[o]}}", "spec", "restartPolicy", policy,
                    "containers", "name", "a", "initContainers", init, "status", "phase", phase,
                    container[0] == 'i' ? "initContainerStatuses" : "containerStatuses", status);
    assert_non_null(pod);
    result = pods_container_goes_on(pod, container);
    json_decref(pod);
    return result;
}

static void test_policies(void **state)
{
    static const struct {
        const char *policy, *init_policy, *phase, *container;
        int exit_code; /* -1: it runs */
        bool on;
    } cases[] = {
        {"Always", "", "Running", "a", -1, true},     {"Always", "", "Running", "a", 0, true},
        {"OnFailure", "", "Running", "a", 0, false},  {"OnFailure", "", "Running", "a", 1, true},
        {"Never", "", "Running", "a", -1, true},      {"Never", "", "Running", "a", 1, false},
        {"Always", "", "Pending", "i", -1, true},     {"Always", "", "Pending", "i", 0, false},
        {"Always", "", "Pending", "i", 1, true},      {"Never", "", "Pending", "i", 1, false},
        {"Never", "Always", "Running", "i", 1, true}, {"Always", "", "Failed", "a", -1, false},
        {"Always", "", "Succeeded", "a", 0, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(goes_on(cases[i].policy, cases[i].init_policy, cases[i].phase,
                                 cases[i].container, cases[i].exit_code),
                         cases[i].on);
}

/* A pod whose status says nothing yet. */
static void test_nothing_known(void **state)
{
    json_t *pod = json_object();

    assert_true(pods_container_goes_on(pod, "a"));
    json_decref(pod);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_nothing_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
