// SPDX-License-Identifier: Apache-2.0
/*
 * The host end of a console: see console.h for the contract.
 *
 * Output: devices append to a ring under `lock`; when it was empty they wake the I/O thread through
 * `wake_fd`, which writes out what is there. While the reader is slow the thread waits for EPOLLOUT
 * and the ring fills; then devices are refused and told through output_ready() when half of it is
 * free again.
 *
 * Input: the I/O thread reads while the device has room; without room the descriptor is not
 * watched.
 *
 * Descriptors are reopened through /proc/self/fd, which gives an open file description of our own:
 * O_NONBLOCK set on it does not leak into the shell that shares the caller's. Where that is not
 * possible (sockets, pipes of another user, pseudo-terminal masters) a duplicate is used with
 * per-call non-blocking means. A reader that goes away (EPIPE, EIO of a hung-up terminal) turns
 * output into a sink. The I/O thread has SIGPIPE blocked, like every signal, and the drain at the
 * end, which may run on a thread of the embedding program, blocks it meanwhile: EPIPE is all that
 * happens.
 */
#include "devices/backend/console.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/event_loop.h"
#include "base/io.h"
#include "base/pages.h"

#define INPUT_CHUNK_BYTES  4096u
#define OUTPUT_CHUNK_BYTES 4096u

enum stream_kind {
    STREAM_NONE,
    STREAM_POLLED,    /* ours and non-blocking: pipe, terminal */
    STREAM_SHARED,    /* as the caller opened it: poll() before every call, small pieces */
    STREAM_SOCKET,    /* as the caller opened it: MSG_DONTWAIT */
    STREAM_IMMEDIATE, /* regular file and the like: never blocks for long, cannot be polled */
};

struct stream {
    enum stream_kind kind;
    int fd;
    bool owned;
    struct event_source *source;
};

struct console_backend {
    struct event_loop *loop;
    struct stream in, out;
    int wake_fd;
    struct event_source *wake_source;

    const struct console_frontend_ops *ops;
    void *device;

    pthread_mutex_t lock;
    /* Below: guarded by lock. */
    uint8_t *ring; /* CONSOLE_OUTPUT_RING_BYTES, in pages of its own */
    size_t ring_start, ring_used;
    bool refused;      /* a device was turned away; output_ready() is owed */
    bool input_wanted; /* the device asked for input */
    bool reader_gone;
    int output_error; /* -errno of the first write that failed */
    struct console_stats stats;
};

static void on_input(void *arg, uint32_t events);
static void on_output(void *arg, uint32_t events);

/* In a process without /proc, somebody may have made it non-blocking for us. */
static enum stream_kind kind_of(int fd, const struct stat *st)
{
    int flags = fcntl(fd, F_GETFL);

    if (S_ISSOCK(st->st_mode))
        return STREAM_SOCKET;
    return flags >= 0 && (flags & O_NONBLOCK) ? STREAM_POLLED : STREAM_SHARED;
}

/* Chooses how to use fd. Returns 0 or -errno. */
static int stream_open(struct stream *stream, struct event_loop *loop, int fd, bool for_input,
                       event_fn fn, void *arg)
{
    struct stat st;
    int ret;

    stream->fd = -1;
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISREG(st.st_mode)) {
        /* Not reopened: the caller's offset and append mode are wanted. */
        stream->kind = STREAM_IMMEDIATE;
        stream->fd = fd;
        return 0;
    }
    /* Ours, also because input and output may be one descriptor, which epoll takes once. */
    stream->fd = dup_nonblocking(fd, for_input ? O_RDONLY : O_WRONLY);
    if (stream->fd < 0)
        return stream->fd;
    stream->kind = kind_of(stream->fd, &st);
    stream->owned = true;
    ret = event_loop_add(loop, stream->fd, 0, fn, arg, &stream->source);
    if (ret == -EPERM) { /* /dev/null and friends */
        stream->kind = STREAM_IMMEDIATE;
        ret = 0;
    }
    return ret;
}

static void stream_close(struct stream *stream)
{
    event_source_remove(stream->source);
    stream->source = NULL;
    if (stream->owned)
        close_fd(&stream->fd);
    stream->fd = -1;
    stream->kind = STREAM_NONE;
    stream->owned = false;
}

static void stream_watch(struct stream *stream, uint32_t events)
{
    if (stream->source)
        event_source_watch(stream->source, events);
}

static bool is_ready(int fd, short events)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};

    return poll(&poll_fd, 1, 0) == 1;
}

