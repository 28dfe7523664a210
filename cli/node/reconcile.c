// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdarg.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "cli/node/changes.h"
#include "cli/node/plan.h"
#include "cli/node/problems.h"
#include "cli/node/reconcile.h"
#include "cli/node/status.h"

#define TEXT_BYTES 640u

/* How a pod was in the former round, to see what has become of it. */
struct known {
    char *name;
    enum pod_phase phase;
};

struct reconciler {
    struct reconciler_options options;
    struct backoff backoff;
    struct problems problems; /* of the last round */
    struct known *known;
    size_t known_count;
    pthread_mutex_t lock; /* of what follows */
    char *status;
    char *why; /* NULL: it is well */
    struct kept {
        char *name, *file;
    } * kept;
    size_t kept_count;
};

/* One round. */
struct round {
    struct reconciler *reconciler;
    struct problems problems;
    struct observed observed;
    uint64_t now_ns;
    bool again; /* the next round has something to do at once */
};

struct reconciler *reconciler_create(const struct reconciler_options *options)
{
    struct reconciler *reconciler = calloc(1, sizeof(*reconciler));

    if (!reconciler)
        return NULL;
    reconciler->options = *options;
    backoff_init(&reconciler->backoff, &options->backoff);
    pthread_mutex_init(&reconciler->lock, NULL);
    return reconciler;
}

static void forget_known(struct reconciler *reconciler)
{
    for (size_t i = 0; i < reconciler->known_count; i++)
        free(reconciler->known[i].name);
    free(reconciler->known);
    reconciler->known = NULL;
    reconciler->known_count = 0;
}

void reconciler_destroy(struct reconciler *reconciler)
{
    if (!reconciler)
        return;
    backoff_free(&reconciler->backoff);
    problems_free(&reconciler->problems);
    forget_known(reconciler);
    pthread_mutex_destroy(&reconciler->lock);
    free(reconciler->status);
    free(reconciler->why);
    free(reconciler);
}

/* ---- what is said ---- */

static void say(struct round *round, const char *name, const char *uid, const char *reason,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

static void say(struct round *round, const char *name, const char *uid, const char *reason,
                const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof(text), format, args) >= (int)sizeof(text)) {
        /* Not in the middle of a character (UTF-8). */
        for (size_t end = sizeof(text) - 1; end && text[end - 1] & 0x80; end--)
            text[end - 1] = '\0';
    }
    va_end(args);
    events_add(round->reconciler->options.events, &(struct event){.kind = "Pod",
                                                                  .name = name,
                                                                  .uid = uid && *uid ? uid : NULL,
                                                                  .reason = reason,
                                                                  .message = text});
}

/* Of a round's problems those that the former round did not have. */
static void say_problems(struct round *round)
{
    const struct reconciler *reconciler = round->reconciler;

    for (size_t i = 0; i < round->problems.count; i++) {
        const struct problem *at = &round->problems.items[i];

        if (problems_have(&reconciler->problems, at))
            continue;
        events_add(reconciler->options.events, &(struct event){
                                                   .warning = true,
                                                   .kind = *at->pod    ? "Pod"
                                                           : *at->file ? "Manifest"
                                                                       : "Node",
                                                   .name = *at->pod    ? at->pod
                                                           : *at->file ? at->file
                                                                       : reconciler->options.node,
                                                   .uid = *at->uid ? at->uid : NULL,
                                                   .reason = at->reason,
                                                   .message = at->message,
                                               });
    }
}

static bool was_known(const struct reconciler *reconciler, const struct observed_pod *pod,
                      enum pod_phase *phase)
{
    for (size_t i = 0; i < reconciler->known_count; i++) {
        if (strcmp(reconciler->known[i].name, pod->name) != 0)
            continue;
        *phase = reconciler->known[i].phase;
        return true;
    }
    return false;
}

/* Pods of ours whose phase is another than it was. */
static void say_phases(struct round *round)
{
    for (size_t i = 0; i < round->observed.count; i++) {
        const struct observed_pod *pod = &round->observed.pods[i];
        enum pod_phase before;

        if (!pod->file || !was_known(round->reconciler, pod, &before) || before == pod->phase)
            continue;
        say(round, pod->name, pod->uid, phase_name(pod->phase), "was %s, is %s%s%s%s%s",
            phase_name(before), phase_name(pod->phase), *pod->reason ? ": " : "", pod->reason,
            *pod->message ? ": " : "", pod->message);
    }
}

