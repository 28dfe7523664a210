// SPDX-License-Identifier: Apache-2.0
/*
 * husk logs: what a container has written, from the files of its log: its standard output on ours,
 * its standard error on ours. Following waits for changes of the directory; the end of the
 * container, which is the end of its supervisor's lock, is looked for now and then.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/pod/log_print.h"
#include "cli/pod/pod.h"
#include "pod/log/view.h"

#define LOOK_MS 250 /* how often the end is looked for */

struct logs {
    bool follow;
    int64_t tail; /* lines; -1: all */
    int64_t since_ns;
    struct log_print print;
};

#define AT(member) offsetof(struct logs, member)

static const struct pod_option options[] = {
    {'f', "follow", false, pod_set_flag, AT(follow)},
    {'t', "timestamps", false, pod_set_flag, AT(print.times)},
    {'n', "tail", true, log_set_tail, AT(tail)},
    {0, "since", true, log_set_since, AT(since_ns)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "logs",
    .help = "husk logs [-f] [-t] [-n N] [--since TIME] CONTAINER\n"
            "\n"
            "Print what a container has written: its standard output on standard output, its\n"
            "standard error on standard error.\n"
            "\n"
            "  -f, --follow      and what it will write, until it ends\n"
            "  -t, --timestamps  each line's time before it\n"
            "  -n, --tail N      the last N lines only\n"
            "      --since TIME  from 2026-11-29T02:00:00Z, seconds since 1970, or 10m ago "
            "on\n" STATUSES_TEXT,
    .wants = "one container",
    .least = 1,
    .most = 1,
    .options = options,
};

/* Everything that there is. 0 to go on, 1 when nobody reads it, -errno. */
static int drain(struct logs *logs, struct log_view *view)
{
    struct log_line line;
    int ret;

    while ((ret = log_view_next(view, &line)) == 1) {
        if (!log_print(&logs->print, line.time, line.is_error, line.partial, line.text, line.len))
            return 1;
    }
    return fflush(stdout) ? 1 : ret;
}

static int follow(struct logs *logs, const struct entry *container, struct log_view *view)
{
    char path[32], events[4096];
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int ret = watch < 0 ? -errno : 0;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", container->dir);
    if (!ret && inotify_add_watch(watch, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        ret = -errno;
    while (!ret) {
        struct pollfd polls[] = {{.fd = watch, .events = POLLIN},
                                 {.fd = STDOUT_FILENO, .events = 0}};
        bool alive = entry_alive(container);

        ret = drain(logs, view);
        if (ret || !alive)
            break;
        if (poll(polls, 2, LOOK_MS) > 0 && (polls[1].revents & (POLLERR | POLLNVAL)))
            ret = 1; /* whoever read it has gone */
        while (read(watch, events, sizeof(events)) > 0)
            ;
    }
    close_fd(&watch);
    return ret;
}

static int print_log(struct logs *logs, const struct entry *container, struct husk_error *err)
{
    struct log_view view;
    int ret = log_view_open(&view, container->dir, "log", logs->since_ns, logs->tail);

    if (!ret)
        ret = logs->follow ? follow(logs, container, &view) : drain(logs, &view);
    if (view.reader.damaged)
        cli_message("%s: %lu lines of its log are damaged and were left out", container->name,
                    view.reader.damaged);
    log_view_close(&view);
    return ret < 0 ? error_set(err, -ret, container->name, "its log cannot be read", NULL) : 0;
}

int pod_logs(int argc, char **argv)
{
    struct logs logs = {.tail = -1};
    struct entry_store *store;
    struct entry *container;
    struct husk_error err = {0};
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, &logs, argc, argv, &words, &count);

    if (status)
        return status == POD_HELP_SHOWN ? STATUS_OK : status;
    if (pod_find(words[0], &store, &container, &err)) {
        cli_error(&err);
        return STATUS_MONITOR_ERROR;
    }
    if (print_log(&logs, container, &err)) {
        cli_error(&err);
        status = STATUS_MONITOR_ERROR;
    }
    entry_close(container);
    entry_store_close(store);
    return status;
}
