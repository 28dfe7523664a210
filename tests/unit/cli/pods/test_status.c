// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "cli/pods/status.h"

#define SPEC "'spec': {'containers': [{'name': 'a'}, {'name': 'b'}]}, "
#define INIT \
    "'spec': {'initContainers': [{'name': 'i'}, {'name': 'j'}], 'containers': [{'name': 'a'}]}, "
#define SIDECAR                                                                              \
    "'spec': {'initContainers': [{'name': 's', 'restartPolicy': 'Always'}, {'name': 'i'}], " \
    "'containers': [{'name': 'a'}]}, "
#define RUNNING "{'running': {'startedAt': '2026-11-29T02:00:00Z'}}"
#define ENDED(code, reason)                                                       \
    "{'terminated': {'exitCode': " code ", 'startedAt': '2026-11-29T02:00:00Z', " \
    "'finishedAt': '2026-11-29T02:00:05Z', 'reason': '" reason "'}}"
#define WAITING(reason, message) "{'waiting': {'reason': '" reason "', 'message': '" message "'}}"

/* Single quotes stand for double ones. */
static json_t *pod_of(const char *text)
{
    char bytes[4096];
    json_error_t error;
    json_t *pod;

    assert_true(strlen(text) < sizeof(bytes));
    strcpy(bytes, text);
    for (char *at = bytes; *at; at++)
        *at = *at == '\'' ? '"' : *at;
    pod = json_loads(bytes, 0, &error);
    if (!pod)
        fail_msg("%s: %s", error.text, bytes);
    return pod;
}

static void test_columns(void **state)
{
    static const struct {
        const char *pod, *status;
        unsigned ready, containers, restarts;
    } cases[] = {
        {"{" SPEC "'status': {'phase': 'Pending'}}", "Pending", 0, 2, 0},
        {"{" SPEC "'status': {'phase': 'Pending', 'containerStatuses': ["
         "{'name': 'a', 'state': " WAITING("ContainerCreating", "") "}]}}",
         "ContainerCreating", 0, 2, 0},
        {"{" SPEC "'status': {'phase': 'Running', 'containerStatuses': ["
         "{'name': 'a', 'ready': true, 'restartCount': 2, 'state': " RUNNING
         ", 'lastState': " ENDED(
             "1", "Error") "},"
                           "{'name': 'b', 'ready': true, 'restartCount': 1, 'state': " RUNNING
                           "}]}}",
         "Running", 2, 2, 3},
        {"{" SPEC "'status': {'phase': 'Running', 'containerStatuses': ["
         "{'name': 'a', 'ready': false, 'restartCount': 5, 'state': " WAITING(
             "CrashLoopBackOff", "") "}, {'name': 'b', 'ready': true, 'state': " RUNNING "}]}}",
         "CrashLoopBackOff", 1, 2, 5},
        {"{" SPEC "'status': {'phase': 'Running', 'conditions': [{'type': 'Ready', 'status': "
         "'True'}], 'containerStatuses': [{'name': 'a', 'state': " ENDED(
             "0", "Completed") "}, {'name': 'b', 'ready': true, 'state': " RUNNING "}]}}",
         "Running", 1, 2, 0},
        {"{" SPEC
         "'status': {'phase': 'Running', 'containerStatuses': [{'name': 'a', 'state': " ENDED(
             "0", "Completed") "}, {'name': 'b', 'ready': true, 'state': " RUNNING "}]}}",
         "NotReady", 1, 2, 0},
        {"{" SPEC "'status': {'phase': 'Failed', 'reason': 'SupervisorLost'}}", "SupervisorLost", 0,
         2, 0},
        {"{" SPEC "'status': {'phase': 'Failed', 'containerStatuses': [{'name': 'a', 'state': "
         "{'terminated': {'exitCode': 3}}}]}}",
         "ExitCode:3", 0, 2, 0},
        {"{" SPEC "'status': {'phase': 'Failed', 'containerStatuses': [{'name': 'a', 'state': "
         "{'terminated': {'exitCode': 137, 'signal': 9}}}]}}",
         "Signal:9", 0, 2, 0},
        {"{" INIT
         "'status': {'phase': 'Pending', 'initContainerStatuses': [{'name': 'i', 'state': " RUNNING
         "}, {'name': 'j', 'state': " WAITING("PodInitializing", "") "}]}}",
         "Init:0/2", 0, 1, 0},
        {"{" INIT
         "'status': {'phase': 'Pending', 'initContainerStatuses': [{'name': 'i', 'state': " ENDED(
             "0",
             "Completed") "}, {'name': 'j', 'restartCount': 4, 'state': " ENDED("1",
                                                                                "Error") "}]}}",
         "Init:Error", 0, 1, 4},
        {"{" INIT
         "'status': {'phase': 'Pending', 'initContainerStatuses': [{'name': 'i', 'state': " WAITING(
             "ErrImagePull", "x") "}]}}",
         "Init:ErrImagePull", 0, 1, 0},
        {"{" SIDECAR "'status': {'phase': 'Pending', 'initContainerStatuses': [{'name': 's', "
         "'started': true, 'ready': true, 'state': " RUNNING "}, {'name': 'i', 'state': " RUNNING
         "}]}}",
         "Init:1/2", 1, 2, 0},
        {"{" SIDECAR "'status': {'phase': 'Running', 'initContainerStatuses': [{'name': 's', "
         "'started': true, 'ready': true, 'state': " RUNNING "}, {'name': 'i', 'state': " ENDED(
             "0",
             "Completed") "}], 'containerStatuses': [{'name': 'a', 'ready': true, 'state': " RUNNING
                          "}]}}",
         "Running", 2, 2, 0},
        {"{'metadata': {'deletionTimestamp': '2026-11-29T02:00:00Z'}, " SPEC
         "'status': {'phase': 'Running'}}",
         "Terminating", 0, 2, 0},
        {"{}", "", 0, 0, 0},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *pod = pod_of(cases[i].pod);
        struct pod_summary summary;

        pod_summary(pod, &summary);
        assert_string_equal(summary.status, cases[i].status);
        assert_int_equal(summary.ready, cases[i].ready);
        assert_int_equal(summary.containers, cases[i].containers);
        assert_int_equal(summary.restarts, cases[i].restarts);
        assert_string_equal(summary.space, "default");
        json_decref(pod);
    }
}