static void remember_phases(struct round *round)
{
    struct reconciler *reconciler = round->reconciler;
    struct known *known = calloc(round->observed.count + 1, sizeof(*known));

    forget_known(reconciler);
    reconciler->known = known;
    for (size_t i = 0; known && i < round->observed.count; i++) {
        known[i].name = strdup(round->observed.pods[i].name);
        known[i].phase = round->observed.pods[i].phase;
        if (!known[i].name)
            return;
        reconciler->known_count = i + 1;
    }
}

/* ---- what is done ---- */

static const char *file_of(const struct round *round, const struct action *action)
{
    if (!action->pod)
        return action->seen->file;
    return source_wanted(round->reconciler->options.source)->files[action->pod->file].name;
}

static void note_problem(struct round *round, const struct action *action, const char *reason,
                         const struct husk_error *err)
{
    char text[TEXT_BYTES];

    problems_add(&round->problems, file_of(round, action),
                 action->pod ? action->pod->name : action->seen->name,
                 action->seen ? action->seen->uid : "", reason,
                 error_format(err, text, sizeof(text)));
}

/* The outcome of a call: counted, and when it failed noted. */
static int outcome(struct round *round, const struct action *action, enum operation operation,
                   const char *reason, int ret, const struct husk_error *err)
{
    metrics_count(round->reconciler->options.metrics, operation, ret < 0);
    if (ret < 0)
        note_problem(round, action, reason, err);
    return ret;
}

static struct backoff_pod *backoff_for(struct round *round, const struct action *action)
{
    return backoff_of(&round->reconciler->backoff,
                      action->pod ? action->pod->name : action->seen->name,
                      action->pod ? action->pod->hash : action->seen->hash);
}

static void note_try(struct round *round, const struct action *action)
{
    struct backoff_pod *state = backoff_for(round, action);

    if (state)
        backoff_note(&round->reconciler->backoff, state, round->now_ns);
}

/* Writes on the pod whose it is. */
static int mark(struct round *round, const struct action *action, struct husk_manifest **out,
                struct husk_error *err)
{
    const struct reconciler_options *options = &round->reconciler->options;
    struct husk_manifest *manifest = source_manifest(options->source, action->pod->file);
    unsigned index = action->pod->index;
    char *path;
    int ret;

    if (asprintf(&path, "%s/%s", options->directory, file_of(round, action)) < 0)
        return error_set(err, ENOMEM, "", "cannot mark the pod", NULL);
    ret = husk_manifest_annotate(manifest, index, ANNOTATION_SOURCE, SOURCE_FILE, err);
    if (!ret)
        ret = husk_manifest_annotate(manifest, index, ANNOTATION_HASH, action->pod->hash, err);
    if (!ret)
        ret = husk_manifest_annotate(manifest, index, ANNOTATION_MANIFEST, path, err);
    free(path);
    *out = manifest;
    return ret;
}

static void do_start(struct round *round, const struct action *action, bool again)
{
    const struct node_pods *pods = round->reconciler->options.pods;
    const char *name = action->pod ? action->pod->name : action->seen->name;
    const char *uid = action->seen ? action->seen->uid : NULL;
    struct husk_error err = {0};
    int ret = pods->start(pods->arg, name, &err);

    if (ret == -EALREADY)
        return;
    /* A restart counts as a try even when it succeeds: the next one is later. */
    if (ret || again)
        note_try(round, action);
    if (outcome(round, action, again ? OPERATION_RESTART : OPERATION_START, "FailedStart", ret,
                &err))
        return;
    if (again && action->seen)
        say(round, name, uid, "Restarted", "had ended (%s%s%s), and was started anew",
            phase_name(action->seen->phase), *action->seen->reason ? ": " : "",
            action->seen->reason);
    else
        say(round, name, uid, "Started", "from %s", file_of(round, action));
}

static void do_create(struct round *round, const struct action *action)
{
    const struct node_pods *pods = round->reconciler->options.pods;
    struct husk_manifest *manifest = NULL;
    struct husk_error err = {0};
    int ret = mark(round, action, &manifest, &err);

    if (!ret)
        ret = pods->create(pods->arg, manifest, action->pod->index, &err);
    if (ret)
        note_try(round, action);
    if (outcome(round, action, OPERATION_CREATE, "FailedCreate", ret, &err))
        return;
    say(round, action->pod->name, NULL, "Created", "from %s", file_of(round, action));
    do_start(round, action, false);
}

