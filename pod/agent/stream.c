// SPDX-License-Identifier: Apache-2.0
/*
 * Connections up to the hello: see stream.h.
 *
 * An attempt says everything at once: for a vsock socket the line that asks for the port, and right
 * behind it the hello; the answers come in the same order. What ends before the agent's hello may
 * just have been too early, and is tried again; what is wrong is not.
 */
#include "pod/agent/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/io.h"
#include "husk/agent.h"
#include "pod/agent/answer.h"
#include "pod/agent/frame.h"

#define HELLO_MAX      4096u
#define LINE_MAX_BYTES 24u /* "OK 4294967295\n" and some */
#define PAUSE_FIRST_MS 2u
#define PAUSE_LAST_MS  100u
#define NS_PER_MS      1000000ull

static const char peer[] = "the agent";

struct agent_dial {
    struct event_loop *loop;
    struct agent_connector connector;
    json_t *hello;
    agent_dial_fn fn;
    void *arg;
    struct event_timer *timer; /* the next attempt, or the end of all */
    uint64_t deadline_ns;
    uint32_t timeout_ms;
    unsigned pause_ms;
    struct husk_error last; /* what the last attempt met */
    /* The attempt: */
    int fd; /* -1: none is under way */
    struct event_source *source;
    char line[LINE_MAX_BYTES];
    size_t line_len;
    bool line_over;
    struct frame_reader reader;
    struct frame_writer writer;
};

static void end_attempt(struct agent_dial *dial)
{
    event_source_remove(dial->source);
    dial->source = NULL;
    close_fd(&dial->fd);
    frame_reader_clear(&dial->reader);
    frame_writer_clear(&dial->writer);
    dial->line_len = 0;
}

void agent_dial_cancel(struct agent_dial *dial)
{
    if (!dial)
        return;
    end_attempt(dial);
    event_timer_remove(dial->timer);
    json_decref(dial->hello);
    free(dial);
}

/* The dial is gone after that. */
static void finish(struct agent_dial *dial, int fd, const struct agent_hello *hello,
                   const struct husk_error *error)
{
    agent_dial_fn fn = dial->fn;
    void *arg = dial->arg;

    agent_dial_cancel(dial);
    fn(arg, fd, hello, error);
}

static void fail(struct agent_dial *dial, const struct husk_error *error)
{
    const struct husk_error copy = *error;

    finish(dial, -1, NULL, &copy);
}

static void give_up(struct agent_dial *dial)
{
    char met[sizeof(dial->last.why)];
    struct husk_error error;

    error_format(&dial->last, met, sizeof(met));
    error_set(&error, ETIMEDOUT, peer, "did not answer in time", "%u ms; last: %s",
              dial->timeout_ms, met);
    fail(dial, &error);
}

/* Nobody was there: once more, a little later. */
static void again(struct agent_dial *dial)
{
    uint64_t now = monotonic_ns(), pause = dial->pause_ms * NS_PER_MS;

    end_attempt(dial);
    if (now + pause > dial->deadline_ns)
        pause = now < dial->deadline_ns ? dial->deadline_ns - now : 0;
    event_timer_arm(dial->timer, pause);
    dial->pause_ms = dial->pause_ms * 2 > PAUSE_LAST_MS ? PAUSE_LAST_MS : dial->pause_ms * 2;
}

/* ---- the answers ---- */

/* "OK N\n", a byte at a time because what follows is somebody else's: 1 when it is complete, 0
 * when it is not, -errno. */
static int read_line(struct agent_dial *dial, struct husk_error *err)
{
    while (dial->line_len < LINE_MAX_BYTES) {
        char *at = dial->line + dial->line_len;
        ssize_t got = recv(dial->fd, at, 1, MSG_DONTWAIT);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (got <= 0)
            return error_set(err, got ? errno : ENODATA, peer, "is not there yet",
                             "nobody listens in the guest");
        dial->line_len++;
        if (*at != '\n')
            continue;
        *at = '\0';
        if (strncmp(dial->line, "OK ", 3) != 0 || dial->line[3] == '\0' ||
            strspn(dial->line + 3, "0123456789") != strlen(dial->line + 3))
            break;
        return 1;
    }
    return error_set(err, EPROTO, "the machine's vsock socket", "does not keep to the protocol",
                     "its answer is not \"OK PORT\"");
}

