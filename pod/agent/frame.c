// SPDX-License-Identifier: Apache-2.0
/* Frames: see frame.h. No state but the caller's. */
#include "pod/agent/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/io.h"
#include "husk/agent.h"
#include "pod/image/json.h"

#define FIRST_SPACE 4096

_Static_assert(IMAGE_JSON_DEPTH_MAX == HUSK_AGENT_JSON_DEPTH, "one reader for both");

/* Descriptors that go out with one of the bytes that wait. */
struct frame_fds {
    struct frame_fds *next;
    size_t before; /* how many bytes go out before that one */
    unsigned count;
    int fds[FRAME_FDS_MAX];
};

/* ---- reading ---- */

static void close_fds(struct frame_reader *reader)
{
    for (unsigned i = 0; i < reader->fd_count; i++)
        close_fd(&reader->fds[i]);
    reader->fd_count = 0;
}

static void forget_body(struct frame_reader *reader)
{
    free(reader->body);
    reader->body = NULL;
    reader->body_len = reader->body_size = reader->body_space = 0;
    reader->header_len = 0;
}

void frame_reader_clear(struct frame_reader *reader)
{
    forget_body(reader);
    close_fds(reader);
}

/* False when there were more than the peer may send. */
static bool keep_fds(struct frame_reader *reader, struct msghdr *message)
{
    bool good = !(message->msg_flags & MSG_CTRUNC);

    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(at) + i * sizeof(fd), sizeof(fd));
            if (reader->fd_count < reader->fds_max) {
                reader->fds[reader->fd_count++] = fd;
            } else {
                close_fd(&fd);
                good = false;
            }
        }
    }
    return good;
}

/* How much came; 0 when nothing is there now; -ENODATA at the end; -errno. */
static ssize_t receive(struct frame_reader *reader, int socket, void *to, size_t len)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
    struct iovec part = {.iov_base = to, .iov_len = len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t got;

    /* Without room for them the kernel closes descriptors that a peer sends. */
    if (reader->fds_max) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
    }
    got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (reader->fds_max && !keep_fds(reader, &message))
        return -EPROTO;
    return got == 0 ? -ENODATA : got;
}

static int make_space(struct frame_reader *reader)
{
    size_t space = reader->body_space ? 2 * reader->body_space : FIRST_SPACE;
    char *grown;

    if (reader->body_len < reader->body_space)
        return 0;
    if (space > reader->body_size)
        space = reader->body_size;
    grown = realloc(reader->body, space);
    if (!grown)
        return -ENOMEM;
    reader->body = grown;
    reader->body_space = space;
    return 0;
}

/* One receive; as that, and 1 or more when the caller should go on. */
static ssize_t read_step(struct frame_reader *reader, int socket)
{
    ssize_t got;

    if (reader->header_len < FRAME_HEADER_SIZE) {
        if (reader->header_len == 0)
            close_fds(reader);
        got = receive(reader, socket, reader->header + reader->header_len,
                      FRAME_HEADER_SIZE - reader->header_len);
        if (got == -ENODATA && reader->header_len > 0)
            return -ECONNRESET;
        if (got <= 0)
            return got;
        reader->header_len += (size_t)got;
        if (reader->header_len < FRAME_HEADER_SIZE)
            return got;
        reader->body_size = get_le32(reader->header);
        return reader->body_size < 2 || reader->body_size > reader->limit ? -ERANGE : got;
    }
    if (make_space(reader))
        return -ENOMEM;
    got = receive(reader, socket, reader->body + reader->body_len,
                  reader->body_space - reader->body_len);
    if (got == -ENODATA)
        return -ECONNRESET;
    if (got > 0)
        reader->body_len += (size_t)got;
    return got;
}

static int fail(const struct frame_reader *reader, int code, const char *where,
                struct husk_error *err)
{
    switch (code) {
    case ENODATA:
        return error_set(err, code, where, "the connection was closed", "%s", "");
    case ERANGE:
        return error_set(err, EPROTO, where, "does not keep to the protocol",
                         "a frame of %zu bytes; 2 to %zu are allowed", reader->body_size,
                         reader->limit);
    case EPROTO:
        return error_set(err, code, where, "does not keep to the protocol",
                         "it sends descriptors that nobody asked for");
    default:
        return error_set(err, code, where, "the connection broke", NULL);
    }
}

int frame_read(struct frame_reader *reader, int socket, const char *where, json_t **out,
               struct husk_error *err)
{
    struct husk_error problem = {.code = 0};
    json_t *object;

