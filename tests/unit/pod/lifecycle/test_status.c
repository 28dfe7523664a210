// SPDX-License-Identifier: Apache-2.0
/* The PodStatus of pods in all phases of their lives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pod/lifecycle/status.h"

#define NOW_NS  UINT64_C(1700000000123456789) /* 2023-11-14T22:13:20Z */
#define LATE_NS (NOW_NS + UINT64_C(5000000000))

static struct container_status containers[3];
static struct pod_status_input input;

/* An init container, a sidecar and another one, of which nothing has run. */
static int setup(void **state)
{
    static const char *const names[] = {"first", "side", "web"};
    static const enum restart_kind kinds[] = {RESTART_INIT, RESTART_SIDECAR, RESTART_MAIN};

    memset(containers, 0, sizeof(containers));
    for (unsigned i = 0; i < 3; i++) {
        containers[i].name = names[i];
        containers[i].image = "image:1";
        containers[i].kind = kinds[i];
        strcpy(containers[i].reason, "PodInitializing");
    }
    input = (struct pod_status_input){
        .containers = containers, .count = 3, .policy = RESTART_ALWAYS, .now_ns = NOW_NS};
    return 0;
}

static void ends(struct container_status *container, int exit_code)
{
    container->phase = CONTAINER_TERMINATED;
    container->ready = container->started = false;
    container->end = (struct container_end){
        .known = true, .exit_code = exit_code, .started_ns = NOW_NS, .finished_ns = LATE_NS};
    strcpy(container->end.reason, exit_code ? "Error" : "Completed");
}

