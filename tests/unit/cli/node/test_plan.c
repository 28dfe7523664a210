// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/node/plan.h"

#define S 1000000000ull

struct fixture {
    struct wanted wanted;
    struct wanted_file files[4];
    struct wanted_pod pods[8];
    struct observed observed;
    struct observed_pod seen[8];
    struct backoff backoff;
    struct plan plan;
};

static int setup(void **state)
{
    static const struct backoff_policy policy = {10 * S, 300 * S, 600 * S};
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->wanted.files = f->files;
    f->wanted.pods = f->pods;
    f->observed.pods = f->seen;
    f->files[0].name = "a.yaml";
    f->files[1].name = "b.yaml";
    f->wanted.file_count = 2;
    backoff_init(&f->backoff, &policy);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    plan_free(&f->plan);
    backoff_free(&f->backoff);
    free(f);
    return 0;
}

static void want(struct fixture *f, const char *name, const char *hash, size_t file)
{
    struct wanted_pod *pod = &f->pods[f->wanted.pod_count++];

    *pod = (struct wanted_pod){.name = (char *)name, .file = file};
    snprintf(pod->hash, sizeof(pod->hash), "%s", hash);
}

/* By name, as observed_parse() would have them. */
static struct observed_pod *see(struct fixture *f, const char *name, const char *file,
                                const char *hash, enum pod_phase phase)
{
    struct observed_pod *pod = &f->seen[f->observed.count++];

    *pod = (struct observed_pod){.name = (char *)name,
                                 .uid = "u",
                                 .file = (char *)file,
                                 .hash = (char *)hash,
                                 .reason = "",
                                 .message = "",
                                 .phase = phase,
                                 .started = true};
    return pod;
}

/* Exactly that one action, or with `name` NULL none. */
static const struct action *expect(struct fixture *f, uint64_t now_ns, enum action_kind kind,
                                   const char *name)
{
    const struct action *action;

    plan_free(&f->plan);
    assert_int_equal(plan_make(&f->wanted, &f->observed, &f->backoff, now_ns, &f->plan), 0);
    backoff_sweep(&f->backoff);
    assert_int_equal(f->plan.count, name ? 1 : 0);
    if (!name)
        return NULL;
    action = &f->plan.actions[0];
    assert_int_equal(action->kind, kind);
    assert_string_equal(action->pod ? action->pod->name : action->seen->name, name);
    return action;
}

static void creates_what_is_missing(void **state)
{
    struct fixture *f = *state;

    want(f, "web", "1", 0);
    expect(f, 1, ACTION_CREATE, "web");
}

static void leaves_what_is_right(void **state)
{
    struct fixture *f = *state;

    want(f, "web", "1", 0);
    see(f, "web", "a.yaml", "1", PHASE_RUNNING);
    expect(f, 1, 0, NULL);
}

static void never_touches_others(void **state)
{
    struct fixture *f = *state;

    see(f, "foreign", NULL, "", PHASE_FAILED);
    expect(f, 1, 0, NULL);
    want(f, "foreign", "1", 0);
    expect(f, 1, ACTION_FOREIGN, "foreign");
}

static void changes_in_place_first(void **state)
{
    struct fixture *f = *state;
    struct observed_pod *seen;

    want(f, "web", "2", 0);
    seen = see(f, "web", "a.yaml", "1", PHASE_RUNNING);
    expect(f, 1, ACTION_APPLY, "web");
    /* A pod whose end has begun, or is there, makes place for a new one. */
    seen->stopping = true;
    expect(f, 1, ACTION_RETIRE, "web");
    seen->stopping = false;
    seen->phase = PHASE_SUCCEEDED;
    expect(f, 1, ACTION_RETIRE, "web");
}

static void follows_a_renamed_file(void **state)
{
    struct fixture *f = *state;

    want(f, "web", "1", 1);
    see(f, "web", "gone.yaml", "1", PHASE_RUNNING);
    expect(f, 1, ACTION_APPLY, "web");
}

static void retires_what_no_file_wants(void **state)
{
    struct fixture *f = *state;

    see(f, "web", "gone.yaml", "1", PHASE_RUNNING);
    expect(f, 1, ACTION_RETIRE, "web");
}

