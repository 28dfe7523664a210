// SPDX-License-Identifier: Apache-2.0
/*
 * Following the logs of several containers at once, until none of them will write any more: one
 * loop over their descriptors. A container that has not been started has no log yet.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "cli/pods/follow.h"

#define LOOK_MS  250
#define TURN_MAX 256 /* lines of one container before the others get their turn */
#define LOGS_MAX 1024u

void followed_add(struct followed_list *list, const char *pod, const char *container, bool prefix)
{
    struct followed *more =
        list->count < LOGS_MAX ? reallocarray(list->all, list->count + 1, sizeof(*more)) : NULL;
    struct followed *one;

    if (!more) {
        list->failed = true;
        return;
    }
    list->all = more;
    one = &more[list->count++];
    *one = (struct followed){.pod = strdup(pod), .container = strdup(container)};
    if (prefix && asprintf(&one->prefix, "[%s/%s] ", pod, container) < 0)
        one->prefix = NULL;
    one->print.prefix = one->prefix;
    list->failed |= !one->pod || !one->container || (prefix && !one->prefix);
}

int followed_add_pod(struct followed_list *list, struct husk_pods *pods, const char *name,
                     bool prefix, struct husk_error *err)
{
    static const char *const lists[] = {"initContainers", "containers"};
    json_t *pod = NULL;
    int ret = pods_get(pods, name, &pod, err);

    for (unsigned k = 0; !ret && k < ARRAY_SIZE(lists); k++) {
        json_t *container;
        size_t i;

        json_array_foreach(json_object_get(json_object_get(pod, "spec"), lists[k]), i, container)
        {
            followed_add(list, name, json_string_value(json_object_get(container, "name")), prefix);
        }
    }
    json_decref(pod);
    return ret;
}

void followed_release(struct followed_list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        struct followed *one = &list->all[i];

        husk_pod_log_close(one->log);
        free(one->pod);
        free(one->container);
        free(one->prefix);
    }
    free(list->all);
    *list = (struct followed_list){.all = NULL};
}

/* Whether a container without a log may still be started: its pod has not ended. */
static bool may_start(struct husk_pods *pods, const char *name)
{
    json_t *pod = NULL;
    const char *phase;
    bool may;

    if (pods_get(pods, name, &pod, NULL))
        return false;
    phase = json_string_value(json_object_get(json_object_get(pod, "status"), "phase"));
    may = phase && strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0;
    json_decref(pod);
    return may;
}

static int open_one(struct husk_pods *pods, struct followed *one,
                    const struct husk_pod_log_options *wants, struct husk_error *err)
{
    struct husk_pod_log_options options = *wants;
    bool may = wants->follow && may_start(pods, one->pod);
    int ret;

    options.container = one->container;
    ret = husk_pod_log_open(pods, one->pod, &options, &one->log, err);
    if (ret == -ENOENT && wants->follow) {
        one->over = !may; /* it was asked before: a log that came meanwhile has been found */
        return 0;
    }
    return ret;
}

/* What there is. 1: nobody reads it; 0; -errno. */
static int drain(struct followed *one, struct husk_error *err)
{
    for (unsigned i = 0; i < TURN_MAX; i++) {
        struct husk_pod_log_line line;
        int ret = husk_pod_log_next(one->log, 0, &line, err);

        if (ret == -ENODATA)
            one->over = true;
        if (ret != 1)
            return ret == -ENODATA ? 0 : ret;
        one->more = i + 1 == TURN_MAX;
        if (!log_print(&one->print, line.time, line.is_error, line.is_partial, line.text, line.len))
            return 1;
    }
    return 0;
}

static int turn(struct husk_pods *pods, struct followed_list *list,
                const struct husk_pod_log_options *wants, struct husk_error *err)
{
    int ret = 0;

    list->open = list->more = 0;
    for (unsigned i = 0; !ret && i < list->count; i++) {
        struct followed *one = &list->all[i];

        one->more = false;
        if (!one->over && !one->log)
            ret = open_one(pods, one, wants, err);
        if (!ret && !one->over && one->log)
            ret = drain(one, err);
        list->open += !one->over;
        list->more += one->more;
    }
    return ret ? ret : fflush(stdout) ? 1 : 0;
}

/* Until one of the logs, the signals or the reader of our output has something to say. Returns the
 * number of a signal, -EPIPE when the reader has gone, else 0. */
static int await(const struct followed_list *list, int signals)
{
    struct pollfd polls[LOGS_MAX + 2];
    struct signalfd_siginfo info;

    polls[0] = (struct pollfd){.fd = STDOUT_FILENO};
    polls[1] = (struct pollfd){.fd = signals, .events = POLLIN};
    for (unsigned i = 0; i < list->count; i++) {
        const struct followed *one = &list->all[i];

        polls[i + 2] = (struct pollfd){
            .fd = one->log && !one->over ? husk_pod_log_fd(one->log) : -1, .events = POLLIN};
    }
    if (poll(polls, list->count + 2, list->more ? 0 : LOOK_MS) <= 0)
        return 0;
    if (polls[1].revents && read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        return (int)info.ssi_signo;
    return polls[0].revents & (POLLERR | POLLNVAL) ? -EPIPE : 0;
}

int followed_run(struct followed_list *list, struct husk_pods *pods,
                 const struct husk_pod_log_options *wants, int signals)
{
    struct husk_error err = {0};

    if (list->failed) {
        cli_message("%s", error_text(ENOMEM));
        return -1;
    }
    for (;;) {
        int ret = turn(pods, list, wants, &err);

        if (ret < 0) {
            cli_error(&err);
            return -1;
        }
        if (ret || !list->open)
            return ret ? SIGPIPE : 0;
        ret = await(list, signals);
        if (ret)
            return ret < 0 ? SIGPIPE : ret;
    }
}
