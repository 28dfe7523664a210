// SPDX-License-Identifier: Apache-2.0
/*
 * See action.h. A connection that was made is all that tcpSocket wants; httpGet writes its request
 * into it and reads until there is a status line.
 */
#include "pod/lifecycle/action.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/lifecycle/http.h"

#define SECOND_NS UINT64_C(1000000000)

struct action {
    struct action_host host;
    json_t *handler; /* a reference of its own */
    action_fn done;
    void *arg;
    void *host_data;
    bool begun; /* by the host, and not ended */
    struct event_timer *timer;
    char address[64];
    uint16_t port;
    const json_t *http; /* of httpGet: the handler's */
    int fd;
    struct event_source *source;
    char *request;
    size_t sent, len; /* of the request; of what is in `line` */
    char line[HTTP_LINE_MAX];
};

static void destroy(struct action *action)
{
    if (action->begun)
        action->host.cancel(action->host.arg, action);
    event_source_remove(action->source);
    event_timer_remove(action->timer);
    close_fd(&action->fd);
    free(action->request);
    json_decref(action->handler);
    free(action);
}

static void finish(struct action *action, enum action_result result, const char *text)
{
    action_fn done = action->done;
    void *arg = action->arg;

    destroy(action);
    done(arg, result, text);
}

static void fail(struct action *action, const char *what, const char *why)
{
    char text[ACTION_TEXT_BYTES];

    snprintf(text, sizeof(text), "%s: %s", what, why);
    finish(action, ACTION_FAILED, text);
}

static void on_timer(void *arg)
{
    struct action *action = arg;

    if (json_object_get(action->handler, "sleep"))
        finish(action, ACTION_SUCCEEDED, "");
    else
        finish(action, ACTION_FAILED, "no answer in time");
}

/* ---- HTTP ---- */

static void read_answer(struct action *action)
{
    ssize_t len = recv(action->fd, action->line + action->len, sizeof(action->line) - action->len,
                       MSG_DONTWAIT);
    char text[ACTION_TEXT_BYTES];
    int status;

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        fail(action, "httpGet", len ? error_text(errno) : "the connection ended without an answer");
        return;
    }
    action->len += (size_t)len;
    status = http_status(action->line, action->len);
    if (status == 0)
        return;
    if (status < 0) {
        fail(action, "httpGet", "the answer is no HTTP");
        return;
    }
    snprintf(text, sizeof(text), "HTTP probe failed with statuscode: %d", status);
    finish(action, status >= 200 && status < 400 ? ACTION_SUCCEEDED : ACTION_FAILED, text);
}

static void on_http(void *arg, uint32_t events)
{
    struct action *action = arg;
    size_t whole = strlen(action->request);
    ssize_t len;

    (void)events;
    if (action->sent == whole) {
        read_answer(action);
        return;
    }
    len = send(action->fd, action->request + action->sent, whole - action->sent,
               MSG_DONTWAIT | MSG_NOSIGNAL);
    if (len < 0 && errno != EAGAIN && errno != EINTR) {
        fail(action, "httpGet", error_text(errno));
        return;
    }
    action->sent += len > 0 ? (size_t)len : 0;
    if (action->sent == whole)
        event_source_watch(action->source, EPOLLIN);
}

static void begin_http(struct action *action)
{
    int ret;

    action->request = http_request(action->http, action->address, action->port);
    ret = action->request ? event_loop_add(action->host.loop, action->fd, EPOLLOUT, on_http, action,
                                           &action->source)
                          : -ENOMEM;
    if (ret)
        finish(action, ACTION_UNKNOWN, error_text(-ret));
}

/* ---- what the host says ---- */

void action_connected(struct action *action, int fd)
{
    const char *kind = action->http ? "httpGet" : "tcpSocket";

    action->begun = false;
    if (fd < 0) {
        fail(action, kind, error_text(-fd));
        return;
    }
    action->fd = fd;
    if (action->http)
        begin_http(action);
    else
        finish(action, ACTION_SUCCEEDED, "");
}