    while (reader->header_len < FRAME_HEADER_SIZE || reader->body_len < reader->body_size) {
        ssize_t got = read_step(reader, socket);

        if (got == 0)
            return 0;
        if (got < 0)
            return fail(reader, (int)-got, where, err);
    }
    object = image_json_parse(reader->body, reader->body_len, where, &problem);
    forget_body(reader);
    if (!object)
        return error_set(err, EPROTO, where, "does not keep to the protocol", "its message %s: %s",
                         problem.what, problem.why);
    *out = object;
    return 1;
}

unsigned frame_take_fds(struct frame_reader *reader, int fds[FRAME_FDS_MAX])
{
    unsigned count = reader->fd_count;

    memcpy(fds, reader->fds, count * sizeof(fds[0]));
    reader->fd_count = 0;
    return count;
}

/* ---- writing ---- */

static void free_fds(struct frame_fds *passed)
{
    for (unsigned i = 0; i < passed->count; i++)
        close_fd(&passed->fds[i]);
    free(passed);
}

void frame_writer_clear(struct frame_writer *writer)
{
    while (writer->passed) {
        struct frame_fds *passed = writer->passed;

        writer->passed = passed->next;
        free_fds(passed);
    }
    free(writer->bytes);
    writer->bytes = NULL;
    writer->start = writer->len = writer->space = 0;
}

size_t frame_waiting(const struct frame_writer *writer)
{
    return writer->len;
}

static int reserve(struct frame_writer *writer, size_t len)
{
    char *grown;

    if (writer->start + writer->len + len <= writer->space)
        return 0;
    if (writer->len)
        memmove(writer->bytes, writer->bytes + writer->start, writer->len);
    writer->start = 0;
    if (writer->len + len <= writer->space)
        return 0;
    grown = realloc(writer->bytes, writer->len + len);
    if (!grown)
        return -ENOMEM;
    writer->bytes = grown;
    writer->space = writer->len + len;
    return 0;
}

int frame_queue_fds(struct frame_writer *writer, const json_t *message, size_t frame_max,
                    const int *fds, unsigned fd_count)
{
    size_t len = message ? json_dumpb(message, NULL, 0, JSON_COMPACT) : 0;
    struct frame_fds *passed = NULL, **tail = &writer->passed;
    char *to;

    if (!len || fd_count > FRAME_FDS_MAX)
        return -EINVAL;
    if (len > frame_max)
        return -EMSGSIZE;
    if (writer->len + FRAME_HEADER_SIZE + len > writer->limit)
        return -ENOBUFS;
    if (fd_count) {
        passed = calloc(1, sizeof(*passed));
        if (!passed)
            return -ENOMEM;
    }
    if (reserve(writer, FRAME_HEADER_SIZE + len)) {
        free(passed);
        return -ENOMEM;
    }
    if (passed) {
        passed->before = writer->len;
        passed->count = fd_count;
        memcpy(passed->fds, fds, fd_count * sizeof(fds[0]));
        while (*tail)
            tail = &(*tail)->next;
        *tail = passed;
    }
    to = writer->bytes + writer->start + writer->len;
    put_le32(to, (uint32_t)len);
    (void)json_dumpb(message, to + FRAME_HEADER_SIZE, len, JSON_COMPACT);
    writer->len += FRAME_HEADER_SIZE + len;
    return 0;
}

int frame_queue(struct frame_writer *writer, const json_t *message, size_t frame_max)
{
    return frame_queue_fds(writer, message, frame_max, NULL, 0);
}

/* Up to the next descriptors, or with them up to those behind. */
static ssize_t send_part(const struct frame_writer *writer, int socket, bool *with_fds)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
    struct iovec part = {.iov_base = writer->bytes + writer->start, .iov_len = writer->len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    const struct frame_fds *passed = writer->passed;
    struct cmsghdr *header;

    *with_fds = passed && passed->before == 0;
    if (*with_fds) {
        size_t size = passed->count * sizeof(int);

        memset(control, 0, sizeof(control));
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(size);
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(header), passed->fds, size);
        passed = passed->next;
    }
    if (passed)
        part.iov_len = passed->before;
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int frame_flush(struct frame_writer *writer, int socket)
{
    while (writer->len) {
        bool with_fds;
        ssize_t sent = send_part(writer, socket, &with_fds);

        if (sent < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        if (with_fds) {
            struct frame_fds *passed = writer->passed;

            writer->passed = passed->next;
            free_fds(passed);
        }
        for (struct frame_fds *at = writer->passed; at; at = at->next)
            at->before -= (size_t)sent;
        writer->start += (size_t)sent;
        writer->len -= (size_t)sent;
    }
    frame_writer_clear(writer);
    return 0;
}
