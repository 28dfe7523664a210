// SPDX-License-Identifier: Apache-2.0
/* Answers that take as long as there is something to say: logs and events. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/node/visit.h"

#define NS_PER_S 1000000000ll

int visit_begin_stream(struct visit *visit, const char *content_type, int *fd)
{
    struct http_response response = HTTP_RESPONSE_INIT;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    response.status = 200;
    response.content_type = content_type;
    response.stream_fd = pair[0];
    *fd = pair[1];
    visit_answer(visit, &response);
    return 0;
}

/* Until `fd` has one of `events`. False: the agent ends, or the client has gone. */
static bool wait_for(struct visit *visit, int fd, short events, int other_fd)
{
    struct pollfd fds[] = {{.fd = visit->stop_fd, .events = POLLIN},
                           {.fd = fd, .events = events},
                           {.fd = other_fd, .events = POLLIN}};

    while (poll(fds, 3, -1) < 0) {
        if (errno != EINTR)
            return false;
    }
    return !fds[0].revents && !(fds[1].revents & (POLLHUP | POLLERR));
}

int visit_write(struct visit *visit, int fd, const void *bytes, size_t len)
{
    const char *at = bytes;

    while (len) {
        ssize_t n = send(fd, at, len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN && wait_for(visit, fd, POLLOUT, -1))
            continue;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ECANCELED : -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

/* ---- logs ---- */

static int write_line(struct visit *visit, int fd, const struct husk_pod_log_line *line)
{
    bool timed = visit->parameters.timestamps;
    size_t time_len = timed ? strlen(line->time) : 0, at = 0;
    char *text = malloc(time_len + 1 + line->len + 1);
    int ret;

    if (!text)
        return -ENOMEM;
    if (timed) {
        memcpy(text, line->time, time_len);
        text[time_len] = ' ';
        at = time_len + 1;
    }
    memcpy(text + at, line->text, line->len);
    at += line->len;
    /* A part of a line with its time is a line of its own, so that the time can be told. */
    if (!line->is_partial || timed)
        text[at++] = '\n';
    ret = visit_write(visit, fd, text, at);
    free(text);
    return ret;
}

static void write_log(struct visit *visit, struct husk_pod_log *log, int fd)
{
    struct husk_pod_log_line line;
    int ret;

    while ((ret = husk_pod_log_next(log, 0, &line, NULL)) >= 0) {
        if (ret == 1 && write_line(visit, fd, &line))
            return;
        if (ret == 0 && (husk_pod_log_fd(log) < 0 || !wait_for(visit, fd, 0, husk_pod_log_fd(log))))
            return;
    }
}

void visit_log(struct visit *visit)
{
    const struct parameters *parameters = &visit->parameters;
    struct husk_pod_log_options options = HUSK_POD_LOG_OPTIONS_INIT;
    struct husk_error err = {0};
    struct husk_pod_log *log;
    int fd = -1;

    options.container = parameters->container;
    options.previous = parameters->previous;
    options.follow = parameters->follow;
    options.tail = parameters->has_tail;
    options.tail_lines = parameters->tail_lines;
    if (parameters->since_seconds >= 0)
        options.since_ns = realtime_ns() - parameters->since_seconds * NS_PER_S;
    if (husk_pod_log_open(visit->pods, visit->name, &options, &log, &err)) {
        visit_error(visit, &err);
        return;
    }
    if (visit_begin_stream(visit, "text/plain", &fd)) {
        visit_refuse(visit, 500, "there is no descriptor left");
    } else {
        write_log(visit, log, fd);
        close(fd);
    }
    husk_pod_log_close(log);
}

/* ---- events ---- */

/* The last line of a stream that was too slow, or of an agent without memory. */
static void write_end(struct visit *visit, int fd, int ret)
{
    bool gone = ret == -ESTALE;
    char *status = status_object(gone ? 410 : 500, NULL, gone ? events_gone : "out of memory");
    char *line = NULL;

    if (status && asprintf(&line, "{\"type\":\"ERROR\",\"object\":%s}\n", status) > 0)
        (void)visit_write(visit, fd, line, strlen(line));
    free(line);
    free(status);
}

static void write_events(struct visit *visit, int fd, int wake_fd)
{
    uint64_t after = visit->parameters.after;
    char *line;
    int ret;

    do {
        eventfd_drain(wake_fd);
        while ((ret = events_next(visit->options->events, &after, &line)) == 0) {
            ret = visit_write(visit, fd, line, strlen(line));
            free(line);
            if (ret)
                return;
        }
        if (ret != -EAGAIN) {
            write_end(visit, fd, ret);
            return;
        }
    } while (wait_for(visit, fd, 0, wake_fd));
}

void visit_events(struct visit *visit)
{
    int wake_fd = eventfd_open(), fd = -1;

    if (wake_fd < 0 || !events_follow(visit->options->events, wake_fd)) {
        visit_refuse(visit, 429, "too many follow the events");
    } else {
        if (events_check(visit->options->events, visit->parameters.after)) {
            visit_refuse(visit, 410, events_gone);
        } else if (visit_begin_stream(visit, "application/json", &fd)) {
            visit_refuse(visit, 500, "there is no descriptor left");
        } else {
            write_events(visit, fd, wake_fd);
            close(fd);
        }
        events_unfollow(visit->options->events, wake_fd);
    }
    close_fd(&wake_fd);
}
