// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/node/plan.h"

struct round {
    const struct wanted *wanted;
    const struct observed *observed;
    struct backoff *backoff;
    uint64_t now_ns;
    struct plan *out;
    bool *kept; /* of each observed pod: a file wants it */
};

static void add(struct round *round, enum action_kind kind, const struct wanted_pod *pod,
                const struct observed_pod *seen)
{
    round->out->actions[round->out->count++] =
        (struct action){.kind = kind, .pod = pod, .seen = seen};
}

bool plan_should_run(const struct observed_pod *pod)
{
    /* A deadline ends a pod for good, whatever its policy. */
    if (!phase_has_ended(pod->phase) || !strcmp(pod->reason, "DeadlineExceeded"))
        return false;
    return pod->restart == RESTART_ALWAYS ||
           (pod->restart == RESTART_ON_FAILURE && pod->phase == PHASE_FAILED);
}

/* The same, for a pod whose description is as it should be. -ENOMEM. */
static int keep_running(struct round *round, const struct wanted_pod *pod,
                        const struct observed_pod *seen)
{
    bool again = plan_should_run(seen);
    struct backoff_pod *state;

    if (!again && (seen->started || seen->phase != PHASE_PENDING)) {
        backoff_of(round->backoff, seen->name, seen->hash);
        return 0;
    }
    state = backoff_of(round->backoff, seen->name, seen->hash);
    if (!state)
        return -ENOMEM;
    if (!backoff_may_try(state, round->now_ns))
        add(round, ACTION_WAIT, pod, seen);
    else
        add(round, again ? ACTION_RESTART : ACTION_START, pod, seen);
    return 0;
}

/* Not there, or there with another description. */
static int change(struct round *round, const struct wanted_pod *pod,
                  const struct observed_pod *seen)
{
    struct backoff_pod *state = backoff_of(round->backoff, pod->name, pod->hash);

    if (!state)
        return -ENOMEM;
    if (!backoff_may_try(state, round->now_ns))
        add(round, ACTION_WAIT, pod, seen);
    else if (!seen)
        add(round, ACTION_CREATE, pod, NULL);
    else if (phase_has_ended(seen->phase) || seen->stopping)
        add(round, ACTION_RETIRE, pod, seen);
    else
        add(round, ACTION_APPLY, pod, seen);
    return 0;
}

static const char *file_of(const struct round *round, const struct wanted_pod *pod)
{
    return round->wanted->files[pod->file].name;
}

/* Which of the pods of that name counts: see the head of plan.h. */
static const struct wanted_pod *winner(const struct round *round, const char *name,
                                       const struct observed_pod *seen)
{
    const struct wanted_pod *first = NULL;

    for (size_t i = 0; i < round->wanted->pod_count; i++) {
        const struct wanted_pod *pod = &round->wanted->pods[i];

        if (strcmp(pod->name, name) != 0)
            continue;
        if (!first)
            first = pod;
        if (seen && seen->file && !strcmp(seen->file, file_of(round, pod)))
            return pod;
    }
    return first;
}

/* The file that has it now is broken: it has not let go of the name. */
static const struct wanted_file *broken_file_of(const struct round *round,
                                                const struct observed_pod *seen)
{
    for (size_t i = 0; seen->file && i < round->wanted->file_count; i++) {
        const struct wanted_file *file = &round->wanted->files[i];

        if (file->broken && !strcmp(file->name, seen->file))
            return file;
    }
    return NULL;
}

static int plan_wanted(struct round *round, const struct wanted_pod *pod)
{
    const struct observed_pod *seen = observed_find(round->observed, pod->name);
    const struct wanted_pod *best = winner(round, pod->name, seen);
    const struct wanted_file *broken = seen ? broken_file_of(round, seen) : NULL;

    if (best != pod || broken) {
        add(round, ACTION_TAKEN, pod, seen);
        round->out->actions[round->out->count - 1].file =
            broken ? broken->name : file_of(round, best);
        return 0;
    }
    if (seen && !seen->file) {
        add(round, ACTION_FOREIGN, pod, seen);
        return 0;
    }
    if (seen)
        round->kept[seen - round->observed->pods] = true;
    if (!seen || strcmp(seen->hash, pod->hash) != 0 || strcmp(seen->file, file_of(round, pod)) != 0)
        return change(round, pod, seen);
    return keep_running(round, pod, seen);
}

static int plan_unwanted(struct round *round, const struct observed_pod *seen)
{
    if (!seen->file || round->kept[seen - round->observed->pods])
        return 0;
    if (round->wanted->unknown || broken_file_of(round, seen))
        return keep_running(round, NULL, seen);
    if (!backoff_of(round->backoff, seen->name, seen->hash))
        return -ENOMEM;
    add(round, ACTION_RETIRE, NULL, seen);
    return 0;
}

int plan_make(const struct wanted *wanted, const struct observed *observed, struct backoff *backoff,
              uint64_t now_ns, struct plan *out)
{
    size_t most = wanted->pod_count + observed->count + 1;
    struct round round = {
        .wanted = wanted,
        .observed = observed,
        .backoff = backoff,
        .now_ns = now_ns,
        .out = out,
        .kept = calloc(observed->count + 1, sizeof(bool)),
    };
    int ret = 0;

    *out = (struct plan){.actions = calloc(most, sizeof(*out->actions))};
    if (!round.kept || !out->actions)
        ret = -ENOMEM;
    for (size_t i = 0; !ret && !wanted->unknown && i < wanted->pod_count; i++)
        ret = plan_wanted(&round, &wanted->pods[i]);
    for (size_t i = 0; !ret && i < observed->count; i++)
        ret = plan_unwanted(&round, &observed->pods[i]);
    free(round.kept);
    if (ret)
        plan_free(out);
    return ret;
}

void plan_free(struct plan *plan)
{
    free(plan->actions);
    *plan = (struct plan){0};
}
