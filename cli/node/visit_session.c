// SPDX-License-Identifier: Apache-2.0
/*
 * Connections that become something else: a process's streams in frames, or a port's bytes.
 *
 * A frame has a byte for its channel, four for its length (big-endian), and so many bytes. The
 * channels are those of Kubernetes' v5.channel.k8s.io: 0 standard input, 1 output, 2 error, 3 the
 * Status at the end, 4 the terminal's size ({"width", "height"}), 255 "channel N has ended".
 */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"
#include "cli/node/frames.h"
#include "cli/node/visit.h"

#define PIECE_BYTES     16384u
#define AFTER_END_MS    1000
#define PROTOCOL_FRAMES "husk-frames"
#define PROTOCOL_TCP    "tcp"

/* ---- 101 ---- */

struct taking {
    int wake_fd;
    int fd;
    void *early;
    size_t early_len;
};

static void take(void *arg, int fd, const void *early, size_t early_len)
{
    struct taking *taking = arg;

    taking->early = early_len ? malloc(early_len) : NULL;
    if (taking->early) {
        memcpy(taking->early, early, early_len);
        taking->early_len = early_len;
    }
    taking->fd = fd;
    if (early_len && !taking->early)
        close_fd(&taking->fd);
    eventfd_signal(taking->wake_fd);
}

int visit_upgrade(struct visit *visit, const char *protocol, int *fd, void **early,
                  size_t *early_len)
{
    struct taking taking = {.wake_fd = eventfd_open(), .fd = -1};
    struct http_response response = HTTP_RESPONSE_INIT;
    struct pollfd at = {.fd = taking.wake_fd, .events = POLLIN};

    if (taking.wake_fd < 0) {
        visit_refuse(visit, 500, "there is no descriptor left");
        return taking.wake_fd;
    }
    response.status = 101;
    response.upgrade = (struct http_upgrade){.protocol = protocol, .take = take, .arg = &taking};
    visit_answer(visit, &response);
    /* It is taken once in any case; `taking` must live until then. */
    while (poll(&at, 1, -1) != 1)
        ;
    eventfd_drain(taking.wake_fd);
    close_fd(&taking.wake_fd);
    *fd = taking.fd;
    *early = taking.early;
    *early_len = taking.early_len;
    if (taking.fd >= 0)
        return 0;
    free(taking.early);
    return -ECONNRESET;
}

/* ---- bytes both ways ---- */

/* What waits to be written to `to`, from `from`. */
struct pipe {
    int from, to; /* -1: it has ended */
    size_t start, end;
    char bytes[PIECE_BYTES];
};

