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
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "cli/pod/log_reader.h"
#include "cli/pod/pod.h"

#define LOOK_MS 250 /* how often the end is looked for */

struct logs {
    bool follow, times;
    int64_t tail; /* lines; -1: all */
    char since[LOG_TIME_LENGTH + 1];
    bool line_open[2]; /* the last record of the stream was a part */
};

static int set_tail(void *member, const struct pod_place *place, const char *value)
{
    uint64_t number;

    if (!strcmp(value, "all")) {
        *(int64_t *)member = -1;
        return 0;
    }
    if (parse_u64(value, 0, INT32_MAX, &number))
        return pod_usage(place->syntax, "%s: %s: wants a number of lines, or all", place->option,
                         value);
    *(int64_t *)member = (int64_t)number;
    return 0;
}

static int set_since(void *member, const struct pod_place *place, const char *value)
{
    if (log_time_parse(value, time(NULL), member))
        return pod_usage(
            place->syntax,
            "%s: %s: wants a time such as 2026-11-29T02:00:00Z, seconds since 1970, or "
            "how long ago, such as 10m",
            place->option, value);
    return 0;
}

#define AT(member) offsetof(struct logs, member)

static const struct pod_option options[] = {
    {'f', "follow", false, pod_set_flag, AT(follow)},
    {'t', "timestamps", false, pod_set_flag, AT(times)},
    {'n', "tail", true, set_tail, AT(tail)},
    {0, "since", true, set_since, AT(since)},
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
            "      --since TIME  from 2026-11-29T02:00:00Z, seconds since 1970, or 10m ago on\n"
            "\n"
            "Exit status: 0 done; 119 usage error; 125 failure.\n",
    .wants = "one container",
    .least = 1,
    .most = 1,
    .options = options,
};

/* Whether nobody reads what we print. */
static bool show(struct logs *logs, const struct log_line *line)
{
    FILE *out = line->is_error ? stderr : stdout;
    bool *open = &logs->line_open[line->is_error];

    if (line->is_error)
        fflush(stdout);
    if (logs->times && !*open)
        fprintf(out, "%.*s ", (int)LOG_TIME_LENGTH, line->time);
    fwrite(line->text, 1, line->len, out);
    if (!line->partial)
        fputc('\n', out);
    *open = line->partial;
    return !ferror(out);
}

static bool is_wanted(const struct logs *logs, const struct log_line *line)
{
    return memcmp(line->time, logs->since, LOG_TIME_LENGTH) >= 0;
}

/* How many lines are before the last `tail` of those that are wanted. */
static int count_skipped(const struct logs *logs, int dir, uint64_t *skip)
{
    struct log_reader reader;
    struct log_line line;
    bool open[2] = {false, false};
    uint64_t lines = 0;
    int ret;

    *skip = 0;
    if (logs->tail < 0)
        return 0;
    log_reader_init(&reader, dir);
    while ((ret = log_reader_next(&reader, &line)) == 1) {
        if (!is_wanted(logs, &line))
            continue;
        lines += !line.partial;
        open[line.is_error] = line.partial;
    }
    log_reader_close(&reader);
    lines += open[0] + open[1]; /* the last one may have no end */
    if (lines > (uint64_t)logs->tail)
        *skip = lines - (uint64_t)logs->tail;
    return ret;
}

/* Everything that there is. 0 to go on, 1 when nobody reads it, -errno. */
static int drain(struct logs *logs, struct log_reader *reader, uint64_t *skip)
{
    struct log_line line;
    int ret;

    while ((ret = log_reader_next(reader, &line)) == 1) {
        if (!is_wanted(logs, &line))
            continue;
        if (*skip > 0)
            *skip -= !line.partial;
        else if (!show(logs, &line))
            return 1;
    }
    return fflush(stdout) ? 1 : ret;
}

static int follow(struct logs *logs, const struct entry *container, struct log_reader *reader,
                  uint64_t *skip)
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

        ret = drain(logs, reader, skip);
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
    struct log_reader reader;
    uint64_t skip;
    int ret = count_skipped(logs, container->dir, &skip);

    log_reader_init(&reader, container->dir);
    if (!ret)
        ret = logs->follow ? follow(logs, container, &reader, &skip) : drain(logs, &reader, &skip);
    if (reader.damaged)
        cli_message("%s: %lu lines of its log are damaged and were left out", container->name,
                    reader.damaged);
    log_reader_close(&reader);
    return ret < 0 ? error_set(err, -ret, container->name, "its log cannot be read", NULL) : 0;
}

int pod_logs(int argc, char **argv)
{
    struct logs logs = {.tail = -1, .since = "0000-00-00T00:00:00.000000000Z"};
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
