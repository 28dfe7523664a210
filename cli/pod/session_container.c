// SPDX-License-Identifier: Apache-2.0
/* A session with a container's supervisor: see session_container.h. */
#include "cli/pod/session_container.h"

#include <errno.h>

#include "base/error.h"
#include "cli/pod/pod.h"

void session_container_begin(struct session *session, struct session_container *peer,
                             struct control_client *client, const char *process)
{
    *peer = (struct session_container){.client = client, .process = process};
    session->ops = &session_container_ops;
    session->peer = peer;
    session->further = process != NULL;
}

void session_container_clear(struct session_container *peer)
{
    control_message_clear(&peer->message);
}

int session_container_streams(struct session *session, struct control_message *answer,
                              struct husk_error *err)
{
    const json_t *names = json_object_get(answer->body, "streams");

    if (json_array_size(names) != answer->fd_count)
        return error_set(err, EPROTO, "the supervisor", "cannot be understood",
                         "it sent other streams than it said");
    for (unsigned i = 0; i < answer->fd_count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        int fd = answer->fds[i];
        int ret;

        answer->fds[i] = -1;
        ret = session_add_stream(session, name ? name : "", fd);
        if (ret)
            return error_set(err, -ret, name, "cannot be connected", NULL);
    }
    return 0;
}

static int begin(void *arg, bool start, struct husk_error *err)
{
    struct session_container *peer = arg;
    json_t *params = peer->process ? json_pack("{s:s}", "process", peer->process) : NULL;
    int ret = 0;

    peer->start = start;
    if (start)
        ret = control_client_send(peer->client, "start", NULL, &peer->start_id, err);
    if (ret) {
        json_decref(params);
        return ret;
    }
    return control_client_send(peer->client, "wait", params, &peer->wait_id, err);
}

static int descriptor(void *arg)
{
    const struct session_container *peer = arg;

    return control_client_fd(peer->client);
}

/* A request whose answer does not matter: the process may have ended meanwhile. */
static void ask(struct session_container *peer, const char *method, json_t *params)
{
    uint64_t id;

    if (peer->process && params)
        json_object_set_new(params, "process", json_string(peer->process));
    control_client_send(peer->client, method, params, &id, NULL);
}

static void resize(void *arg, uint16_t columns, uint16_t rows)
{
    ask(arg, "resize", json_pack("{s:i, s:i}", "columns", columns, "rows", rows));
}

static void send_signal(void *arg, int number)
{
    ask(arg, "kill", json_pack("{s:i}", "signal", number));
}

static void stop(void *arg, int number, unsigned grace_ms)
{
    json_t *params = json_pack("{s:i}", "grace_ms", (int)grace_ms);

    if (number && params)
        json_object_set_new(params, "signal", json_integer(number));
    ask(arg, "stop", params);
}

static void read_end(const struct control_message *message, struct session_news *news)
{
    const char *why = json_string_value(json_object_get(message->body, "error"));

    news->kind = SESSION_ENDED;
    news->error = message->error;
    if (news->error.code || pod_exit_status(message->body, &news->status, &news->error)) {
        news->status = STATUS_OURS;
        return;
    }
    if (why && why[0])
        news->remark = why;
    else if (json_is_true(json_object_get(message->body, "oom")))
        news->remark = "ended for want of memory (see -m)";
}

static int next(void *arg, struct session_news *news, struct husk_error *err)
{
    struct session_container *peer = arg;
    struct control_message *message = &peer->message;
    int ret;

    control_message_clear(message);
    ret = control_client_receive(peer->client, false, message, err);
    if (ret <= 0)
        return ret;
    *news = (struct session_news){.kind = SESSION_NOTHING};
    if (message->is_event)
        return 1;
    if (message->id == peer->wait_id) {
        read_end(message, news);
    } else if (peer->start && message->id == peer->start_id) {
        news->kind = message->error.code ? SESSION_REFUSED : SESSION_STARTED;
        news->error = message->error;
        news->status = message->status ? message->status : STATUS_OURS;
    }
    return 1;
}

const struct session_ops session_container_ops = {
    .begin = begin,
    .fd = descriptor,
    .next = next,
    .resize = resize,
    .signal = send_signal,
    .stop = stop,
};
