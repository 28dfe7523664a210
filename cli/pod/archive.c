// SPDX-License-Identifier: Apache-2.0
/* Both ends of an archive's way: see archive.h. pack.c and unpack.c are about what is in it. */
#include "cli/pod/archive.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

static int begin(const struct archive_place *place, const struct archive_request *request,
                 struct archive_stream *out, struct husk_error *err)
{
    *out = (struct archive_stream){
        .place = place, .path = request->path, .put = request->put, .data = -1, .errors = -1};
    return place->ops->open(place->peer, request, &out->process, &out->data, &out->errors, err);
}

int archive_put_open(const struct archive_place *place, const char *path,
                     struct archive_stream *out, struct husk_error *err)
{
    struct archive_request request = {.path = path, .put = true};

    return begin(place, &request, out, err);
}

int archive_get_open(const struct archive_place *place, const char *path, bool content,
                     struct archive_stream *out, struct husk_error *err)
{
    struct archive_request request = {.path = path, .content = content};

    return begin(place, &request, out, err);
}

/* The one line that a failure has. */
static void read_reason(int fd, char *text, size_t size)
{
    size_t len = 0;
    ssize_t n;

    while (len + 1 < size && (n = read(fd, text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    make_printable(text);
}

int archive_close(struct archive_stream *stream, struct husk_error *err)
{
    char why[256];
    int status, ret;

    /* Input ends in good order and stays open; output that nobody reads must not hold its writer.
     */
    shutdown(stream->data, stream->put ? SHUT_WR : SHUT_RD);
    read_reason(stream->errors, why, sizeof(why));
    ret = stream->place->ops->wait(stream->place->peer, stream->process, &status, err);
    close_fd(&stream->data);
    close_fd(&stream->errors);
    if (!ret && status)
        ret = error_set(err, EIO, stream->path, "cannot be copied", "%s",
                        why[0] ? why : "the container's side broke off");
    return ret;
}

int archive_finish(struct archive_stream *stream, int ret, struct husk_error *err)
{
    struct husk_error theirs = {0};
    int end = archive_close(stream, &theirs);

    if (end && (!ret || ret == -EPIPE || ret == -ENODATA)) {
        *err = theirs;
        return end;
    }
    return ret;
}

int archive_put_path(const struct archive_place *place, const char *source, const char *directory,
                     const char *name, struct husk_error *err)
{
    struct archive_stream stream;
    int ret;

    if (access(source, F_OK) < 0)
        return error_set(err, errno, source, "cannot be copied", NULL);
    ret = archive_put_open(place, directory, &stream, err);
    return ret ? ret : archive_finish(&stream, archive_pack(stream.data, source, name, err), err);
}
