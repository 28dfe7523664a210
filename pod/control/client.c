// SPDX-License-Identifier: Apache-2.0
/* A client of the control socket: see client.h. */
#include "pod/control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/agent/answer.h"
#include "pod/agent/frame.h"

#define PEER     "the supervisor"
#define KEPT_MAX 1024u /* messages that nobody has asked for yet */

struct kept {
    STAILQ_ENTRY(kept) next;
    struct control_message message;
};

struct control_client {
    int fd;
    uint64_t next_id;
    struct frame_reader reader;
    STAILQ_HEAD(kept_list, kept)
    kept; /* came while control_client_call() waited for something else */
    unsigned kept_count;
};

void control_message_clear(struct control_message *message)
{
    json_decref(message->body);
    for (unsigned i = 0; i < message->fd_count; i++)
        close_fd(&message->fds[i]);
    *message = (struct control_message){.body = NULL};
}

void control_client_close(struct control_client *client)
{
    struct kept *kept;

    if (!client)
        return;
    while ((kept = STAILQ_FIRST(&client->kept))) {
        STAILQ_REMOVE_HEAD(&client->kept, next);
        control_message_clear(&kept->message);
        free(kept);
    }
    frame_reader_clear(&client->reader);
    close_fd(&client->fd);
    free(client);
}

int control_client_fd(const struct control_client *client)
{
    return client->fd;
}

static void wait_for(const struct control_client *client, short events)
{
    struct pollfd wait = {.fd = client->fd, .events = events};

    (void)poll(&wait, 1, -1); /* who is interrupted tries again */
}

static int send_frame(struct control_client *client, const json_t *message, struct husk_error *err)
{
    struct frame_writer writer = {.limit = CONTROL_FRAME_MAX + FRAME_HEADER_SIZE};
    int ret = frame_queue(&writer, message, CONTROL_FRAME_MAX);

    while (ret == 0 && frame_waiting(&writer)) {
        ret = frame_flush(&writer, client->fd);
        if (ret == 0 && frame_waiting(&writer))
            wait_for(client, POLLOUT);
    }
    frame_writer_clear(&writer);
    if (ret == -EPIPE)
        ret = -ECONNRESET;
    return ret ? error_set(err, -ret, PEER, "cannot be asked", NULL) : 0;
}

/* One frame: 1, 0 when there is none yet, or -errno. */
static int read_frame(struct control_client *client, bool wait, json_t **out,
                      struct husk_error *err)
{
    while (true) {
        int ret = frame_read(&client->reader, client->fd, PEER, out, err);

        if (ret == -ENODATA)
            return error_set(err, ECONNRESET, PEER, "is gone", "it has ended the connection");
        if (ret || !wait)
            return ret;
        wait_for(client, POLLIN);
    }
}

static int protocol_error(struct husk_error *err, const char *why)
{
    return error_set(err, EPROTO, PEER, "breaks the protocol", "%s", why);
}

/* ---- messages ---- */

static int take_fds(struct control_client *client, struct control_message *out)
{
    int fds[FRAME_FDS_MAX];
    unsigned count = frame_take_fds(&client->reader, fds);

    for (unsigned i = 0; i < count; i++) {
        if (i < CONTROL_FDS_MAX)
            out->fds[out->fd_count++] = fds[i];
        else
            close_fd(&fds[i]);
    }
    return count > CONTROL_FDS_MAX ? -EPROTO : 0;
}

static int take_error(const json_t *error, struct control_message *out)
{
    json_int_t status = json_integer_value(json_object_get(error, "status"));

    if (status > 0 && status <= UINT8_MAX)
        out->status = (int)status;
    if (agent_read_error(error, &out->error) == -EPROTO)
        return -EPROTO;
    return 0;
}

static int take_message(struct control_client *client, json_t *frame, struct control_message *out,
                        struct husk_error *err)
{
    const json_t *id = json_object_get(frame, "id"), *error = json_object_get(frame, "error");
    json_t *result = json_object_get(frame, "result");

    *out = (struct control_message){.body = NULL};
    if (take_fds(client, out))
        return protocol_error(err, "too many descriptors with one message");
    if (json_is_string(json_object_get(frame, "event"))) {
        out->is_event = true;
        out->body = json_incref(frame);
        return 0;
    }
    if (!json_is_integer(id) || json_integer_value(id) < 0)
        return protocol_error(err, "a message is neither an answer nor an event");
    out->id = (uint64_t)json_integer_value(id);
    if (json_is_object(result))
        out->body = json_incref(result);
    else if (!json_is_object(error) || take_error(error, out))
        return protocol_error(err, "an answer has neither a result nor an error");
    return 0;
}

