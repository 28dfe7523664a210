// SPDX-License-Identifier: Apache-2.0
/* Looking after volumes with limits, with an agent, a timer and an end of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "pod/pods/pod.h"

static struct {
    unsigned armed, asked;
    uint64_t delay_ns;
    char volume[32];
    agent_answer_fn answer;
    void *arg;
    bool refuses;
    unsigned failed;
    char reason[32], message[128];
} fake;

void event_timer_arm(struct event_timer *timer, uint64_t delay_ns)
{
    (void)timer;
    fake.armed++;
    fake.delay_ns = delay_ns;
}

int agent_client_call(struct agent_client *client, const char *method, json_t *params,
                      uint32_t timeout_ms, agent_answer_fn fn, void *arg, struct husk_error *err)
{
    (void)client;
    assert_string_equal(method, "volume.usage");
    assert_true(timeout_ms > 0);
    snprintf(fake.volume, sizeof(fake.volume), "%s",
             json_string_value(json_object_get(params, "volume")));
    json_decref(params);
    fake.asked++;
    fake.answer = fn;
    fake.arg = arg;
    return fake.refuses ? error_set(err, ENOTCONN, "the agent", "is gone", NULL) : 0;
}

void pod_ending_fail(struct pod *pod, const char *reason, const char *message, uint64_t grace_ms)
{
    (void)grace_ms;
    fake.failed++;
    pod->ending = true;
    snprintf(fake.reason, sizeof(fake.reason), "%s", reason);
    snprintf(fake.message, sizeof(fake.message), "%s", message);
}

static struct plan_limit limits[] = {
    {.volume = "volume-0", .name = "small", .limit_bytes = 1000},
    {.volume = "volume-3", .name = "large", .limit_bytes = 100000},
};
static struct pod pod;

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof(fake));
    memset(&pod, 0, sizeof(pod));
    pod.phase = POD_RUNNING;
    pod.plan.limits = limits;
    pod.plan.limit_count = 2;
    return 0;
}

static void answer(json_int_t used)
{
    json_t *result = json_pack("{s:I}", "used_bytes", used);

    fake.answer(fake.arg, result, NULL);
    json_decref(result);
}

static void each_volume_has_its_turn(void **state)
{
    (void)state;
    usage_begin(&pod);
    assert_int_equal(fake.armed, 1);
    for (unsigned i = 0; i < 5; i++) {
        usage_look(&pod);
        assert_string_equal(fake.volume, limits[i % 2].volume);
        answer(900);
        assert_int_equal(fake.asked, i + 1);
        assert_int_equal(fake.armed, i + 2);
    }
    assert_int_equal(fake.failed, 0);
}

static void none_is_asked_while_the_agent_thinks(void **state)
{
    (void)state;
    usage_look(&pod);
    usage_look(&pod);
    assert_int_equal(fake.asked, 1);
    assert_int_equal(fake.armed, 2); /* but looked again */
    answer(0);
    usage_look(&pod);
    assert_int_equal(fake.asked, 2);
}

static void what_was_not_asked_is_asked_again(void **state)
{
    (void)state;
    fake.refuses = true;
    usage_look(&pod);
    fake.refuses = false;
    usage_look(&pod);
    assert_int_equal(fake.asked, 2);
    assert_string_equal(fake.volume, "volume-0");
}

static void the_limit_itself_is_allowed(void **state)
{
    (void)state;
    usage_look(&pod);
    answer(1000);
    assert_int_equal(fake.failed, 0);
    usage_look(&pod);
    answer(100001);
    assert_int_equal(fake.failed, 1);
    assert_string_equal(fake.reason, "Evicted");
    assert_string_equal(fake.message,
                        "Usage of EmptyDir volume \"large\" exceeds the limit \"100000\".");
}

/* The agent is a guest's: what it says of sizes is a number or nothing. */
static void answers_that_are_none(void **state)
{
    json_t *text = json_pack("{s:s}", "used_bytes", "much"), *none = json_object();

    (void)state;
    usage_look(&pod);
    fake.answer(fake.arg, text, NULL);
    usage_look(&pod);
    fake.answer(fake.arg, none, NULL);
    usage_look(&pod);
    answer(-5);
    assert_int_equal(fake.failed, 0);
    json_decref(text);
    json_decref(none);
}

static void errors(void **state)
{
    struct husk_error error;

    (void)state;
    usage_look(&pod);
    error_set(&error, ECONNRESET, "the agent", "is gone", NULL);
    fake.answer(fake.arg, NULL, &error);
    assert_int_equal(fake.failed, 0);
    usage_look(&pod);
    error_set(&error, ENOSPC, "volume", "is too deep to be counted", NULL);
    fake.answer(fake.arg, NULL, &error);
    assert_int_equal(fake.failed, 1);
}

static void nothing_is_done_at_other_times(void **state)
{
    (void)state;
    usage_look(&pod);
    pod.phase = POD_LOST;
    answer(5000); /* of the machine that was */
    usage_look(&pod);
    pod.phase = POD_RUNNING;
    pod.ending = true;
    usage_look(&pod);
    pod.ending = false;
    pod.plan.limit_count = 0; /* of another description */
    usage_look(&pod);
    usage_begin(&pod);
    assert_int_equal(fake.asked, 1);
    assert_int_equal(fake.armed, 1);
    assert_int_equal(fake.failed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_volume_has_its_turn, setup),
        cmocka_unit_test_setup(none_is_asked_while_the_agent_thinks, setup),
        cmocka_unit_test_setup(what_was_not_asked_is_asked_again, setup),
        cmocka_unit_test_setup(the_limit_itself_is_allowed, setup),
        cmocka_unit_test_setup(answers_that_are_none, setup),
        cmocka_unit_test_setup(errors, setup),
        cmocka_unit_test_setup(nothing_is_done_at_other_times, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
