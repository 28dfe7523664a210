// SPDX-License-Identifier: Apache-2.0
/* Standard streams: see stream.h. */
#include "guest/agent/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/terminal.h"

#define BUFFER_SIZE 32768

struct buffer {
    size_t start, len;
    char bytes[BUFFER_SIZE];
};

struct end {
    int fd; /* -1: gone */
    struct event_source *source;
};

struct stream {
    struct event_loop *loop;
    struct end process, host;
    int slave; /* of a terminal: held, so that it hangs up only when its process has ended */
    bool to_host, to_process;
    bool process_ended;
    bool output_over; /* nothing more comes from the process */
    bool input_over;  /* nothing more comes from the host, ever */
    struct buffer output, input;
};

static const char *const names[] = {"stdin", "stdout", "stderr", "terminal"};

bool stream_find_name(const char *text, enum stream_name *out)
{
    for (unsigned i = 0; i < STREAM_COUNT; i++) {
        if (!strcmp(text, names[i])) {
            *out = (enum stream_name)i;
            return true;
        }
    }
    return false;
}

static void close_end(struct end *end)
{
    event_source_remove(end->source);
    end->source = NULL;
    close_fd(&end->fd);
}

/* A source that is not wanted goes: a hang-up would be reported without end. */
static int watch(struct stream *stream, struct end *end, uint32_t events, event_fn fn)
{
    if (end->source && events)
        return event_source_watch(end->source, events);
    event_source_remove(end->source);
    end->source = NULL;
    if (!events || end->fd < 0)
        return 0;
    return event_loop_add(stream->loop, end->fd, events, fn, stream, &end->source);
}

static void on_process(void *arg, uint32_t events);
static void on_host(void *arg, uint32_t events);

/* What is waited for follows from what there is. */
static void update(struct stream *stream)
{
    bool attached = stream->host.fd >= 0;
    uint32_t process = 0, host = 0;

    if (stream->output_over && !stream->output.len && attached) {
        shutdown(stream->host.fd, SHUT_RDWR);
        close_end(&stream->host);
        attached = false;
    }
    if (attached && stream->to_host && !stream->output_over && !stream->output.len)
        process |= EPOLLIN;
    if (stream->process.fd >= 0 && stream->input.len)
        process |= EPOLLOUT;
    if (stream->output.len)
        host |= EPOLLOUT;
    if (stream->to_process && !stream->input_over && !stream->input.len)
        host |= EPOLLIN;
    if (watch(stream, &stream->process, process, on_process))
        close_end(&stream->process);
    if (!attached)
        return;
    /* Without anything to wait for, the connection's end is still wanted. */
    if (watch(stream, &stream->host, host ? host : EPOLLERR, on_host))
        close_end(&stream->host);
}

static ssize_t fill(struct buffer *buffer, int fd)
{
    ssize_t len = read(fd, buffer->bytes, BUFFER_SIZE);

    buffer->start = 0;
    buffer->len = len > 0 ? (size_t)len : 0;
    return len;
}

static bool would_block(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EINTR);
}

/* False when the other side takes nothing any more. */
static bool drain(struct buffer *buffer, int fd, bool is_socket)
{
    const char *from = buffer->bytes + buffer->start;
    ssize_t len;

    if (!buffer->len)
        return true;
    len = is_socket ? send(fd, from, buffer->len, MSG_NOSIGNAL) : write(fd, from, buffer->len);
    if (len < 0)
        return would_block(len);
    buffer->start += (size_t)len;
    buffer->len -= (size_t)len;
    return true;
}

/* The host has said all: a pipe ends; a terminal has no such thing. */
static void end_input(struct stream *stream)
{
    stream->input_over = true;
    if (!stream->to_host && !stream->input.len)
        close_end(&stream->process);
}

static void on_process(void *arg, uint32_t events)
{
    struct stream *stream = arg;

    if (stream->input.len && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
        if (!drain(&stream->input, stream->process.fd, false)) {
            /* Nobody reads: what the host says goes nowhere from now on. */
            stream->input.len = 0;
            if (!stream->to_host) {
                close_end(&stream->process);
                stream->output_over = true;
            }
        } else if (!stream->input.len && stream->input_over) {
            end_input(stream);
        }
    }
    if (stream->process.fd >= 0 && stream->to_host && !stream->output_over && !stream->output.len &&
        events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        ssize_t len = fill(&stream->output, stream->process.fd);

        if (len == 0 || (len < 0 && !would_block(len)) || (len < 0 && stream->process_ended))
            stream->output_over = true;
    }
    update(stream);
}

static void on_host(void *arg, uint32_t events)
{
    struct stream *stream = arg;
    bool lost = false;

    if (events & EPOLLOUT)
        lost = !drain(&stream->output, stream->host.fd, true);
    if (!lost && events & EPOLLIN && stream->to_process && !stream->input_over &&
        !stream->input.len) {
        ssize_t len = fill(&stream->input, stream->host.fd);

        if (len == 0)
            end_input(stream);
        else if (len < 0 && !would_block(len))
            lost = true;
        else if (stream->process.fd < 0)
            stream->input.len = 0;
    } else if (events & (EPOLLHUP | EPOLLERR)) {
        lost = true;
    }
    if (lost) {
        stream->output.len = 0;
        close_end(&stream->host);
    }
    update(stream);
}

int stream_create(struct event_loop *loop, int fd, enum stream_name name, struct stream **out)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    int flags = fcntl(fd, F_GETFL);

    if (!stream)
        return -ENOMEM;
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        free(stream);
        return -errno;
    }
    stream->loop = loop;
    stream->process.fd = fd;
    stream->host.fd = -1;
    stream->slave = -1;
    stream->to_host = name != STREAM_STDIN;
    stream->to_process = name == STREAM_STDIN || name == STREAM_TERMINAL;
    if (name == STREAM_TERMINAL)
        stream->slave = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    *out = stream;
    return 0;
}

void stream_destroy(struct stream *stream)
{
    if (!stream)
        return;
    close_end(&stream->host);
    close_end(&stream->process);
    close_fd(&stream->slave);
    free(stream);
}

int stream_attach(struct stream *stream, int connection)
{
    if (stream->host.fd >= 0)
        return -EBUSY;
    stream->host.fd = connection;
    /* A terminal's input ends with a connection, not for ever. */
    stream->input_over &= !stream->to_host;
    update(stream);
    return 0;
}

bool stream_is_attached(const struct stream *stream)
{
    return stream->host.fd >= 0;
}

void stream_process_ended(struct stream *stream)
{
    if (!stream || stream->slave < 0)
        return;
    stream->process_ended = true;
    /* Its reader now meets the hang-up behind the last byte. */
    close_fd(&stream->slave);
    update(stream);
}

int stream_resize(struct stream *stream, uint16_t columns, uint16_t rows)
{
    return stream->process.fd < 0 ? -ESTALE : terminal_resize(stream->process.fd, columns, rows);
}
