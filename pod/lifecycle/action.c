// SPDX-License-Identifier: Apache-2.0
/*
 * See action.h. A connection that was made is all that tcpSocket wants; httpGet fetches its answer,
 * and goes on to where that leads, with another connection. For grpc a speaker does everything.
 */
#include "pod/lifecycle/action.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/lifecycle/fetch.h"
#include "pod/lifecycle/speech.h"

#define SECOND_NS     UINT64_C(1000000000)
#define REDIRECTS_MAX 10u

struct action {
    struct action_host host;
    json_t *handler; /* a reference of its own */
    action_fn done;
    void *arg;
    void *host_data;
    bool begun; /* by the host, and not ended */
    struct event_timer *timer;
    const json_t *http, *grpc; /* the handler's, if it is of that kind */
    struct http_target target;
    bool own_host; /* the Host is that of the handler's headers, if one is */
    unsigned redirects;
    struct fetch *fetch;
    struct speaker *speaker; /* of TLS on the connection of `fetch`, or of grpc */
    int plain_fd;            /* of grpc: closed on the other side when the speaker ends */
    struct event_source *plain;
};

/* -1 when there is none. */
static int hush(struct action *action)
{
    struct speaker *speaker = action->speaker;

    action->speaker = NULL;
    return speaker ? action->host.hush(action->host.arg, speaker) : -1;
}

