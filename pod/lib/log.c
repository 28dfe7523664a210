// SPDX-License-Identifier: Apache-2.0
/*
 * Logs of a pod's containers as lines: one run's files after the other.
 *
 * A run N is over for a reader when there is a file of run N + 1, which the supervisor makes after
 * it has written all of run N: what is there then of run N is read before it is left. The end of
 * all is when the pod is not alive any more: then everything is read once more. It is also when the
 * record says that the container will not run again, and nothing has come for a while: the record
 * may be written before the last of the output.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/parse.h"
#include "pod/lib/deadline.h"
#include "pod/lib/pods.h"
#include "pod/log/view.h"

#define RUNS_MAX UINT32_MAX
#define LOOK_MS  250  /* how often the end is looked for */
#define QUIET_MS 2000 /* of a container that has ended in a pod that goes on */
#define NO_RUN   (-1)

struct husk_pod_log {
    struct entry *pod;
    char container[POD_CONTAINER_BYTES];
    struct husk_pod_log_options wants;
    int dir, watch; /* watch: of `dir`, -1 without follow */
    int64_t run;    /* that is read */
    struct log_view view;
    bool next_seen; /* there is a later run: what is left of this one is the last of it */
    bool over;      /* nothing more will be written */
    bool ending;    /* its record says so, and it has been quiet: */
    struct deadline quiet;
};

static void run_name(int64_t run, char name[LOG_READER_NAME_MAX + 1])
{
    snprintf(name, LOG_READER_NAME_MAX + 1, "%lld.log", (long long)run);
}

/* The number of a run from its file's name, or NO_RUN. */
static int64_t run_of(const char *name)
{
    size_t len = strspn(name, "0123456789");
    char digits[16];
    uint64_t run;

    if (len == 0 || len >= sizeof(digits) || strcmp(name + len, ".log") != 0)
        return NO_RUN;
    memcpy(digits, name, len);
    digits[len] = '\0';
    return parse_u64(digits, 0, RUNS_MAX, &run) ? NO_RUN : (int64_t)run;
}

/* The latest run before `before`, of which there is a file; NO_RUN. */
static int64_t latest_run(int dir, int64_t before)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    int64_t found = NO_RUN;
    struct dirent *entry;

    if (!list) {
        close_fd(&fd);
        return NO_RUN;
    }
    while ((entry = readdir(list))) {
        int64_t run = run_of(entry->d_name);

        if (run > found && run < before)
            found = run;
    }
    closedir(list);
    return found;
}

/* The run after this one that is there: earlier ones may have been removed. NO_RUN. */
static int64_t following_run(int dir, int64_t run)
{
    char name[LOG_READER_NAME_MAX + 1];
    int64_t latest = latest_run(dir, INT64_MAX);

    for (int64_t next = run + 1; next <= latest; next++) {
        run_name(next, name);
        if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return next;
    }
    return NO_RUN;
}

