// SPDX-License-Identifier: Apache-2.0
/* Passing on a serial port's output: see console.h. */
#include "vmm/api/console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/io.h"

#define PATIENCE_NS   1000000000ull /* with a reader that does not read */
#define FAREWELL_NS   2000000000ull
#define CHUNKS_A_TURN 16u
/* The VM writes out at most its ring of 64 KiB when it ends, while nobody empties the pipe. */
#define PIPE_BYTES    131072

void console_init(struct api_console *console)
{
    memset(console, 0, sizeof(*console));
    console->out_fd = -1;
    console->pipe_read = -1;
    console->pipe_write = -1;
}

static void close_all(struct api_console *console)
{
    close_fd(&console->pipe_write);
    close_fd(&console->pipe_read);
    close_fd(&console->out_fd);
}

/* Whether a reader could keep us waiting. */
static bool can_stall(const struct stat *st, int fd)
{
    return S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode) || (S_ISCHR(st->st_mode) && isatty(fd));
}

int console_open(struct api_console *console, int fd, struct husk_rate rate)
{
    struct stat st;
    int ends[2], code;

    console_init(console);
    console->out_fd = fd;
    if (fstat(fd, &st) < 0)
        goto failed;
    console->is_socket = S_ISSOCK(st.st_mode);
    if (!can_stall(&st, fd) && !rate.per_second)
        return 0;
    token_bucket_init(&console->limit, rate.per_second, rate.burst, monotonic_ns());
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        goto failed;
    console->pipe_read = ends[0];
    console->pipe_write = ends[1];
    /* Refused above a user's limit; then the default of 64 KiB has to do. */
    (void)fcntl(console->pipe_write, F_SETPIPE_SZ, PIPE_BYTES);
    return 0;

failed:
    code = errno;
    close_all(console);
    return -code;
}

int console_vm_fd(const struct api_console *console)
{
    return console->pipe_write >= 0 ? console->pipe_write : console->out_fd;
}

static bool waiting(const struct api_console *console)
{
    return console->pending_from < console->pending_to;
}

void console_poll(const struct api_console *console, struct pollfd *out)
{
    if (waiting(console))
        *out = (struct pollfd){.fd = console->out_fd, .events = POLLOUT};
    else
        *out = (struct pollfd){.fd = console->pipe_read, .events = POLLIN};
}

int console_timeout_ms(const struct api_console *console)
{
    uint64_t now_ns = monotonic_ns(), end_ns = console->waiting_since_ns + PATIENCE_NS;

    if (!waiting(console))
        return -1;
    return now_ns >= end_ns ? 0 : (int)((end_ns - now_ns + 999999) / 1000000);
}

static void drop(struct api_console *console)
{
    console->dropped_bytes += console->pending_to - console->pending_from;
    console->pending_from = console->pending_to = 0;
}

static ssize_t write_some(const struct api_console *console, const void *bytes, size_t len)
{
    struct pollfd ready = {.fd = console->out_fd, .events = POLLOUT};

    if (console->is_socket)
        return send(console->out_fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    /* A descriptor that could not be reopened may block: not for what poll() promised room for. */
    if (poll(&ready, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(console->out_fd, bytes, len);
}

/* Try to get rid of what is pending. False when it has to wait. */
static bool write_pending(struct api_console *console)
{
    ssize_t n = write_some(console, console->pending + console->pending_from,
                           console->pending_to - console->pending_from);

    if (n > 0) {
        console->pending_from += (size_t)n;
        console->reader_gone = false;
        console->waiting_since_ns = monotonic_ns();
        return !waiting(console);
    }
    if (n < 0 && errno == EINTR)
        return false;
    /* Nobody will ever read what has no reader; somebody may, what waits. */
    if ((n < 0 && errno != EAGAIN) || console->reader_gone) {
        drop(console);
        return true;
    }
    if (monotonic_ns() - console->waiting_since_ns < PATIENCE_NS)
        return false;
    console->reader_gone = true;
    drop(console);
    return true;
}

/* Fetch the next chunk. False when there is none. */
static bool read_chunk(struct api_console *console)
{
    uint64_t wait_ns;
    ssize_t n = read(console->pipe_read, console->pending, sizeof(console->pending));

    if (n <= 0)
        return false;
    console->pending_from = 0;
    console->pending_to = (size_t)n;
    console->waiting_since_ns = monotonic_ns();
    if (console->limit.rate_per_s &&
        !token_bucket_take(&console->limit, (uint64_t)n, console->waiting_since_ns, &wait_ns))
        drop(console);
    return true;
}

void console_run(struct api_console *console)
{
    for (unsigned i = 0; i < CHUNKS_A_TURN && console->pipe_read >= 0; i++) {
        if (waiting(console) && !write_pending(console))
            return;
        if (!waiting(console) && !read_chunk(console))
            return;
    }
}

void console_close(struct api_console *console)
{
    uint64_t end_ns = monotonic_ns() + FAREWELL_NS;

    close_fd(&console->pipe_write);
    for (uint64_t now_ns; console->pipe_read >= 0 && (now_ns = monotonic_ns()) < end_ns;) {
        struct pollfd fd;

        if (!waiting(console) && !read_chunk(console))
            break;
        console_run(console);
        if (!waiting(console))
            continue;
        console_poll(console, &fd);
        poll(&fd, 1, (int)((end_ns - now_ns) / 1000000) + 1);
    }
    close_all(console);
}
