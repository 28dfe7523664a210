// SPDX-License-Identifier: Apache-2.0
/* husk pod logs: what containers of pods have written. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pods/follow.h"

struct logs {
    struct pods_scope scope;
    const char *container;
    bool follow, previous, all_containers, prefix, times;
    int64_t tail; /* lines; -1: all */
    int64_t since_ns;
    struct followed_list list;
};

#define AT(member) offsetof(struct logs, member)

static const struct pod_option options[] = {
    SCOPE_MANY(struct logs),
    {'f', "follow", false, pod_set_flag, AT(follow)},
    {'c', "container", true, pod_set_text, AT(container)},
    {'p', "previous", false, pod_set_flag, AT(previous)},
    {0, "all-containers", false, pod_set_flag, AT(all_containers)},
    {0, "prefix", false, pod_set_flag, AT(prefix)},
    {0, "tail", true, log_set_tail, AT(tail)},
    {0, "since", true, log_set_since, AT(since_ns)},
    {0, "since-time", true, log_set_since, AT(since_ns)},
    {'t', "timestamps", false, pod_set_flag, AT(times)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "pod logs",
    .help =
        "husk pod logs [OPTION...] POD [CONTAINER]\n"
        "husk pod logs [OPTION...] -l LABELS\n"
        "\n"
        "Print what a container has written in its latest run: its standard output on standard\n"
        "output, its standard error on standard error.\n"
        "\n"
        "  -c, --container NAME   default: the pod's annotation\n"
        "                         kubectl.kubernetes.io/default-container, or its first\n"
        "      --all-containers   of all, init containers first\n"
        "  -f, --follow           and what it will write, also when it is started again, until it\n"
        "                         will not be\n"
        "  -p, --previous         of the run before\n"
        "      --tail N           the last N lines only\n"
        "      --since TIME       from 2026-11-29T02:00:00Z, seconds since 1970, or 10m ago on\n"
        "  -t, --timestamps       each line's time before it\n"
        "      --prefix           [POD/CONTAINER] before that; so always when there are several\n"
        "                         with -f\n"
        "  -n, --namespace NAME   default: default\n"
        "  -l, --selector LABELS, -A, --all-namespaces\n" STATUSES_TEXT,
    .wants = "one pod, or -l",
    .most = 2,
    .options = options,
};

static int add(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err)
{
    struct logs *logs = arg;
    json_t *pod = NULL;
    const char *container = logs->container;
    int ret;

    if (logs->all_containers)
        return followed_add_pod(&logs->list, pods, name, logs->prefix, err);
    if (container) {
        followed_add(&logs->list, name, container, logs->prefix);
        return 0;
    }
    ret = pods_get(pods, name, &pod, err);
    container = pods_default_container(pod);
    if (!ret && container)
        followed_add(&logs->list, name, container, logs->prefix);
    json_decref(pod);
    return ret;
}

/* A container that the pod has not got is an error also when it is followed. */
static int check(struct husk_pods *pods, const struct logs *logs)
{
    for (unsigned i = 0; i < logs->list.count; i++) {
        const struct followed *one = &logs->list.all[i];
        struct husk_error err = {0};
        int fd, ret = husk_pod_log_directory(pods, one->pod, one->container, &fd, &err);

        if (!ret)
            close(fd);
        else if (ret != -ENOENT || strcmp(err.what, "has no log") != 0) {
            cli_error(&err);
            return STATUS_MONITOR_ERROR;
        }
    }
    return 0;
}

static int print(struct husk_pods *pods, struct logs *logs)
{
    struct husk_pod_log_options wants = HUSK_POD_LOG_OPTIONS_INIT;
    int ret;

    wants.previous = logs->previous;
    wants.follow = logs->follow && !logs->previous;
    wants.tail = logs->tail >= 0;
    wants.tail_lines = logs->tail >= 0 ? (uint64_t)logs->tail : 0;
    wants.since_ns = logs->since_ns;
    for (unsigned i = 0; i < logs->list.count; i++)
        logs->list.all[i].print.times = logs->times;
    ret = followed_run(&logs->list, pods, &wants, -1);
    return ret < 0 ? STATUS_MONITOR_ERROR : STATUS_OK;
}

static int run(struct logs *logs, char **words, unsigned count)
{
    struct husk_pods *pods = pods_open_all();
    json_t *names = pods ? scope_names(pods, &logs->scope, words, count ? 1 : 0) : NULL;
    int status = STATUS_MONITOR_ERROR;

    if (count == 2)
        logs->container = words[1];
    logs->prefix |= logs->follow && (logs->all_containers || json_array_size(names) > 1);
    if (names)
        status = pods_each(pods, names, add, logs);
    if (!status)
        status = check(pods, logs);
    if (!status)
        status = print(pods, logs);
    json_decref(names);
    followed_release(&logs->list);
    husk_pods_close(pods);
    return status;
}

int verb_logs(int argc, char **argv)
{
    struct logs logs = {.tail = -1};
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, &logs, argc, argv, &words, &count);

    if (!status && !count == !logs.scope.selector)
        return pod_usage(&syntax, "wants %s", syntax.wants);
    if (!status && (count == 2 || logs.container) && logs.all_containers)
        return pod_usage(&syntax, "--all-containers: names a container, too");
    if (!status && count == 2 && logs.container)
        return pod_usage(&syntax, "-c: the container is named twice");
    if (!status)
        status = run(&logs, words, count);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