static void destroy(struct action *action)
{
    if (action->begun)
        action->host.cancel(action->host.arg, action);
    fetch_destroy(action->fetch);
    event_source_remove(action->plain);
    close_fd(&action->plain_fd);
    (void)hush(action);
    event_timer_remove(action->timer);
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

/* It could not be done, which says nothing of what it was to be done with. */
static void be_unable(struct action *action, const struct husk_error *error)
{
    char text[ACTION_TEXT_BYTES];

    finish(action, ACTION_UNKNOWN, error_format(error, text, sizeof(text)));
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

/* Manifests have no other name than "localhost". */
static int connect_to_target(struct action *action)
{
    const struct http_target *target = &action->target;
    const char *address = strcmp(target->host, "localhost") != 0 ? target->host : "127.0.0.1";
    int ret = action->host.connect(action->host.arg, action, address, target->port);

    action->begun = ret == 0;
    return ret;
}

/* 301, 302, 303, 307 and 308 with a place to go to (RFC 9110, 15.4). */
static bool is_redirect(const struct http_answer *answer)
{
    return answer->location[0] && ((answer->status >= 301 && answer->status <= 303) ||
                                   answer->status == 307 || answer->status == 308);
}

static void take_status(struct action *action, int status)
{
    char text[ACTION_TEXT_BYTES];

    snprintf(text, sizeof(text), "HTTP probe failed with statuscode: %d", status);
    if (status >= 300 && status < 400)
        finish(action, ACTION_WARNED, "Probe terminated redirects");
    else
        finish(action, status >= 200 && status < 300 ? ACTION_SUCCEEDED : ACTION_FAILED, text);
}

/* The next of up to ten requests, as Go's client counts them; kubelets stay with the first host. */
static void redirect(struct action *action, const struct http_answer *answer)
{
    struct http_target next = action->target;
    bool named;
    int ret = http_follow(&next, answer->location, &named);

    if (ret == -EXDEV) {
        take_status(action, answer->status);
    } else if (ret) {
        fail(action, "httpGet", "the answer leads to something that is no http or https address");
    } else if (++action->redirects >= REDIRECTS_MAX) {
        fail(action, "httpGet", "stopped after 10 redirects");
    } else {
        action->target = next;
        action->own_host &= !named;
        fetch_destroy(action->fetch);
        action->fetch = NULL;
        (void)hush(action);
        ret = connect_to_target(action);
        if (ret)
            fail(action, "httpGet", error_text(-ret));
    }
}

static void on_answer(void *arg, int ret, const struct http_answer *answer)
{
    struct action *action = arg;
    const char *why = ret ? speech_failure(hush(action)) : NULL;

    if (why)
        fail(action, "httpGet", why);
    else if (ret == -ENODATA)
        fail(action, "httpGet", "the connection ended without an answer");
    else if (ret == -EPROTO)
        fail(action, "httpGet", "the answer is no HTTP, or is cut short");
    else if (ret)
        fail(action, "httpGet", error_text(-ret));
    else if (is_redirect(answer))
        redirect(action, answer);
    else
        take_status(action, answer->status);
}

/* *fd becomes what is inside of TLS. */
static int enter_tls(struct action *action, int *fd, struct husk_error *err)
{
    const struct action_host *host = &action->host;
    struct probe_request request;
    int outer = *fd;

    *fd = -1;
    speech_tls(action->target.host, &request);
    return host->speak(host->arg, &request, outer, fd, &action->speaker, err);
}

static void begin_http(struct action *action, int fd)
{
    char *request = http_request(json_object_get(action->http, "httpHeaders"), &action->target,
                                 action->own_host);
    struct husk_error error = {0};
    int ret = request ? 0 : error_set(&error, ENOMEM, "httpGet", "cannot ask", NULL);

    if (ret == 0 && action->target.tls)
        ret = enter_tls(action, &fd, &error);
    if (ret == 0) {
        ret = fetch_start(action->host.loop, fd, request, on_answer, action, &action->fetch);
        if (ret)
            error_set(&error, -ret, "httpGet", "cannot ask", NULL);
    } else {
        free(request);
        close_fd(&fd);
    }
    if (ret)
        be_unable(action, &error);
}

/* ---- gRPC ---- */

static void on_spoken(void *arg, uint32_t events)
{
    struct action *action = arg;
    char why[ACTION_TEXT_BYTES - 8];

    (void)events; /* there is nothing to read */
    if (speech_is_serving(hush(action), why, sizeof(why)))
        finish(action, ACTION_SUCCEEDED, "service healthy");
    else
        fail(action, "grpc", why);
}

static void begin_grpc(struct action *action, int fd)
{
    const struct action_host *host = &action->host;
    const char *service = json_string_value(json_object_get(action->grpc, "service"));
    struct husk_error error = {0};
    struct probe_request request;
    int ret;

    speech_grpc(service ? service : "", action->target.host, action->target.port, &request);
    ret = host->speak(host->arg, &request, fd, &action->plain_fd, &action->speaker, &error);
    if (ret == 0) {
        ret = event_loop_add(host->loop, action->plain_fd, EPOLLIN, on_spoken, action,
                             &action->plain);
        if (ret)
            error_set(&error, -ret, "grpc", "cannot ask", NULL);
    }
    if (ret)
        be_unable(action, &error);
}

/* ---- what the host says ---- */

void action_connected(struct action *action, int fd)
{
    const char *kind = action->http ? "httpGet" : action->grpc ? "grpc" : "tcpSocket";

    action->begun = false;
    if (fd < 0) {
        fail(action, kind, error_text(-fd));
        return;
    }
    if (action->http) {
        begin_http(action, fd);
        return;
    }
    if (action->grpc) {
        begin_grpc(action, fd);
        return;
    }
    close_fd(&fd);
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

static int find_target(struct action *action, const struct action_options *options,
                       const json_t *where)
{
    const char *host = json_string_value(json_object_get(where, "host"));
    struct http_target *target = &action->target;
    int ret;

    if (!host)
        host = options->address;
    if (strlen(host) >= sizeof(target->host))
        return -EINVAL;
    memcpy(target->host, host, strlen(host) + 1);
    target->tls = speech_is_tls(where);
    ret = http_set_path(target, json_string_value(json_object_get(where, "path")));
    return ret ? -EINVAL
               : find_port(json_object_get(where, "port"), options->container, &target->port);
}

static int begin(struct action *action, const struct action_options *options)
{
    const json_t *handler = action->handler, *where, *exec;
    const struct action_host *host = &action->host;
    int ret;

    exec = json_object_get(handler, "exec");
    action->http = json_object_get(handler, "httpGet");
    action->grpc = json_object_get(handler, "grpc");
    where = action->http   ? action->http
            : action->grpc ? action->grpc
                           : json_object_get(handler, "tcpSocket");
    if (exec) {
        ret = host->exec(host->arg, action, json_object_get(exec, "command"));
    } else if (where) {
        ret = find_target(action, options, where);
        return ret ? ret : connect_to_target(action);
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
    action->own_host = true;
    action->plain_fd = -1;
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