static int read_version(const json_t *hello, struct agent_hello *out, struct husk_error *err)
{
    const json_t *husk = json_object_get(hello, "husk");
    const json_t *major = json_object_get(husk, "major"), *minor = json_object_get(husk, "minor");
    json_int_t low = json_integer_value(minor);

    if (!json_is_integer(major) || !json_is_integer(minor) || low < 0)
        return error_set(err, EPROTO, peer, "does not keep to the protocol",
                         "its hello has no version");
    if (json_integer_value(major) != HUSK_AGENT_MAJOR)
        return error_set(err, EPROTONOSUPPORT, peer, "speaks another version",
                         "%lld.%lld; this husk speaks %d.%d", (long long)json_integer_value(major),
                         (long long)low, HUSK_AGENT_MAJOR, HUSK_AGENT_MINOR);
    out->minor = low < HUSK_AGENT_MINOR ? (unsigned)low : HUSK_AGENT_MINOR;
    return 0;
}

static int read_hello(const json_t *message, struct agent_hello *out, struct husk_error *err)
{
    const json_t *error = json_object_get(message, "error");
    const json_t *version = json_object_get(message, "agent");
    const json_t *booted = json_object_get(message, "booted");
    int ret;

    if (error)
        return agent_read_error(error, err);
    ret = read_version(message, out, err);
    if (ret)
        return ret;
    if (!json_is_string(version) || json_string_length(version) >= AGENT_VERSION_SIZE ||
        !json_is_boolean(booted))
        return error_set(err, EPROTO, peer, "does not keep to the protocol",
                         "its hello lacks \"agent\" or \"booted\"");
    snprintf(out->version, sizeof(out->version), "%s", json_string_value(version));
    make_printable(out->version);
    out->booted = json_is_true(booted);
    return 0;
}

/* 1 when the hello is complete and good; 0 not yet; -errno: -ENODATA and socket errors are tried
 * again. */
static int take(struct agent_dial *dial, struct agent_hello *hello, struct husk_error *err)
{
    json_t *message = NULL;
    int ret;

    if (!dial->line_over) {
        ret = read_line(dial, err);
        if (ret <= 0)
            return ret;
        dial->line_over = true;
    }
    ret = frame_read(&dial->reader, dial->fd, peer, &message, err);
    if (ret <= 0)
        return ret;
    ret = read_hello(message, hello, err);
    json_decref(message);
    return ret ? ret : 1;
}

/* What an agent that has not come up, or is going down, can look like. */
static bool may_pass(int ret)
{
    return ret == -ENODATA || ret == -ECONNRESET || ret == -EPIPE;
}

static void on_ready(void *arg, uint32_t events)
{
    struct agent_dial *dial = arg;
    struct agent_hello hello = {.minor = 0};
    struct husk_error error = {.code = 0};
    int ret = 0, fd;

    (void)events;
    if (frame_waiting(&dial->writer)) {
        ret = frame_flush(&dial->writer, dial->fd);
        if (ret)
            error_set(&error, -ret, peer, "the connection broke", NULL);
    }
    /* Why it was closed may be there to be read. */
    if (!ret || may_pass(ret)) {
        int got = take(dial, &hello, &error);

        ret = got ? got : ret;
    }
    if (ret == 0 && event_source_watch(
                        dial->source, EPOLLIN | (frame_waiting(&dial->writer) ? EPOLLOUT : 0u)) < 0)
        ret = error_set(&error, ENOMEM, peer, "cannot be watched", NULL);
    if (ret == 1 && frame_waiting(&dial->writer))
        ret = error_set(&error, EPROTO, peer, "does not keep to the protocol",
                        "it answers before it is asked");
    if (ret == 1) {
        event_source_remove(dial->source);
        dial->source = NULL;
        fd = dial->fd;
        dial->fd = -1;
        finish(dial, fd, &hello, NULL);
    } else if (may_pass(ret)) {
        dial->last = error;
        again(dial);
    } else if (ret < 0) {
        fail(dial, &error);
    }
}