static void keeps_the_last_good_pods_of_a_broken_file(void **state)
{
    struct fixture *f = *state;
    struct observed_pod *seen = see(f, "web", "a.yaml", "1", PHASE_RUNNING);

    f->files[0].broken = true;
    expect(f, 1, 0, NULL);
    seen->phase = PHASE_FAILED;
    expect(f, 1, ACTION_RESTART, "web");
    /* Nor does another file get its name meanwhile. */
    want(f, "web", "9", 1);
    seen->phase = PHASE_RUNNING;
    assert_string_equal(expect(f, 1, ACTION_TAKEN, "web")->file, "a.yaml");
}

static void keeps_all_when_the_directory_is_unknown(void **state)
{
    struct fixture *f = *state;

    see(f, "web", "gone.yaml", "1", PHASE_RUNNING);
    want(f, "other", "1", 0);
    f->wanted.unknown = true;
    expect(f, 1, 0, NULL);
}

static void one_name_in_two_files(void **state)
{
    struct fixture *f = *state;

    want(f, "web", "1", 0);
    want(f, "web", "2", 1);
    assert_int_equal(plan_make(&f->wanted, &f->observed, &f->backoff, 1, &f->plan), 0);
    assert_int_equal(f->plan.count, 2);
    assert_int_equal(f->plan.actions[0].kind, ACTION_CREATE);
    assert_int_equal(f->plan.actions[1].kind, ACTION_TAKEN);
    assert_string_equal(f->plan.actions[1].file, "a.yaml");
    /* The one that has it keeps it, whatever they are called. */
    see(f, "web", "b.yaml", "2", PHASE_RUNNING);
    assert_string_equal(expect(f, 1, ACTION_TAKEN, "web")->file, "b.yaml");
}

static void starts_what_was_only_created(void **state)
{
    struct fixture *f = *state;

    want(f, "web", "1", 0);
    see(f, "web", "a.yaml", "1", PHASE_PENDING)->started = false;
    expect(f, 1, ACTION_START, "web");
}

static void restarts_as_the_policy_says(void **state)
{
    static const struct {
        enum pod_restart restart;
        enum pod_phase phase;
        const char *reason;
        bool again;
    } cases[] = {
        {RESTART_ALWAYS, PHASE_SUCCEEDED, "", true},
        {RESTART_ALWAYS, PHASE_FAILED, "SupervisorLost", true},
        {RESTART_ALWAYS, PHASE_FAILED, "DeadlineExceeded", false},
        {RESTART_ALWAYS, PHASE_RUNNING, "", false},
        {RESTART_ON_FAILURE, PHASE_SUCCEEDED, "", false},
        {RESTART_ON_FAILURE, PHASE_FAILED, "SupervisorLost", true},
        {RESTART_NEVER, PHASE_FAILED, "SupervisorLost", false},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct observed_pod pod = {.phase = cases[i].phase,
                                   .restart = cases[i].restart,
                                   .reason = (char *)cases[i].reason};

        assert_int_equal(plan_should_run(&pod), cases[i].again);
    }
}

static void waits_longer_each_time(void **state)
{
    struct fixture *f = *state;
    struct backoff_pod *pod;

    want(f, "web", "1", 0);
    expect(f, 1 * S, ACTION_CREATE, "web");
    pod = backoff_of(&f->backoff, "web", "1");
    backoff_note(&f->backoff, pod, 1 * S);
    expect(f, 10 * S, ACTION_WAIT, "web");
    assert_int_equal(backoff_next_ns(&f->backoff, 10 * S), 11 * S);
    expect(f, 11 * S, ACTION_CREATE, "web");
    /* Another description is tried at once. */
    backoff_note(&f->backoff, backoff_of(&f->backoff, "web", "1"), 11 * S);
    expect(f, 12 * S, ACTION_WAIT, "web");
    snprintf(f->pods[0].hash, sizeof(f->pods[0].hash), "2");
    expect(f, 12 * S, ACTION_CREATE, "web");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(creates_what_is_missing),
        TEST(leaves_what_is_right),
        TEST(never_touches_others),
        TEST(changes_in_place_first),
        TEST(follows_a_renamed_file),
        TEST(retires_what_no_file_wants),
        TEST(keeps_the_last_good_pods_of_a_broken_file),
        TEST(keeps_all_when_the_directory_is_unknown),
        TEST(one_name_in_two_files),
        TEST(starts_what_was_only_created),
        cmocka_unit_test(restarts_as_the_policy_says),
        TEST(waits_longer_each_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
