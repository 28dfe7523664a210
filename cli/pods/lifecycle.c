// SPDX-License-Identifier: Apache-2.0
/* husk pod start, stop, rm and wait: what is done to pods by name or by selector, one after the
 * other. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/pods/pods.h"
#include "cli/pods/status.h"

struct wishes {
    struct pods_scope scope;
    int64_t grace_s, timeout_s; /* -1: the pod's own; for ever */
    bool force, no_wait, ready;
    int status; /* of `wait` */
};

#define AT(member) offsetof(struct wishes, member)

static const struct pod_option start_options[] = {
    SCOPE_MANY(struct wishes),
    {0, "all", false, pod_set_flag, AT(scope.all)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_option stop_options[] = {
    SCOPE_MANY(struct wishes),
    {0, "all", false, pod_set_flag, AT(scope.all)},
    {'t', "time", true, pod_set_seconds, AT(grace_s)},
    {0, "grace-period", true, pod_set_seconds, AT(grace_s)},
    {0, "no-wait", false, pod_set_flag, AT(no_wait)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_option rm_options[] = {
    SCOPE_MANY(struct wishes),
    {0, "all", false, pod_set_flag, AT(scope.all)},
    {'f', "force", false, pod_set_flag, AT(force)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_option wait_options[] = {
    SCOPE_MANY(struct wishes),
    {0, "all", false, pod_set_flag, AT(scope.all)},
    {0, "ready", false, pod_set_flag, AT(ready)},
    {0, "timeout", true, pod_set_seconds, AT(timeout_s)},
    {0, NULL, false, NULL, 0},
};

#define SCOPE_HELP                                                        \
    "  -n, --namespace NAME   default: default\n"                         \
    "  -l, --selector LABELS  those with these labels, such as app=web\n" \
    "      --all              all of the namespace\n"                     \
    "  -A, --all-namespaces   with these, of all namespaces\n"

static const struct pod_syntax start_syntax = {
    .command = "pod start",
    .help = "husk pod start [OPTION...] POD...\n"
            "\n"
            "Start pods that were created, or have ended.\n"
            "\n" SCOPE_HELP STATUSES_TEXT,
    .wants = "the pods to start",
    .most = UINT16_MAX,
    .options = start_options,
};

static const struct pod_syntax stop_syntax = {
    .command = "pod stop",
    .help =
        "husk pod stop [OPTION...] POD...\n"
        "\n"
        "End pods: preStop hooks and stop signals first, and by force when that has not helped in\n"
        "the time that they are given. Waits until they have ended.\n"
        "\n"
        "  -t, --time, --grace-period TIME\n"
        "                         seconds, or a time such as 1m; default: as the pod says\n"
        "      --no-wait          begin only\n" SCOPE_HELP STATUSES_TEXT,
    .wants = "the pods to end",
    .most = UINT16_MAX,
    .options = stop_options,
};

static const struct pod_syntax rm_syntax = {
    .command = "pod rm",
    .help = "husk pod rm [-f] [OPTION...] POD...\n"
            "\n"
            "Remove pods that have ended, with their logs.\n"
            "\n"
            "  -f, --force            end those that run, at once; pods that are not there are no\n"
            "                         error; what CNI plugins do not take back is told and "
            "left\n" SCOPE_HELP STATUSES_TEXT,
    .wants = "the pods to remove",
    .most = UINT16_MAX,
    .options = rm_options,
};

static const struct pod_syntax wait_syntax = {
    .command = "pod wait",
    .help =
        "husk pod wait [--ready] [--timeout TIME] [OPTION...] POD...\n"
        "\n"
        "Wait until pods have ended.\n"
        "\n"
        "      --ready            until they are ready\n"
        "      --timeout TIME     for at most that long, each\n" SCOPE_HELP "\n"
        "Exit status: 0 done; without --ready, that of the first container of the first pod that\n"
        "failed; 119 usage error; 124 not in time; 125 failure.\n",
    .wants = "the pods to wait for",
    .most = UINT16_MAX,
    .options = wait_options,
};

/* Parses, then does it to each; then `after` (may be NULL) to those for which that worked. */
static int act_on_all(const struct pod_syntax *syntax, int argc, char **argv, struct wishes *wishes,
                      int (*act)(struct husk_pods *, const char *, void *, struct husk_error *),
                      int (*after)(struct husk_pods *, const char *, void *, struct husk_error *))
{
    char **words;
    unsigned count;
    int status = pod_options_parse(syntax, wishes, argc, argv, &words, &count);

    if (status)
        return status == POD_HELP_SHOWN ? STATUS_OK : status;
    if (count && (wishes->scope.selector || wishes->scope.all))
        return pod_usage(syntax, "wants pods by name, or by -l or --all, not both");
    if (!count && !wishes->scope.selector && !wishes->scope.all)
        return pod_usage(syntax, "wants %s", syntax->wants);
    return scope_each(&wishes->scope, words, count, act, after, wishes);
}

static int say(const char *name)
{
    puts(name);
    fflush(stdout);
    return 0;
}

static int start(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err)
{
    int ret = husk_pod_start(pods, name, NULL, err);

    return ret ? ret : say(name);
}

int verb_start(int argc, char **argv)
{
    struct wishes wishes = {.grace_s = -1, .timeout_s = -1};

    return act_on_all(&start_syntax, argc, argv, &wishes, start, NULL);
}

/* Whether a pod is there that has never been started: it has nothing to end. */
static bool is_idle(struct husk_pods *pods, const char *name)
{
    json_t *pod = NULL;
    bool idle = false;

    if (!pods_get(pods, name, &pod, NULL))
        idle = !json_object_get(json_object_get(pod, "status"), "startTime");
    json_decref(pod);
    return idle;
}

/* All begin to end before the first one is waited for. */
static int begin_stop(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err)
{
    const struct wishes *wishes = arg;

    return husk_pod_stop(pods, name, wishes->grace_s, err);
}

/* One that removes itself may be gone before it is waited for. */
static int finish_stop(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err)
{
    const struct wishes *wishes = arg;
    int ret = 0;

    if (!wishes->no_wait && !is_idle(pods, name))
        ret = husk_pod_wait(pods, name, HUSK_POD_ENDED, -1, err);
    return ret && ret != -ENOENT ? ret : say(name);
}

int verb_stop(int argc, char **argv)
{
    struct wishes wishes = {.grace_s = -1, .timeout_s = -1};

    return act_on_all(&stop_syntax, argc, argv, &wishes, begin_stop, finish_stop);
}

static int remove_one(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err)
{
    const struct wishes *wishes = arg;
    int ret = wishes->force ? pods_remove_by_force(pods, name, err)
                            : husk_pod_remove(pods, name, false, err);

    if (ret == -ENOENT && wishes->force)
        return 0;
    return ret ? ret : say(name);
}

int verb_rm(int argc, char **argv)
{
    struct wishes wishes = {.grace_s = -1, .timeout_s = -1};

    return act_on_all(&rm_syntax, argc, argv, &wishes, remove_one, NULL);
}

static int wait_for(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err)
{
    struct wishes *wishes = arg;
    json_t *pod = NULL;
    int ret;

    ret = husk_pod_wait(pods, name, wishes->ready ? HUSK_POD_READY : HUSK_POD_ENDED,
                        wishes->timeout_s < 0 ? -1 : wishes->timeout_s * 1000, err);
    if (!ret && !wishes->ready && !wishes->status && !pods_get(pods, name, &pod, NULL))
        wishes->status = pod_end_status(pod, STATUS_MONITOR_ERROR);
    json_decref(pod);
    if (ret == -ETIMEDOUT)
        wishes->status = STATUS_TIMEOUT;
    return ret ? ret : say(name);
}

int verb_wait(int argc, char **argv)
{
    struct wishes wishes = {.grace_s = -1, .timeout_s = -1};
    int status = act_on_all(&wait_syntax, argc, argv, &wishes, wait_for, NULL);

    return wishes.status && (!status || wishes.status == STATUS_TIMEOUT) ? wishes.status : status;
}