/* Moves what can be moved. False when a side is broken. */
static bool pump(struct pipe *pipe)
{
    if (pipe->from >= 0 && pipe->start == pipe->end) {
        ssize_t n = recv(pipe->from, pipe->bytes, sizeof(pipe->bytes), MSG_DONTWAIT);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (n == 0) { /* half of the connection has ended, and that is passed on */
            shutdown(pipe->to, SHUT_WR);
            pipe->from = -1;
        }
        pipe->start = 0;
        pipe->end = n > 0 ? (size_t)n : 0;
    }
    if (pipe->start < pipe->end) {
        ssize_t n = send(pipe->to, pipe->bytes + pipe->start, pipe->end - pipe->start,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        pipe->start += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool is_over(const struct pipe *pipe)
{
    return pipe->from < 0 && pipe->start == pipe->end;
}

static short wants(const struct pipe *in, const struct pipe *out)
{
    short events = in->from >= 0 && in->start == in->end ? POLLIN : 0;

    return out->start < out->end ? (short)(events | POLLOUT) : events;
}

static void relay(struct visit *visit, struct pipe pipes[2], int client, int port)
{
    while (!is_over(&pipes[0]) || !is_over(&pipes[1])) {
        struct pollfd fds[] = {
            {.fd = visit->stop_fd, .events = POLLIN},
            {.fd = client, .events = wants(&pipes[0], &pipes[1])},
            {.fd = port, .events = wants(&pipes[1], &pipes[0])},
        };

        if (!fds[2].events)
            fds[2].fd = -1; /* that it has closed is known, and no news */
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents || (fds[1].revents | fds[2].revents) & (POLLERR | POLLNVAL))
            return;
        if (!pump(&pipes[0]) || !pump(&pipes[1]))
            return;
        /* Both directions of one side are closed: what it would still get goes nowhere. */
        if (fds[1].revents & POLLHUP && pipes[0].from < 0)
            return;
    }
}

/* Refuses what the client did not ask to upgrade. */
static bool may_upgrade(struct visit *visit)
{
    if (visit->wants_upgrade)
        return true;
    visit_refuse(visit, 426, "this needs a request with Connection: Upgrade and Upgrade");
    return false;
}

void visit_port_forward(struct visit *visit)
{
    const struct parameters *parameters = &visit->parameters;
    struct pipe *pipes;
    struct husk_error err = {0};
    int port = -1, client;
    size_t early_len;
    void *early;

    if (!may_upgrade(visit))
        return;
    if (!parameters->port) {
        visit_refuse(visit, 400, "port: is missing");
        return;
    }
    if (husk_pod_dial(visit->pods, visit->name, parameters->address, (uint16_t)parameters->port,
                      &port, &err)) {
        visit_error(visit, &err);
        return;
    }
    pipes = calloc(2, sizeof(*pipes));
    if (!pipes) {
        visit_refuse(visit, 500, "there is no memory left");
    } else if (!visit_upgrade(visit, PROTOCOL_TCP, &client, &early, &early_len)) {
        pipes[0].from = pipes[1].to = client;
        pipes[0].to = pipes[1].from = port;
        if (!visit_write(visit, port, early, early_len))
            relay(visit, pipes, client, port);
        free(early);
        close_fd(&client);
    }
    free(pipes);
    close_fd(&port);
}

/* ---- a process ---- */

struct session {
    struct visit *visit;
    struct husk_pod_process *process;
    int fds[3]; /* of the process */
    int client;
    struct frame_reader reader;
    size_t written;    /* of a whole frame of input */
    const char *early; /* came with the request, and is read first */
    size_t early_len;
    bool client_ended;
};

static int send_frame(struct session *session, unsigned char channel, const void *bytes, size_t len)
{
    unsigned char head[FRAME_HEAD_BYTES];
    int ret;

    frame_head(head, channel, (uint32_t)len);
    ret = visit_write(session->visit, session->client, head, sizeof(head));
    return ret ? ret : visit_write(session->visit, session->client, bytes, len);
}

static void resize(struct session *session, const char *bytes, size_t len)
{
    json_t *size = json_loadb(bytes, len, 0, NULL);
    json_int_t columns = json_integer_value(json_object_get(size, "width"));
    json_int_t rows = json_integer_value(json_object_get(size, "height"));

    if (columns > 0 && columns <= UINT16_MAX && rows > 0 && rows <= UINT16_MAX)
        husk_pod_process_resize(session->process, (unsigned)columns, (unsigned)rows, NULL);
    json_decref(size);
}

/* A terminal takes its input where its output comes from. */
static int input_of(const struct session *session)
{
    return session->fds[0] >= 0 ? session->fds[0]
                                : (session->visit->parameters.tty ? session->fds[1] : -1);
}

enum taken { FRAME_TAKEN, FRAME_WAITS, FRAME_WRONG };

/* As much as the process takes now; one that reads no more has its input dropped. */
static enum taken take_input(struct session *session)
{
    const struct frame_reader *reader = &session->reader;
    int input = input_of(session);

    while (input >= 0 && session->written < frame_len(reader)) {
        ssize_t n = send(input, frame_bytes(reader) + session->written,
                         frame_len(reader) - session->written, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            return FRAME_WAITS;
        if (n < 0 && errno != EINTR)
            break;
        session->written += n > 0 ? (size_t)n : 0;
    }
    session->written = 0;
    return FRAME_TAKEN;
}

/* One whole frame of the client. */
static enum taken take_frame(struct session *session)
{
    const struct frame_reader *reader = &session->reader;

    switch (frame_channel(reader)) {
    case FRAME_STDIN:
        return take_input(session);
    case FRAME_RESIZE:
        resize(session, frame_bytes(reader), frame_len(reader));
        return FRAME_TAKEN;
    case FRAME_CLOSE:
        if (frame_len(reader) != 1 || *frame_bytes(reader) != FRAME_STDIN)
            return FRAME_WRONG;
        if (session->fds[0] >= 0)
            shutdown(session->fds[0], SHUT_WR);
        return FRAME_TAKEN;
    default:
        return FRAME_WRONG;
    }
}

static ssize_t fetch(struct session *session)
{
    size_t room = frame_room(&session->reader);

    if (!session->early_len)
        return recv(session->client, frame_place(&session->reader), room, MSG_DONTWAIT);
    room = min_u64(room, session->early_len);
    memcpy(frame_place(&session->reader), session->early, room);
    session->early += room;
    session->early_len -= room;
    return (ssize_t)room;
}

/* What the client has sent, as far as the process takes it. False when it is over. */
static bool take_frames(struct session *session)
{
    while (!session->client_ended) {
        ssize_t n;

        if (frame_is_whole(&session->reader)) {
            enum taken taken = take_frame(session);

            if (taken != FRAME_TAKEN)
                return taken == FRAME_WAITS;
            frame_next(&session->reader);
        }
        n = fetch(session);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        session->client_ended = n == 0;
        if (n > 0 && !frame_feed(&session->reader, (size_t)n))
            return false;
    }
    if (session->fds[0] >= 0)
        shutdown(session->fds[0], SHUT_WR);
    return true;
}

/* A piece of one of its streams. False when the client cannot be written to. */
static bool give_output(struct session *session, unsigned index)
{
    char bytes[PIECE_BYTES];
    ssize_t n = recv(session->fds[index], bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        close_fd(&session->fds[index]);
        return true;
    }
    return !send_frame(session, (unsigned char)index, bytes, (size_t)n);
}

/* Until the streams of output have ended. False: client or agent have gone first. */
static bool serve(struct session *session)
{
    if (!take_frames(session))
        return false;
    while (session->fds[1] >= 0 || session->fds[2] >= 0) {
        bool waits = frame_is_whole(&session->reader);
        struct pollfd fds[] = {
            {.fd = session->visit->stop_fd, .events = POLLIN},
            {.fd = session->client, .events = waits || session->client_ended ? 0 : POLLIN},
            {.fd = session->fds[1], .events = POLLIN},
            {.fd = session->fds[2], .events = POLLIN},
            {.fd = waits ? input_of(session) : -1, .events = POLLOUT},
        };

        if (poll(fds, 5, -1) < 0 && errno != EINTR)
            return false;
        if (fds[0].revents || fds[1].revents & (POLLERR | POLLHUP))
            return false;
        if ((fds[1].revents || fds[4].revents) && !take_frames(session))
            return false;
        for (unsigned i = 1; i < 3; i++) {
            if (fds[i + 1].revents && !give_output(session, i))
                return false;
        }
    }
    return true;
}

static void tell_end(struct session *session)
{
    struct husk_error err = {0};
    int status = 0;
    char *text;

    if (session->visit->route.verb == VERB_ATTACH)
        text = status_object(200, NULL, "");
    else if (husk_pod_process_wait(session->process, AFTER_END_MS, &status, &err))
        text = status_object(answer_status(err.code), session->visit->name, err.what);
    else
        text = status_of_exit(status);
    if (text)
        send_frame(session, FRAME_STATUS, text, strlen(text));
    free(text);
}

static int open_process(struct session *session, struct husk_error *err)
{
    struct visit *visit = session->visit;
    const struct parameters *parameters = &visit->parameters;
    struct husk_pod_exec_options options = HUSK_POD_EXEC_OPTIONS_INIT;

    if (visit->route.verb == VERB_ATTACH)
        return husk_pod_attach(visit->pods, visit->name, parameters->container,
                               parameters->stdin_open, &session->process, session->fds, err);
    options.container = parameters->container;
    options.argv = (const char *const *)parameters->command;
    options.stdin_open = parameters->stdin_open;
    options.tty = parameters->tty;
    options.columns = (unsigned)parameters->columns;
    options.rows = (unsigned)parameters->rows;
    return husk_pod_exec(visit->pods, visit->name, &options, &session->process, session->fds, err);
}

static void run_session(struct session *session)
{
    size_t early_len;
    void *early;

    if (visit_upgrade(session->visit, PROTOCOL_FRAMES, &session->client, &early, &early_len))
        return;
    session->early = early;
    session->early_len = early_len;
    if (serve(session))
        tell_end(session);
    free(early);
    close_fd(&session->client);
}

void visit_exec(struct visit *visit)
{
    struct session *session;
    struct husk_error err = {0};

    if (!may_upgrade(visit))
        return;
    if (visit->route.verb == VERB_EXEC && !visit->parameters.command_words) {
        visit_refuse(visit, 400, "command: is missing");
        return;
    }
    session = calloc(1, sizeof(*session));
    if (!session) {
        visit_refuse(visit, 500, "there is no memory left");
        return;
    }
    session->visit = visit;
    for (unsigned i = 0; i < 3; i++)
        session->fds[i] = -1;
    if (open_process(session, &err)) {
        visit_error(visit, &err);
    } else {
        run_session(session);
        for (unsigned i = 0; i < 3; i++)
            close_fd(&session->fds[i]);
        husk_pod_process_free(session->process);
    }
    free(session);
}