static void runs(struct container_status *container, bool ready)
{
    container->phase = CONTAINER_RUNS;
    container->started_ns = NOW_NS;
    container->started = true;
    container->ready = ready;
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

static const json_t *condition(const json_t *status, const char *type)
{
    const json_t *one;
    size_t index;

    json_array_foreach(json_object_get(status, "conditions"), index, one)
    {
        if (!strcmp(text(one, "type"), type))
            return one;
    }
    fail_msg("no condition %s", type);
    return NULL;
}

static void check(const char *phase, const char *initialized, const char *ready)
{
    json_t *status = pod_status_json(&input);

    assert_string_equal(text(status, "phase"), phase);
    assert_string_equal(text(condition(status, "Initialized"), "status"), initialized);
    assert_string_equal(text(condition(status, "Ready"), "status"), ready);
    assert_string_equal(text(condition(status, "ContainersReady"), "status"), ready);
    assert_string_equal(text(condition(status, "PodScheduled"), "status"), "True");
    json_decref(status);
}

static void phases_follow_the_containers(void **state)
{
    check("Pending", "False", "False");
    ends(&containers[0], 0);
    runs(&containers[1], true);
    input.initialized = input.machine_ready = true;
    check("Pending", "True", "False");
    runs(&containers[2], false);
    check("Running", "True", "False");
    containers[2].ready = true;
    check("Running", "True", "True");
    /* Between two runs. */
    containers[2].phase = CONTAINER_WAITING;
    containers[2].ready = false;
    containers[2].last = (struct container_end){.known = true, .exit_code = 1};
    check("Running", "True", "False");
}

static void an_ended_pod_has_succeeded_or_failed(void **state)
{
    ends(&containers[0], 0);
    ends(&containers[1], 137); /* sidecars are ended, and say nothing */
    ends(&containers[2], 0);
    input.initialized = input.ended = true;
    check("Succeeded", "True", "False");
    ends(&containers[2], 1);
    check("Failed", "True", "False");
    ends(&containers[2], 0);
    input.reason = "DeadlineExceeded";
    check("Failed", "True", "False");
}

static void an_unready_container_is_named(void **state)
{
    json_t *status;

    ends(&containers[0], 0);
    runs(&containers[1], false);
    runs(&containers[2], false);
    input.initialized = true;
    status = pod_status_json(&input);
    assert_string_equal(text(condition(status, "Ready"), "message"),
                        "containers with unready status: [side web]");
    assert_string_equal(text(condition(status, "Ready"), "reason"), "ContainersNotReady");
    json_decref(status);
}

static void a_change_has_its_time(void **state)
{
    json_t *before = pod_status_json(&input), *status;

    assert_string_equal(text(condition(before, "Ready"), "lastTransitionTime"),
                        "2023-11-14T22:13:20Z");
    input.before = before;
    input.now_ns = LATE_NS;
    input.initialized = true;
    status = pod_status_json(&input);
    assert_string_equal(text(condition(status, "Ready"), "lastTransitionTime"),
                        "2023-11-14T22:13:20Z");
    assert_string_equal(text(condition(status, "Initialized"), "lastTransitionTime"),
                        "2023-11-14T22:13:25Z");
    json_decref(before);
    json_decref(status);
}

static void containers_have_their_states(void **state)
{
    const json_t *web, *first;
    json_t *status, *resources;

    ends(&containers[0], 0);
    runs(&containers[2], true);
    containers[2].last = (struct container_end){
        .known = true, .exit_code = 137, .signal = 9, .started_ns = NOW_NS, .finished_ns = LATE_NS};
    strcpy(containers[2].last.reason, "OOMKilled");
    strcpy(containers[2].last.message, "so it goes");
    strcpy(containers[2].last.container_id, "husk://u/web/3");
    strcpy(containers[2].container_id, "husk://u/web/4");
    strcpy(containers[2].stop_signal, "SIGTERM");
    resources =
        json_loads("{\"limits\": {\"cpu\": \"2\"}, \"requests\": {\"cpu\": \"1\"}}", 0, NULL);
    containers[2].resources = resources;
    containers[2].restarts = 4;
    status = pod_status_json(&input);
    assert_int_equal(json_array_size(json_object_get(status, "initContainerStatuses")), 2);
    assert_int_equal(json_array_size(json_object_get(status, "containerStatuses")), 1);
    first = json_array_get(json_object_get(status, "initContainerStatuses"), 0);
    first = json_object_get(json_object_get(first, "state"), "terminated");
    assert_string_equal(text(first, "reason"), "Completed");
    assert_string_equal(text(first, "finishedAt"), "2023-11-14T22:13:25Z");
    web = json_array_get(json_object_get(status, "containerStatuses"), 0);
    assert_int_equal(json_integer_value(json_object_get(web, "restartCount")), 4);
    assert_non_null(json_object_get(json_object_get(web, "state"), "running"));
    assert_string_equal(text(web, "containerID"), "husk://u/web/4");
    assert_string_equal(text(web, "stopSignal"), "SIGTERM");
    assert_true(json_equal(json_object_get(web, "resources"), resources));
    assert_string_equal(text(json_object_get(web, "allocatedResources"), "cpu"), "1");
    web = json_object_get(json_object_get(web, "lastState"), "terminated");
    assert_int_equal(json_integer_value(json_object_get(web, "exitCode")), 137);
    assert_int_equal(json_integer_value(json_object_get(web, "signal")), 9);
    assert_string_equal(text(web, "reason"), "OOMKilled");
    assert_string_equal(text(web, "message"), "so it goes");
    assert_string_equal(text(web, "containerID"), "husk://u/web/3");
    json_decref(status);
    json_decref(resources);
}

/* The object at "state" or "lastState" of the last container, by its kind; NULL when it is another.
 */
static const json_t *state_of_web(const json_t *status, const char *which, const char *kind)
{
    const json_t *web = json_array_get(json_object_get(status, "containerStatuses"), 0);

    return json_object_get(json_object_get(web, which), kind);
}

static void a_back_off_is_over_when_the_pod_ends(void **state)
{
    const json_t *one;
    json_t *status;

    ends(&containers[0], 0);
    ends(&containers[2], 3);
    containers[2].last = (struct container_end){.known = true, .exit_code = 2};
    containers[2].backs_off = true;
    strcpy(containers[2].reason, "CrashLoopBackOff");
    input.initialized = true;
    check("Running", "True", "False");
    status = pod_status_json(&input);
    assert_string_equal(text(state_of_web(status, "state", "waiting"), "reason"),
                        "CrashLoopBackOff");
    one = state_of_web(status, "lastState", "terminated");
    assert_int_equal(json_integer_value(json_object_get(one, "exitCode")), 3);
    json_decref(status);
    input.ending = true;
    status = pod_status_json(&input);
    one = state_of_web(status, "state", "terminated");
    assert_int_equal(json_integer_value(json_object_get(one, "exitCode")), 3);
    one = state_of_web(status, "lastState", "terminated");
    assert_int_equal(json_integer_value(json_object_get(one, "exitCode")), 2);
    json_decref(status);
    input.ended = true;
    check("Failed", "True", "False");
}

static void addresses_are_listed(void **state)
{
    static const char *const ips[] = {"10.0.0.2", "fd00::2"};
    json_t *status;

    input.ips = ips;
    input.ip_count = 2;
    input.host_ip = "192.0.2.1";
    input.qos_class = "Burstable";
    status = pod_status_json(&input);
    assert_string_equal(text(status, "podIP"), "10.0.0.2");
    assert_string_equal(text(json_array_get(json_object_get(status, "podIPs"), 1), "ip"),
                        "fd00::2");
    assert_string_equal(text(status, "hostIP"), "192.0.2.1");
    assert_string_equal(text(status, "qosClass"), "Burstable");
    json_decref(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(phases_follow_the_containers, setup),
        cmocka_unit_test_setup(an_ended_pod_has_succeeded_or_failed, setup),
        cmocka_unit_test_setup(an_unready_container_is_named, setup),
        cmocka_unit_test_setup(a_change_has_its_time, setup),
        cmocka_unit_test_setup(containers_have_their_states, setup),
        cmocka_unit_test_setup(a_back_off_is_over_when_the_pod_ends, setup),
        cmocka_unit_test_setup(addresses_are_listed, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