void action_executed(struct action *action, int exit_code, const char *output)
{
    char text[ACTION_TEXT_BYTES];

    action->begun = false;
    if (exit_code < 0) {
        fail(action, "exec", error_text(-exit_code));
        return;
    }
    if (output && *output)
        snprintf(text, sizeof(text), "%.200s", output);
    else
        snprintf(text, sizeof(text), "command exited with %d", exit_code);
    make_printable(text);
    finish(action, exit_code == 0 ? ACTION_SUCCEEDED : ACTION_FAILED, text);
}

void action_set_host_data(struct action *action, void *data)
{
    action->host_data = data;
}

void *action_host_data(const struct action *action)
{
    return action->host_data;
}

/* ---- start ---- */

/* A number, or the name of one of the container's ports. */
static int find_port(const json_t *port, const json_t *container, uint16_t *out)
{
    const char *name = json_string_value(port);
    json_int_t number = json_integer_value(port);
    const json_t *one;
    size_t index;

    json_array_foreach(json_object_get(container, "ports"), index, one)
    {
        const char *this = json_string_value(json_object_get(one, "name"));

        if (name && this && !strcmp(name, this))
            number = json_integer_value(json_object_get(one, "containerPort"));
    }
    if (number < 1 || number > UINT16_MAX)
        return -EINVAL;
    *out = (uint16_t)number;
    return 0;
}

/* Manifests have no other name than "localhost". */
static int find_address(struct action *action, const struct action_options *options,
                        const json_t *where)
{
    const char *host = json_string_value(json_object_get(where, "host"));

    if (!host)
        host = options->address;
    else if (!strcmp(host, "localhost"))
        host = "127.0.0.1";
    if (strlen(host) >= sizeof(action->address))
        return -EINVAL;
    memcpy(action->address, host, strlen(host) + 1);
    return find_port(json_object_get(where, "port"), options->container, &action->port);
}

static int begin(struct action *action, const struct action_options *options)
{
    const json_t *handler = action->handler, *where, *exec;
    const struct action_host *host = &action->host;
    int ret;

    exec = json_object_get(handler, "exec");
    action->http = json_object_get(handler, "httpGet");
    where = action->http ? action->http : json_object_get(handler, "tcpSocket");
    if (exec) {
        ret = host->exec(host->arg, action, json_object_get(exec, "command"));
    } else if (where) {
        ret = find_address(action, options, where);
        if (ret == 0)
            ret = host->connect(host->arg, action, action->address, action->port);
    } else {
        return json_object_get(handler, "sleep") ? 0 : -EINVAL;
    }
    action->begun = ret == 0;
    return ret;
}

static void arm(struct action *action, uint64_t timeout_ns)
{
    const json_t *sleep = json_object_get(action->handler, "sleep");
    json_int_t seconds = json_integer_value(json_object_get(sleep, "seconds"));

    if (sleep)
        event_timer_arm(action->timer, seconds > 0 ? (uint64_t)seconds * SECOND_NS : 0);
    else if (timeout_ns)
        event_timer_arm(action->timer, timeout_ns);
}

int action_start(const struct action_host *host, const struct action_options *options,
                 struct action **out)
{
    struct action *action = calloc(1, sizeof(*action));
    int ret;

    if (!action)
        return -ENOMEM;
    action->host = *host;
    action->handler = json_incref((json_t *)options->handler);
    action->done = options->done;
    action->arg = options->arg;
    action->fd = -1;
    ret = event_loop_add_timer(host->loop, on_timer, action, &action->timer);
    if (ret == 0)
        ret = begin(action, options);
    if (ret) {
        destroy(action);
        return ret;
    }
    arm(action, options->timeout_ns);
    *out = action;
    return 0;
}

void action_cancel(struct action *action)
{
    if (action)
        destroy(action);
}