/* Removes what has ended; ends what runs. Another round removes that. */
static void do_retire(struct round *round, const struct action *action)
{
    const struct node_pods *pods = round->reconciler->options.pods;
    const struct observed_pod *seen = action->seen;
    struct backoff_pod *state = backoff_for(round, action);
    struct husk_error err = {0};
    int ret = pods->remove(pods->arg, seen->name, &err);

    if (ret != -EBUSY) {
        if (ret == -ENOENT)
            ret = 0;
        if (outcome(round, action, OPERATION_REMOVE, "FailedRemove", ret, &err))
            return;
        say(round, seen->name, seen->uid, "Removed", "of %s", seen->file);
        round->again = action->pod != NULL;
        return;
    }
    if (seen->stopping || (state && backoff_was_asked(state, seen->uid)))
        return;
    ret = pods->stop(pods->arg, seen->name, &err);
    if (outcome(round, action, OPERATION_STOP, "FailedStop", ret, &err))
        return;
    if (state)
        backoff_ask(state, seen->uid);
    say(round, seen->name, seen->uid, "Stopping",
        action->pod ? "its description has changed" : "no file describes it any more");
}

static void say_changed(struct round *round, const struct action *action, const char *changed)
{
    char *fields = changes_described(changed);

    say(round, action->seen->name, action->seen->uid, "Changed", "from %s%s",
        file_of(round, action), fields ? fields : "");
    free(fields);
}

/* Where some of it cannot be changed, nothing was. */
static void do_apply(struct round *round, const struct action *action)
{
    const struct node_pods *pods = round->reconciler->options.pods;
    const struct backoff_pod *state = backoff_for(round, action);
    struct husk_manifest *manifest = NULL;
    struct husk_error err = {0};
    char *changed = NULL, text[TEXT_BYTES];
    int ret;

    if (state && backoff_was_asked(state, action->seen->uid)) {
        do_retire(round, action);
        return;
    }
    ret = mark(round, action, &manifest, &err);
    if (!ret)
        ret = pods->apply(pods->arg, manifest, action->pod->index, &changed, &err);
    if (ret == -EEXIST) {
        metrics_count(round->reconciler->options.metrics, OPERATION_APPLY, false);
        say(round, action->seen->name, action->seen->uid, "Replacing", "%s",
            error_format(&err, text, sizeof(text)));
        do_retire(round, action);
        return;
    }
    if (ret)
        note_try(round, action);
    if (!outcome(round, action, OPERATION_APPLY, "FailedApply", ret, &err))
        say_changed(round, action, changed);
    free(changed);
}

static void say_wait(struct round *round, const struct action *action)
{
    const char *pod = action->pod ? action->pod->name : action->seen->name;
    const struct problem *before = problems_of_pod(&round->reconciler->problems, pod);

    /* Why it failed stays its problem until it is tried again. */
    if (before && strcmp(before->reason, "BackOff") != 0)
        problems_add(&round->problems, before->file, pod, before->uid, before->reason,
                     before->message);
    else
        problems_add(&round->problems, file_of(round, action), pod,
                     action->seen ? action->seen->uid : "", "BackOff",
                     "has ended although it should run; it is started anew later");
}

static void say_conflict(struct round *round, const struct action *action)
{
    char text[TEXT_BYTES];

    if (action->kind == ACTION_TAKEN)
        snprintf(text, sizeof(text), "a pod of this name is in %s, too, which has it",
                 action->file);
    else
        snprintf(text, sizeof(text), "there is a pod of this name that is not of these manifests");
    problems_add(&round->problems, file_of(round, action), action->pod->name,
                 action->seen ? action->seen->uid : "", "NameInUse", text);
}

static void carry_out(struct round *round, const struct action *action)
{
    switch (action->kind) {
    case ACTION_CREATE:
        do_create(round, action);
        break;
    case ACTION_START:
    case ACTION_RESTART:
        do_start(round, action, action->kind == ACTION_RESTART);
        break;
    case ACTION_APPLY:
        do_apply(round, action);
        break;
    case ACTION_RETIRE:
        do_retire(round, action);
        break;
    case ACTION_TAKEN:
    case ACTION_FOREIGN:
        say_conflict(round, action);
        break;
    case ACTION_WAIT:
        say_wait(round, action);
        break;
    }
}

/* ---- a round ---- */