static int open_directory(const struct entry *pod, const char *container)
{
    char path[sizeof(POD_LOGS) + POD_CONTAINER_BYTES + 1];
    int fd;

    /* A container's name is no path: pod/manifest has checked it. */
    snprintf(path, sizeof(path), POD_LOGS "/%s", container);
    fd = openat(pod->dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int husk_pod_log_directory(struct husk_pods *pods, const char *name, const char *container, int *fd,
                           struct husk_error *err)
{
    char meant[POD_CONTAINER_BYTES];
    struct entry *pod;
    int ret = pods_find(pods, name, &pod, err);

    if (ret)
        return ret;
    ret = pods_container_of(pod, name, container, meant, err);
    if (!ret) {
        *fd = open_directory(pod, meant);
        if (*fd < 0)
            ret = error_set(err, -*fd, meant, "has no log", "it has not been started");
    }
    entry_close(pod);
    return ret;
}

/* ---- opening ---- */

static int watch_directory(struct husk_pod_log *log)
{
    char path[32];

    log->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", log->dir);
    if (log->watch < 0 ||
        inotify_add_watch(log->watch, path, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        return -errno;
    /* What becomes of the container is in the record. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", log->pod->dir);
    return inotify_add_watch(log->watch, path, IN_MOVED_TO) < 0 ? -errno : 0;
}

static int open_run(struct husk_pod_log *log, int64_t run, int64_t tail)
{
    char name[LOG_READER_NAME_MAX + 1];

    run_name(run, name);
    log->run = run;
    log->next_seen = false;
    return log_view_open(&log->view, log->dir, name, log->wants.since_ns, tail);
}

static int open_first(struct husk_pod_log *log, struct husk_error *err)
{
    int64_t tail = log->wants.tail ? (int64_t)(log->wants.tail_lines & INT64_MAX) : -1;
    int64_t run = NO_RUN;
    int ret = 0;

    log->dir = open_directory(log->pod, log->container);
    if (log->dir >= 0)
        run = latest_run(log->dir, INT64_MAX);
    if (run == NO_RUN)
        return error_set(err, ENOENT, log->container, "has no log", "it has not been started");
    if (log->wants.previous)
        run = latest_run(log->dir, run);
    if (run == NO_RUN)
        return error_set(err, ENOENT, log->container, "has no earlier log",
                         "it has not been started more than once, or that log was removed");
    if (log->wants.follow)
        ret = watch_directory(log);
    if (!ret)
        ret = open_run(log, run, tail);
    return ret ? error_set(err, -ret, log->container, "its log cannot be read", NULL) : 0;
}

int husk_pod_log_open(struct husk_pods *pods, const char *name,
                      const struct husk_pod_log_options *options, struct husk_pod_log **out,
                      struct husk_error *err)
{
    struct husk_pod_log *log = calloc(1, sizeof(*log));
    int ret;

    if (!log)
        return error_set(err, ENOMEM, name, "its log cannot be read", NULL);
    log->dir = log->watch = -1;
    log_reader_init(&log->view.reader, -1, "");
    ret = pods_take_options(&log->wants, sizeof(log->wants), options, err);
    if (!ret && log->wants.previous)
        log->wants.follow = false; /* it is over */
    if (!ret)
        ret = pods_find(pods, name, &log->pod, err);
    if (!ret)
        ret = pods_container_of(log->pod, name, log->wants.container, log->container, err);
    if (!ret)
        ret = open_first(log, err);
    if (ret) {
        husk_pod_log_close(log);
        return ret;
    }
    log->wants.container = NULL; /* the caller's text */
    *out = log;
    return 0;
}

void husk_pod_log_close(struct husk_pod_log *log)
{
    if (!log)
        return;
    log_view_close(&log->view);
    close_fd(&log->watch);
    close_fd(&log->dir);
    entry_close(log->pod);
    free(log);
}

int husk_pod_log_fd(const struct husk_pod_log *log)
{
    return log->watch;
}

/* ---- reading ---- */

/* Whether the record says that the container runs, or may once more. */
static bool goes_on(const struct husk_pod_log *log)
{
    json_t *pod = NULL;
    bool on = true;

    if (pods_object(log->pod, &pod, NULL))
        return true; /* being replaced, or removed: the next look tells */
    on = pods_container_goes_on(pod, log->container);
    json_decref(pod);
    return on;
}

/* Whether nothing more will come; what was written before is then still to be read. */
static bool is_over(struct husk_pod_log *log)
{
    if (!entry_alive(log->pod))
        return true;
    if (goes_on(log)) {
        log->ending = false;
    } else if (!log->ending) {
        log->ending = true;
        log->quiet = deadline_in(QUIET_MS);
    }
    return log->ending && deadline_passed(&log->quiet);
}

static int take_line(struct husk_pod_log *log, struct husk_pod_log_line *line)
{
    struct log_line record;
    int ret = log_view_next(&log->view, &record);

    if (ret != 1)
        return ret;
    log->ending = false;
    *line = (struct husk_pod_log_line){.text = record.text,
                                       .len = record.len,
                                       .is_error = record.is_error,
                                       .is_partial = record.partial};
    memcpy(line->time, record.time, LOG_TIME_LENGTH);
    return 1;
}

/* Nothing is left of this run: goes to the next, or finds the end. 1: read on. */
static int turn_over(struct husk_pod_log *log)
{
    int64_t next = following_run(log->dir, log->run);
    int ret;

    if (next == NO_RUN) {
        if (log->over)
            return 0;
        log->over = is_over(log);
        return log->over;
    }
    if (!log->next_seen) {
        log->next_seen = true;
        return 1;
    }
    log_view_close(&log->view);
    ret = open_run(log, next, -1);
    return ret ? ret : 1;
}

int husk_pod_log_next(struct husk_pod_log *log, int64_t timeout_ms, struct husk_pod_log_line *line,
                      struct husk_error *err)
{
    struct deadline deadline = deadline_in(timeout_ms);
    char events[4096];

    for (;;) {
        struct pollfd wait = {.fd = log->watch, .events = POLLIN};
        int ret;

        while (log->watch >= 0 && read(log->watch, events, sizeof(events)) > 0)
            ;
        ret = take_line(log, line);
        if (ret == 0 && log->wants.follow) {
            ret = turn_over(log);
            if (ret == 1)
                continue;
        }
        if (ret < 0)
            return error_set(err, -ret, log->container, "its log cannot be read", NULL);
        if (ret)
            return 1;
        if (!log->wants.follow || log->over)
            return -ENODATA;
        if (deadline_passed(&deadline))
            return 0;
        ret = deadline_poll_ms(&deadline);
        (void)poll(&wait, 1, ret < 0 || ret > LOOK_MS ? LOOK_MS : ret);
    }
}