static int next_message(struct control_client *client, bool wait, struct control_message *out,
                        struct husk_error *err)
{
    json_t *frame;
    int ret = read_frame(client, wait, &frame, err);

    if (ret <= 0)
        return ret;
    ret = take_message(client, frame, out, err);
    json_decref(frame);
    if (ret) {
        control_message_clear(out);
        return ret;
    }
    return 1;
}

int control_client_receive(struct control_client *client, bool wait, struct control_message *out,
                           struct husk_error *err)
{
    struct kept *kept = STAILQ_FIRST(&client->kept);

    if (!kept)
        return next_message(client, wait, out, err);
    STAILQ_REMOVE_HEAD(&client->kept, next);
    client->kept_count--;
    *out = kept->message;
    free(kept);
    return 1;
}

bool control_client_has_kept(const struct control_client *client)
{
    return client->kept_count > 0;
}

static int keep(struct control_client *client, struct control_message *message,
                struct husk_error *err)
{
    struct kept *kept = client->kept_count < KEPT_MAX ? calloc(1, sizeof(*kept)) : NULL;

    if (!kept) {
        control_message_clear(message);
        return error_set(err, ENOBUFS, PEER, "says more than anybody reads", NULL);
    }
    kept->message = *message;
    STAILQ_INSERT_TAIL(&client->kept, kept, next);
    client->kept_count++;
    return 0;
}

/* ---- requests ---- */

int control_client_send(struct control_client *client, const char *method, json_t *params,
                        uint64_t *id, struct husk_error *err)
{
    json_t *request;
    int ret;

    *id = client->next_id++;
    request =
        json_pack("{s:I, s:s, s:o*}", "id", (json_int_t)*id, "method", method, "params", params);
    ret = request ? send_frame(client, request, err)
                  : error_set(err, ENOMEM, PEER, "cannot be asked", NULL);
    json_decref(request);
    return ret;
}

int control_client_call(struct control_client *client, const char *method, json_t *params,
                        struct control_message *out, struct husk_error *err)
{
    struct control_message message;
    uint64_t id;
    int ret = control_client_send(client, method, params, &id, err);

    if (out)
        *out = (struct control_message){.body = NULL};
    while (ret == 0) {
        ret = next_message(client, true, &message, err);
        if (ret < 0)
            return ret;
        if (message.is_event || message.id != id) {
            ret = keep(client, &message, err);
            continue;
        }
        ret = message.error.code ? -message.error.code : 0;
        if (ret && err)
            *err = message.error;
        if (out)
            *out = message;
        else
            control_message_clear(&message);
        return ret;
    }
    return ret;
}

/* ---- hello ---- */

static int read_hello(struct control_client *client, struct husk_error *err)
{
    const json_t *versions, *error;
    json_t *frame;
    int ret = read_frame(client, true, &frame, err);

    if (ret < 0)
        return ret;
    error = json_object_get(frame, "error");
    versions = json_object_get(frame, "husk");
    if (error)
        ret = agent_read_error(error, err);
    else if (!json_is_integer(json_object_get(versions, "major")))
        ret = protocol_error(err, "it does not say which version it is");
    else if (json_integer_value(json_object_get(versions, "major")) != CONTROL_MAJOR)
        ret = error_set(err, EPROTONOSUPPORT, PEER, "is of another version of husk",
                        "it speaks version %lld of the protocol, this is %d",
                        (long long)json_integer_value(json_object_get(versions, "major")),
                        CONTROL_MAJOR);
    else
        ret = 0;
    json_decref(frame);
    return ret;
}

int control_client_open(int fd, struct control_client **out, struct husk_error *err)
{
    struct control_client *client = calloc(1, sizeof(*client));
    json_t *hello =
        json_pack("{s:{s:i, s:i}}", "husk", "major", CONTROL_MAJOR, "minor", CONTROL_MINOR);
    int ret;

    if (!client || !hello) {
        free(client);
        json_decref(hello);
        close_fd(&fd);
        return error_set(err, ENOMEM, PEER, "cannot be asked", NULL);
    }
    client->fd = fd;
    client->reader.limit = CONTROL_FRAME_MAX;
    client->reader.fds_max = FRAME_FDS_MAX;
    STAILQ_INIT(&client->kept);
    /* One that has said why it ends and is gone has left its answer: read all the same. */
    ret = send_frame(client, hello, err);
    if (ret == 0 || ret == -ECONNRESET)
        ret = read_hello(client, err);
    json_decref(hello);
    if (ret) {
        control_client_close(client);
        return ret;
    }
    *out = client;
    return 0;
}