static void look_at_files(struct round *round)
{
    const struct reconciler_options *options = &round->reconciler->options;
    struct husk_error err = {0};
    char text[TEXT_BYTES];
    const struct wanted *wanted;
    unsigned broken = 0;

    if (source_scan(options->source, &err))
        problems_add(&round->problems, "", "", "", "FailedRead",
                     error_format(&err, text, sizeof(text)));
    wanted = source_wanted(options->source);
    for (size_t i = 0; !wanted->unknown && i < wanted->file_count; i++) {
        if (!wanted->files[i].broken)
            continue;
        broken++;
        problems_add(&round->problems, wanted->files[i].name, "", "", "FailedRead",
                     source_error(options->source, i));
    }
    options->metrics->files = (unsigned)wanted->file_count;
    options->metrics->files_broken = broken;
}

static int look_at_pods(struct round *round)
{
    const struct reconciler_options *options = &round->reconciler->options;
    struct husk_error err = {0};
    char text[TEXT_BYTES], *list = NULL;
    int ret = options->pods->list(options->pods->arg, &list, &err);

    if (!ret)
        ret = observed_parse(list, options->directory, &round->observed, &err);
    free(list);
    metrics_count(options->metrics, OPERATION_LIST, ret < 0);
    if (ret)
        problems_add(&round->problems, "", "", "", "FailedList",
                     error_format(&err, text, sizeof(text)));
    return ret;
}

static void act(struct round *round)
{
    struct reconciler *reconciler = round->reconciler;
    struct plan plan;

    say_phases(round);
    remember_phases(round);
    if (plan_make(source_wanted(reconciler->options.source), &round->observed, &reconciler->backoff,
                  round->now_ns, &plan)) {
        problems_add(&round->problems, "", "", "", "FailedPlan", error_text(ENOMEM));
        return;
    }
    for (size_t i = 0; i < plan.count; i++)
        carry_out(round, &plan.actions[i]);
    plan_free(&plan);
    backoff_sweep(&reconciler->backoff);
}

/* What others may see of it. */
static void publish(struct round *round, uint64_t took_ns)
{
    struct reconciler *reconciler = round->reconciler;
    const struct problem *first = problems_of_file(&round->problems, "");
    struct status_input input = {
        .node = reconciler->options.node,
        .directory = reconciler->options.directory,
        .wanted = source_wanted(reconciler->options.source),
        .observed = &round->observed,
        .problems = &round->problems,
        .backoff = &reconciler->backoff,
        .now_ns = round->now_ns,
        .took_ns = took_ns,
    };
    char *status = status_format(&input), *why = first ? strdup(first->message) : NULL;

    pthread_mutex_lock(&reconciler->lock);
    free(reconciler->status);
    free(reconciler->why);
    reconciler->status = status;
    reconciler->why = why;
    pthread_mutex_unlock(&reconciler->lock);
}

uint64_t reconciler_round(struct reconciler *reconciler, uint64_t now_ns)
{
    struct round round = {.reconciler = reconciler, .now_ns = now_ns};
    struct metrics *metrics = reconciler->options.metrics;
    uint64_t began_ns = monotonic_ns(), took_ns, next_ns;

    look_at_files(&round);
    if (!look_at_pods(&round))
        act(&round);
    say_problems(&round);
    took_ns = monotonic_ns() - began_ns;
    metrics_round(metrics, took_ns);
    metrics->finished_ns = realtime_ns();
    publish(&round, took_ns);
    problems_free(&reconciler->problems);
    reconciler->problems = round.problems;
    observed_free(&round.observed);
    next_ns = backoff_next_ns(&reconciler->backoff, now_ns);
    if (round.again)
        return 0;
    return next_ns ? next_ns - now_ns : UINT64_MAX;
}

char *reconciler_status(struct reconciler *reconciler)
{
    char *status;

    pthread_mutex_lock(&reconciler->lock);
    status = reconciler->status ? strdup(reconciler->status) : NULL;
    pthread_mutex_unlock(&reconciler->lock);
    return status;
}

bool reconciler_is_well(struct reconciler *reconciler, char *why, size_t size)
{
    bool is_well;

    pthread_mutex_lock(&reconciler->lock);
    is_well = reconciler->status && !reconciler->why;
    snprintf(why, size, "%s", reconciler->why ? reconciler->why : "");
    pthread_mutex_unlock(&reconciler->lock);
    return is_well;
}
