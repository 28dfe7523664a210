// SPDX-License-Identifier: Apache-2.0
/* Work in processes of its own: see job.h. All are in the agent's list. */
#include "guest/agent/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/pending.h"

#define CHUNK 16384

/* Descriptors of its process. */
enum { KEPT_FD = 3, KEPT_OUT, KEPT_END };

struct job {
    struct job *next;
    struct agent *agent;
    struct pending *pending;
    char subject[192];
    int pidfd, fd;
    struct event_source *source;
    struct event_timer *timer;
    char *text;
    size_t len;
};

/* Its process has ended, or will when it can; whoever reaps orphans reaps it. */
static void destroy(struct job *job)
{
    struct job **at = &job->agent->jobs;

    while (*at && *at != job)
        at = &(*at)->next;
    if (*at) {
        *at = job->next;
        job->agent->job_count--;
    }
    if (job->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, job->pidfd, SIGKILL, NULL, 0);
    event_source_remove(job->source);
    event_timer_remove(job->timer);
    close_fd(&job->pidfd);
    close_fd(&job->fd);
    free(job->text);
    free(job);
}

static void fail(struct job *job, int code, const char *why)
{
    struct husk_error error;

    error_set(&error, code, job->subject, "cannot be finished", "%s", why);
    pending_refuse(job->pending, &error);
    destroy(job);
}

/* An error as the process has written it. */
static void refuse(struct job *job, const json_t *said)
{
    const char *where = json_string_value(json_object_get(said, "where"));
    const char *what = json_string_value(json_object_get(said, "what"));
    const char *why = json_string_value(json_object_get(said, "why"));
    json_int_t code = json_integer_value(json_object_get(said, "code"));
    struct husk_error error;

    error_set(&error, code > 0 && code < 4096 ? (int)code : EIO, where ? where : job->subject,
              what ? what : "failed", "%s", why ? why : "");
    make_printable(error.where);
    make_printable(error.what);
    make_printable(error.why);
    pending_refuse(job->pending, &error);
    destroy(job);
}

static void finish(struct job *job)
{
    json_t *said = json_loadb(job->text, job->len, JSON_REJECT_DUPLICATES, NULL);
    json_t *result = json_object_get(said, "result");

    if (json_is_object(result)) {
        pending_answer(job->pending, json_incref(result));
        destroy(job);
    } else if (said) {
        refuse(job, json_object_get(said, "error"));
    } else {
        fail(job, ECHILD, "its process has died");
    }
    json_decref(said);
}

static void on_readable(void *arg, uint32_t events)
{
    struct job *job = arg;
    char *grown = realloc(job->text, job->len + CHUNK);
    ssize_t got;

    if (!grown) {
        fail(job, ENOMEM, "no memory");
        return;
    }
    job->text = grown;
    if (job->len > JOB_ANSWER_MAX) {
        fail(job, E2BIG, "the answer is too long");
        return;
    }
    got = read(job->fd, job->text + job->len, CHUNK);
    if (got > 0)
        job->len += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        finish(job);
}

static void on_late(void *arg)
{
    fail(arg, ETIMEDOUT, "it takes too long");
}

static json_t *error_json(const struct husk_error *error)
{
    return json_pack("{s:{s:i, s:s, s:s, s:s}}", "error", "code", error->code, "where",
                     error->where, "what", error->what, "why", error->why);
}

/* What stays open here could not end: streams, connections. */
static void keep_two(int fd, int out)
{
    int high_fd = fcntl(fd, F_DUPFD_CLOEXEC, KEPT_END);
    int high_out = fcntl(out, F_DUPFD_CLOEXEC, KEPT_END);

    if (high_fd < 0 || high_out < 0 || dup2(high_fd, KEPT_FD) < 0 || dup2(high_out, KEPT_OUT) < 0 ||
        syscall(SYS_close_range, KEPT_END, ~0u, 0) < 0)
        _exit(1);
}

static void __attribute__((noreturn)) work(const struct job_order *order, int out)
{
    struct husk_error error = {.code = 0};
    json_t *result = json_object(), *answer;

    keep_two(order->fd, out);
    if (!result)
        _exit(1);
    answer = order->fn(KEPT_FD, order->arg, result, &error) ? error_json(&error)
                                                            : json_pack("{s:o}", "result", result);
    if (!answer || json_dumpfd(answer, KEPT_OUT, JSON_COMPACT))
        _exit(1);
    _exit(0);
}

static int start_process(struct job *job, const struct job_order *order)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    child = fork();
    if (child == 0)
        work(order, ends[1]);
    close(ends[1]);
    job->fd = ends[0];
    if (child < 0)
        return -errno;
    job->pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (job->pidfd < 0) {
        int ret = -errno;

        kill(child, SIGKILL);
        return ret;
    }
    return fcntl(job->fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int job_begin(struct request *request, const struct job_order *order, struct husk_error *err)
{
    const char *subject = order->subject;
    struct agent *agent = request->agent;
    struct job *job;
    int ret;

    if (agent->job_count >= JOBS_MAX)
        return error_set(err, ENOSPC, subject, "cannot be begun", "%d others are under way",
                         JOBS_MAX);
    job = calloc(1, sizeof(*job));
    if (!job)
        return error_set(err, ENOMEM, subject, "cannot be begun", NULL);
    *job = (struct job){.next = agent->jobs, .agent = agent, .pidfd = -1, .fd = -1};
    snprintf(job->subject, sizeof(job->subject), "%s", subject);
    agent->jobs = job;
    agent->job_count++;
    ret = start_process(job, order);
    if (!ret)
        ret = event_loop_add(agent->loop, job->fd, EPOLLIN, on_readable, job, &job->source);
    if (!ret)
        ret = event_loop_add_timer(agent->loop, on_late, job, &job->timer);
    if (ret) {
        destroy(job);
        return error_set(err, -ret, subject, "cannot be begun", NULL);
    }
    job->pending = pending_begin(request, err);
    if (!job->pending) {
        destroy(job);
        return -ENOMEM;
    }
    event_timer_arm(job->timer, order->patience_ms * 1000000ull);
    return 0;
}

void job_end_all(struct agent *agent)
{
    struct job *next;

    for (struct job *at = agent->jobs; at; at = next) {
        next = at->next;
        destroy(at);
    }
}