/* Bytes moved, 0 at the end of input, -EAGAIN when it would block, else -errno. */
static ssize_t stream_read(const struct stream *stream, void *buf, size_t len)
{
    ssize_t n;

    do {
        if (stream->kind == STREAM_SHARED && !is_ready(stream->fd, POLLIN))
            return -EAGAIN;
        n = stream->kind == STREAM_SOCKET ? recv(stream->fd, buf, len, MSG_DONTWAIT)
                                          : read(stream->fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static ssize_t stream_write(const struct stream *stream, const void *buf, size_t len)
{
    ssize_t n;

    do {
        if (stream->kind == STREAM_SHARED) {
            if (!is_ready(stream->fd, POLLOUT))
                return -EAGAIN;
            /* A terminal or pipe that polls writable takes at least this much without waiting. */
            len = len < 256 ? len : 256;
        }
        n = stream->kind == STREAM_SOCKET ? send(stream->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                          : write(stream->fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

/* Copies the oldest bytes of the ring; lock held. */
static size_t ring_peek(const struct console_backend *backend, uint8_t *out, size_t max)
{
    size_t len = backend->ring_used < max ? backend->ring_used : max;
    size_t first = CONSOLE_OUTPUT_RING_BYTES - backend->ring_start;

    if (first > len)
        first = len;
    memcpy(out, backend->ring + backend->ring_start, first);
    memcpy(out + first, backend->ring, len - first);
    return len;
}

static void ring_drop(struct console_backend *backend, size_t len)
{
    backend->ring_start = (backend->ring_start + len) % CONSOLE_OUTPUT_RING_BYTES;
    backend->ring_used -= len;
    if (backend->ring_used == 0) /* what is little stays in the first page, and so costs one */
        backend->ring_start = 0;
}

/*
 * Write out at most a ring's worth. The lock is not held while writing: devices append behind what
 * was peeked, only this thread removes. Returns true when the reader would block.
 */
static bool write_out(struct console_backend *backend)
{
    uint8_t chunk[OUTPUT_CHUNK_BYTES];

    for (size_t budget = CONSOLE_OUTPUT_RING_BYTES; budget > 0;) {
        bool gone;
        size_t len;
        ssize_t n;

        pthread_mutex_lock(&backend->lock);
        len = ring_peek(backend, chunk, sizeof(chunk));
        gone = backend->reader_gone || backend->out.kind == STREAM_NONE;
        pthread_mutex_unlock(&backend->lock);
        if (len == 0)
            return false;
        n = gone ? (ssize_t)len : stream_write(&backend->out, chunk, len);
        if (n == -EAGAIN)
            return true;
        pthread_mutex_lock(&backend->lock);
        if (n <= 0) {
            backend->reader_gone = true;
            backend->output_error = n < 0 ? (int)n : -EIO;
            n = (ssize_t)len;
            gone = true;
        }
        if (gone)
            backend->stats.dropped_bytes += (uint64_t)n;
        ring_drop(backend, (size_t)n);
        pthread_mutex_unlock(&backend->lock);
        budget -= budget < (size_t)n ? budget : (size_t)n;
    }
    /* More came in than a ring while we wrote: let other devices have a turn. */
    eventfd_signal(backend->wake_fd);
    return false;
}

static void flush_output(struct console_backend *backend)
{
    bool blocked = write_out(backend);
    bool owed = false;

    stream_watch(&backend->out, blocked ? EPOLLOUT : 0);
    pthread_mutex_lock(&backend->lock);
    if (backend->refused && backend->ring_used <= CONSOLE_OUTPUT_RING_BYTES / 2) {
        backend->refused = false;
        owed = true;
    }
    pthread_mutex_unlock(&backend->lock);
    if (owed && backend->ops)
        backend->ops->output_ready(backend->device);
}

static void close_input(struct console_backend *backend)
{
    stream_close(&backend->in);
    if (backend->ops)
        backend->ops->input_closed(backend->device);
}

/* One piece of input, if the device has room; decides whether to go on watching. */
static void read_input(struct console_backend *backend)
{
    uint8_t chunk[INPUT_CHUNK_BYTES];
    size_t room;
    ssize_t n;

    if (backend->in.kind == STREAM_NONE || !backend->ops)
        return;
    room = backend->ops->input_room(backend->device);
    if (room == 0) {
        stream_watch(&backend->in, 0);
        return;
    }
    n = stream_read(&backend->in, chunk, room < sizeof(chunk) ? room : sizeof(chunk));
    if (n > 0) {
        pthread_mutex_lock(&backend->lock);
        backend->stats.rx_bytes += (uint64_t)n;
        pthread_mutex_unlock(&backend->lock);
        backend->ops->input(backend->device, chunk, (size_t)n);
    } else if (n != -EAGAIN) {
        close_input(backend);
        return;
    }
    stream_watch(&backend->in, EPOLLIN);
    /* What cannot be polled is asked again, in a later round. */
    if (backend->in.kind == STREAM_IMMEDIATE)
        console_backend_input_wanted(backend);
}

static void on_input(void *arg, uint32_t events)
{
    read_input(arg);
}

static void on_output(void *arg, uint32_t events)
{
    flush_output(arg);
}

static void on_wake(void *arg, uint32_t events)
{
    struct console_backend *backend = arg;
    bool wanted;

    eventfd_drain(backend->wake_fd);
    pthread_mutex_lock(&backend->lock);
    wanted = backend->input_wanted;
    backend->input_wanted = false;
    pthread_mutex_unlock(&backend->lock);
    flush_output(backend);
    if (wanted)
        read_input(backend);
}

int console_backend_create(struct event_loop *loop, int in_fd, int out_fd,
                           struct console_backend **out)
{
    struct console_backend *backend = calloc(1, sizeof(*backend));
    int ret;

    if (!backend)
        return -ENOMEM;
    backend->ring = pages_alloc(CONSOLE_OUTPUT_RING_BYTES);
    if (!backend->ring) {
        free(backend);
        return -ENOMEM;
    }
    backend->loop = loop;
    backend->in.fd = -1;
    backend->out.fd = -1;
    pthread_mutex_init(&backend->lock, NULL);
    backend->wake_fd = eventfd_open();
    if (backend->wake_fd < 0) {
        ret = backend->wake_fd;
        goto fail;
    }
    ret = event_loop_add(loop, backend->wake_fd, EPOLLIN, on_wake, backend, &backend->wake_source);
    if (ret)
        goto fail;
    ret = stream_open(&backend->in, loop, in_fd, true, on_input, backend);
    if (ret)
        goto fail;
    ret = stream_open(&backend->out, loop, out_fd, false, on_output, backend);
    if (ret)
        goto fail;
    *out = backend;
    return 0;

fail:
    console_backend_destroy(backend, 0);
    return ret;
}

/* Writes out what is pending until `deadline` at most. */
static void drain(struct console_backend *backend, uint64_t deadline)
{
    while (backend->out.kind != STREAM_NONE && write_out(backend)) {
        struct pollfd poll_fd = {.fd = backend->out.fd, .events = POLLOUT};
        uint64_t now = monotonic_ns();

        if (now >= deadline)
            break;
        poll(&poll_fd, 1, (int)((deadline - now) / 1000000u) + 1);
    }
}

/* The same, without a SIGPIPE to the calling thread when the reader has gone. */
static void drain_quietly(struct console_backend *backend, unsigned drain_ms)
{
    const struct timespec no_wait = {0};
    sigset_t pipe, before, pending;
    bool was_pending;

    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    drain(backend, monotonic_ns() + (uint64_t)drain_ms * 1000000u);
    if (!was_pending)
        sigtimedwait(&pipe, NULL, &no_wait);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int console_backend_destroy(struct console_backend *backend, unsigned drain_ms)
{
    int ret;

    if (!backend)
        return 0;
    drain_quietly(backend, drain_ms);
    ret = backend->output_error;
    /* How pipes and sockets, and a terminal that hung up, say that nobody is left to read. */
    if (ret == -EPIPE || ret == -ECONNRESET ||
        (ret == -EIO && backend->out.kind != STREAM_IMMEDIATE))
        ret = 0;
    stream_close(&backend->in);
    stream_close(&backend->out);
    event_source_remove(backend->wake_source);
    close_fd(&backend->wake_fd);
    pthread_mutex_destroy(&backend->lock);
    pages_free(backend->ring, CONSOLE_OUTPUT_RING_BYTES);
    free(backend);
    return ret;
}

void console_backend_set_frontend(struct console_backend *backend,
                                  const struct console_frontend_ops *ops, void *device)
{
    backend->ops = ops;
    backend->device = device;
    if (ops)
        console_backend_input_wanted(backend);
}

size_t console_backend_write(struct console_backend *backend, const uint8_t *data, size_t len)
{
    size_t room, end, first;
    bool wake;

    pthread_mutex_lock(&backend->lock);
    room = CONSOLE_OUTPUT_RING_BYTES - backend->ring_used;
    if (len > room) {
        len = room;
        backend->refused = true;
    }
    end = (backend->ring_start + backend->ring_used) % CONSOLE_OUTPUT_RING_BYTES;
    first = CONSOLE_OUTPUT_RING_BYTES - end;
    if (first > len)
        first = len;
    memcpy(backend->ring + end, data, first);
    memcpy(backend->ring, data + first, len - first);
    wake = len > 0 && backend->ring_used == 0;
    backend->ring_used += len;
    backend->stats.tx_bytes += len;
    pthread_mutex_unlock(&backend->lock);
    if (wake)
        eventfd_signal(backend->wake_fd);
    return len;
}

size_t console_backend_output_room(struct console_backend *backend)
{
    size_t room;

    pthread_mutex_lock(&backend->lock);
    room = CONSOLE_OUTPUT_RING_BYTES - backend->ring_used;
    if (room == 0)
        backend->refused = true; /* whoever asks wants to be told */
    pthread_mutex_unlock(&backend->lock);
    return room;
}

void console_backend_input_wanted(struct console_backend *backend)
{
    pthread_mutex_lock(&backend->lock);
    backend->input_wanted = true;
    pthread_mutex_unlock(&backend->lock);
    eventfd_signal(backend->wake_fd);
}

void console_backend_count_dropped(struct console_backend *backend, size_t bytes)
{
    pthread_mutex_lock(&backend->lock);
    backend->stats.dropped_bytes += bytes;
    pthread_mutex_unlock(&backend->lock);
}

void console_backend_read_stats(struct console_backend *backend, struct console_stats *out)
{
    pthread_mutex_lock(&backend->lock);
    *out = backend->stats;
    pthread_mutex_unlock(&backend->lock);
}
