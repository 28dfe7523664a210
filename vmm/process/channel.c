// SPDX-License-Identifier: Apache-2.0
/* Messages with descriptors: see channel.h. */
#include "vmm/process/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"

union fd_control {
    struct cmsghdr header;
    char space[CMSG_SPACE(PROTOCOL_FDS_MAX * sizeof(int))];
};

void message_begin(struct message *message, struct wire_writer *writer, enum protocol_kind kind)
{
    message->len = 0;
    message->fd_count = 0;
    message->fds_taken = 0;
    wire_writer_init(writer, message->bytes, sizeof(message->bytes));
    wire_put_u8(writer, (uint8_t)kind);
}

void message_put_fd(struct message *message, struct wire_writer *writer, int fd)
{
    wire_put_u8(writer, fd >= 0);
    if (fd < 0)
        return;
    if (message->fd_count == PROTOCOL_FDS_MAX)
        writer->bad = true;
    else
        message->fds[message->fd_count++] = fd;
}

/* 0 when one of `events` (or the peer's end) is there, -ETIMEDOUT, or -errno. */
static int wait_for(int fd, short events, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    uint64_t deadline_ns = monotonic_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000;

    for (;;) {
        int ready = poll(&poll_fd, 1, timeout_ms);
        uint64_t now_ns;

        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return -errno;
        now_ns = monotonic_ns();
        if (timeout_ms >= 0 && now_ns >= deadline_ns)
            return -ETIMEDOUT;
        if (timeout_ms >= 0)
            timeout_ms = (int)((deadline_ns - now_ns + 999999) / 1000000);
    }
}

int message_send(int fd, struct message *message, const struct wire_writer *writer, int timeout_ms)
{
    struct iovec iov = {.iov_base = message->bytes, .iov_len = wire_written(writer)};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};
    union fd_control control;

    if (writer->bad)
        return -E2BIG;
    if (message->fd_count > 0) {
        size_t bytes = message->fd_count * sizeof(int);

        memset(&control, 0, sizeof(control));
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(bytes);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(&control.header), message->fds, bytes);
    }
    for (;;) {
        int ret;

        if (sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            return 0;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return -errno;
        if (timeout_ms == 0)
            return -EAGAIN;
        ret = wait_for(fd, POLLOUT, timeout_ms);
        if (ret)
            return ret == -ETIMEDOUT ? -EAGAIN : ret;
    }
}

/* More than one SCM_RIGHTS never comes from the kernel, whatever the peer sent. */
static void collect_fds(struct message *message, struct msghdr *header)
{
    for (struct cmsghdr *at = CMSG_FIRSTHDR(header); at; at = CMSG_NXTHDR(header, at)) {
        size_t bytes = at->cmsg_len - CMSG_LEN(0);

        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS || message->fd_count > 0)
            continue;
        message->fd_count = (unsigned)(bytes / sizeof(int));
        memcpy(message->fds, CMSG_DATA(at), message->fd_count * sizeof(int));
    }
}

static int receive(int fd, struct message *message, struct wire_reader *reader, int timeout_ms,
                   bool with_fds)
{
    struct iovec iov = {.iov_base = message->bytes, .iov_len = sizeof(message->bytes)};
    union fd_control control;
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = with_fds ? &control : NULL,
                            .msg_controllen = with_fds ? sizeof(control) : 0};
    ssize_t n;

    message->fd_count = message->fds_taken = 0;
    do {
        int ret = wait_for(fd, POLLIN, timeout_ms);

        if (ret)
            return ret;
        n = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (n < 0 && (errno == EINTR || (errno == EAGAIN && timeout_ms != 0)));
    if (n < 0)
        return errno == EAGAIN ? -ETIMEDOUT : errno == ECONNRESET ? 0 : -errno;
    collect_fds(message, &header);
    message->len = (size_t)n;
    if (n == 0 && message->fd_count == 0)
        return 0;
    wire_reader_init(reader, message->bytes, message->len);
    if (n == 0 || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || message->bytes[0] == 0) {
        message_release(message);
        return -EPROTO;
    }
    return wire_get_u8(reader);
}

int message_receive(int fd, struct message *message, struct wire_reader *reader, int timeout_ms)
{
    return receive(fd, message, reader, timeout_ms, true);
}

/* Without room for them the kernel lets descriptors go, and says so (MSG_CTRUNC). */
int message_receive_plain(int fd, struct message *message, struct wire_reader *reader,
                          int timeout_ms)
{
    return receive(fd, message, reader, timeout_ms, false);
}

int message_take_fd(struct message *message, struct wire_reader *reader)
{
    int fd;

    if (!wire_get_u8(reader))
        return -1;
    if (message->fds_taken == message->fd_count) {
        reader->bad = true;
        return -1;
    }
    fd = message->fds[message->fds_taken];
    message->fds[message->fds_taken++] = -1;
    return fd;
}

void message_release(struct message *message)
{
    for (unsigned i = message->fds_taken; i < message->fd_count; i++)
        close_fd(&message->fds[i]);
    message->fd_count = message->fds_taken = 0;
}

void wire_put_error(struct wire_writer *writer, const struct husk_error *error)
{
    wire_put_u32(writer, (uint32_t)error->code);
    wire_put_string(writer, error->where);
    wire_put_string(writer, error->what);
    wire_put_string(writer, error->why);
}

void wire_get_text(struct wire_reader *reader, char *out, size_t size)
{
    const char *text = wire_get_string(reader);

    snprintf(out, size, "%s", text ? text : "");
    for (; *out; out++) {
        if ((unsigned char)*out < 0x20 || *out == 0x7f)
            *out = '?';
        /* U+0080 to U+009F are controls, too: terminals obey U+009B as they do ESC [. */
        if ((unsigned char)out[0] == 0xc2 && ((unsigned char)out[1] & 0xe0) == 0x80)
            out[0] = out[1] = '?';
    }
}

void wire_get_error(struct wire_reader *reader, struct husk_error *error)
{
    uint32_t code = wire_get_u32(reader);

    error->code = code > 0 && code < 4096 ? (int)code : EPROTO;
    wire_get_text(reader, error->where, sizeof(error->where));
    wire_get_text(reader, error->what, sizeof(error->what));
    wire_get_text(reader, error->why, sizeof(error->why));
}

void wire_put_rate(struct wire_writer *writer, const struct husk_rate *rate)
{
    wire_put_u64(writer, rate->per_second);
    wire_put_u64(writer, rate->burst);
}

void wire_get_rate(struct wire_reader *reader, struct husk_rate *rate)
{
    rate->per_second = wire_get_u64(reader);
    rate->burst = wire_get_u64(reader);
}