/* ---- attempts ---- */

static int begin_attempt(struct agent_dial *dial, struct husk_error *err)
{
    char line[32];
    int len, ret;

    dial->fd = dial->connector.connect(dial->connector.arg, err);
    if (dial->fd < 0) {
        ret = dial->fd;
        dial->fd = -1;
        return ret;
    }
    dial->line_over = !dial->connector.vsock;
    if (dial->connector.vsock) {
        len = snprintf(line, sizeof(line), "CONNECT %d\n", HUSK_AGENT_PORT);
        /* A new socket's buffer is empty. */
        if (send(dial->fd, line, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) != len)
            return error_set(err, EAGAIN, "the machine's vsock socket", "takes nothing", "%s", "");
    }
    dial->reader.limit = HELLO_MAX;
    dial->writer.limit = FRAME_HEADER_SIZE + HELLO_MAX;
    ret = frame_queue(&dial->writer, dial->hello, HELLO_MAX);
    if (!ret)
        ret =
            event_loop_add(dial->loop, dial->fd, EPOLLIN | EPOLLOUT, on_ready, dial, &dial->source);
    return ret ? error_set(err, -ret, peer, "cannot be spoken to", NULL) : 0;
}

static void on_timer(void *arg)
{
    struct agent_dial *dial = arg;
    struct husk_error error = {.code = 0};
    uint64_t now = monotonic_ns();
    int ret;

    if (now >= dial->deadline_ns) {
        if (dial->fd >= 0)
            error_set(&dial->last, ETIMEDOUT, peer, "took the connection and says nothing", "%s",
                      "");
        give_up(dial);
        return;
    }
    ret = begin_attempt(dial, &error);
    if (!ret) {
        event_timer_arm(dial->timer, dial->deadline_ns - now);
    } else if (ret == -EAGAIN || ret == -ENOENT || ret == -ECONNREFUSED || may_pass(ret)) {
        dial->last = error;
        again(dial);
    } else {
        error.code = error.code ? error.code : -ret;
        fail(dial, &error);
    }
}

int agent_dial_start(struct event_loop *loop, const struct agent_connector *connector,
                     json_t *hello, uint32_t timeout_ms, agent_dial_fn fn, void *arg,
                     struct agent_dial **out)
{
    struct agent_dial *dial = calloc(1, sizeof(*dial));
    json_t *version = json_pack("{s:i, s:i}", "major", HUSK_AGENT_MAJOR, "minor", HUSK_AGENT_MINOR);
    int ret = -ENOMEM;

    if (!dial || !hello || json_object_set_new(hello, "husk", version) < 0)
        goto fail;
    *dial = (struct agent_dial){
        .loop = loop,
        .connector = *connector,
        .hello = hello,
        .fn = fn,
        .arg = arg,
        .timeout_ms = timeout_ms,
        .deadline_ns = monotonic_ns() + timeout_ms * NS_PER_MS,
        .pause_ms = PAUSE_FIRST_MS,
        .fd = -1,
    };
    ret = event_loop_add_timer(loop, on_timer, dial, &dial->timer);
    if (ret)
        goto fail;
    event_timer_arm(dial->timer, 0);
    *out = dial;
    return 0;

fail:
    json_decref(hello);
    free(dial);
    return ret;
}

int agent_stream_open(struct event_loop *loop, const struct agent_connector *connector,
                      const char *container, const char *process, const char *stream,
                      uint32_t timeout_ms, agent_dial_fn fn, void *arg, struct agent_dial **out)
{
    json_t *hello = json_pack("{s:s, s:s, s:s, s:s}", "role", "stream", "container", container,
                              "process", process, "stream", stream);

    return agent_dial_start(loop, connector, hello, timeout_ms, fn, arg, out);
}

int agent_port_open(struct event_loop *loop, const struct agent_connector *connector,
                    const char *address, uint16_t port, uint32_t timeout_ms, agent_dial_fn fn,
                    void *arg, struct agent_dial **out)
{
    json_t *hello =
        json_pack("{s:s, s:s, s:i}", "role", "dial", "address", address, "port", (int)port);

    return agent_dial_start(loop, connector, hello, timeout_ms, fn, arg, out);
}