static void test_progress(void **state)
{
    static const struct {
        const char *pod;
        enum pod_progress progress;
        bool ran;
        const char *why;
    } cases[] = {
        {"{" SPEC "'status': {'phase': 'Pending'}}", POD_COMING, false, ""},
        {"{" SPEC
         "'status': {'phase': 'Pending', 'containerStatuses': [{'name': 'a', 'state': " WAITING(
             "ContainerCreating", "") "}, {'name': 'b', 'state': " WAITING("ErrImagePull",
                                                                           "no such image") "}]}}",
         POD_STUCK, false, "container b: ErrImagePull: no such image"},
        {"{" SPEC
         "'status': {'phase': 'Pending', 'containerStatuses': [{'name': 'a', 'state': " WAITING(
             "ContainerCreating", "pulling") "}, {'name': 'b', 'state': " RUNNING "}]}}",
         POD_COMING, true, "container a: ContainerCreating: pulling"},
        {"{" SPEC
         "'status': {'phase': 'Running', 'containerStatuses': [{'name': 'a', 'state': " WAITING(
             "CrashLoopBackOff", "") ", 'lastState': " ENDED("1", "Error") "}]}}",
         POD_UP, true, NULL},
        /* One that fails at once, before the other one has been started. */
        {"{" SPEC
         "'status': {'phase': 'Pending', 'containerStatuses': [{'name': 'a', 'state': " WAITING(
             "CrashLoopBackOff",
             "") ", 'lastState': " ENDED("1", "Error") "},"
                                                       "{'name': 'b', 'state': " WAITING(
                                                           "ContainerCreating", "") "}]}}",
         POD_COMING, true, "container b: ContainerCreating"},
        {"{" SPEC
         "'status': {'phase': 'Pending', 'containerStatuses': [{'name': 'a', 'state': " WAITING(
             "CrashLoopBackOff", "") ", 'lastState': {'terminated': {'exitCode': 127}}}]}}",
         POD_STUCK, false, "container a: CrashLoopBackOff"},
        {"{" INIT "'status': {'phase': 'Pending', 'initContainerStatuses': [{'name': 'i', "
         "'state': " WAITING("CrashLoopBackOff", "") ", 'lastState': " ENDED("1", "Error") "}]}}",
         POD_STUCK, true, "container i: CrashLoopBackOff"},
        {"{" SPEC
         "'status': {'phase': 'Failed', 'containerStatuses': [{'name': 'a', 'state': " ENDED(
             "1", "Error") "}]}}",
         POD_UP, true, ""},
        {"{" SPEC
         "'status': {'phase': 'Failed', 'reason': 'NetworkFailed', 'message': 'no bridge', "
         "'containerStatuses': [{'name': 'a', 'state': " WAITING("ContainerCreating", "") "}]}}",
         POD_FAILED, false, "NetworkFailed: no bridge"},
        {"{" SPEC "'status': {'phase': 'Failed', 'containerStatuses': [{'name': 'a', 'state': "
         "{'terminated': {'exitCode': 128, 'reason': 'StartError', 'message': 'no such file'}}}]}}",
         POD_FAILED, false, "container a: StartError: no such file"},
        {"{" INIT
         "'status': {'phase': 'Failed', 'initContainerStatuses': [{'name': 'i', 'state': " ENDED(
             "3", "Error") "}]}}",
         POD_FAILED, true, "container i: Error: it has ended with 3"},
        {"{" INIT
         "'status': {'phase': 'Pending', 'initContainerStatuses': [{'name': 'i', 'state': " RUNNING
         "}], 'containerStatuses': [{'name': 'a', 'state': " WAITING("PodInitializing", "") "}]}}",
         POD_COMING, true, "container i: it has not ended yet"},
        {"{" SIDECAR "'status': {'phase': 'Pending', 'initContainerStatuses': [{'name': 's', "
         "'started': true, 'state': " RUNNING "}, {'name': 'i', 'state': " ENDED(
             "0", "Completed") "}], 'containerStatuses': [{'name': 'a', 'state': " RUNNING "}]}}",
         POD_UP, true, NULL},
        {"{" SPEC "'status': {'phase': 'Succeeded'}}", POD_UP, false, ""},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *pod = pod_of(cases[i].pod);
        char why[PROGRESS_BYTES];
        bool ran;

        assert_int_equal(pod_progress(pod, why, &ran), cases[i].progress);
        assert_int_equal(ran, cases[i].ran);
        if (cases[i].why)
            assert_string_equal(why, cases[i].why);
        json_decref(pod);
    }
}

static void test_end(void **state)
{
    static const struct {
        const char *pod;
        int status;
    } cases[] = {
        {"{'status': {'phase': 'Succeeded'}}", 0},
        {"{'status': {'phase': 'Failed'}}", 125},
        {"{'status': {'phase': 'Failed', 'containerStatuses': [{'state': " ENDED(
             "0", "Completed") "}, {'state': " ENDED("7", "Error") "}]}}",
         7},
        {"{'status': {'phase': 'Failed', 'initContainerStatuses': [{'state': " ENDED(
             "4", "Error") "}], 'containerStatuses': [{'state': " ENDED("7", "Error") "}]}}",
         4},
        {"{'status': {'phase': 'Failed', 'containerStatuses': [{'state': " ENDED("1000",
                                                                                 "Error") "}]}}",
         255},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        json_t *pod = pod_of(cases[i].pod);

        assert_int_equal(pod_end_status(pod, 125), cases[i].status);
        json_decref(pod);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
