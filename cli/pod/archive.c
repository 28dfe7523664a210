// SPDX-License-Identifier: Apache-2.0
/* Both ends of an archive's way: see archive.h. pack.c and unpack.c are about what is in it. */
#include "cli/pod/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/pod/pod.h"

/* The descriptors by the names that the answer gives them; blocking from now on. */
static int take_streams(struct control_message *answer, struct archive_stream *out)
{
    const json_t *names = json_object_get(answer->body, "streams");
    const char *process = json_string_value(json_object_get(answer->body, "process"));

    if (!process || strlen(process) >= sizeof(out->process) ||
        json_array_size(names) != answer->fd_count)
        return -EPROTO;
    snprintf(out->process, sizeof(out->process), "%s", process);
    for (unsigned i = 0; i < answer->fd_count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        int *to = name && !strcmp(name, "stderr") ? &out->errors : &out->data;

        if (*to >= 0 || fcntl(answer->fds[i], F_SETFL, 0) < 0)
            return -EPROTO;
        *to = answer->fds[i];
        answer->fds[i] = -1;
    }
    return out->data >= 0 && out->errors >= 0 ? 0 : -EPROTO;
}

static int begin(struct control_client *client, const char *method, const char *path,
                 json_t *params, struct archive_stream *out, struct husk_error *err)
{
    struct control_message answer = {.fds = {-1, -1, -1}};
    int ret;

    *out = (struct archive_stream){.client = client, .path = path, .data = -1, .errors = -1};
    ret = control_client_call(client, method, params, &answer, err);
    if (!ret && take_streams(&answer, out)) {
        close_fd(&out->data);
        close_fd(&out->errors);
        ret = error_set(err, EPROTO, "the supervisor", "cannot be understood",
                        "it sent other streams than it said");
    }
    control_message_clear(&answer);
    return ret;
}

int archive_put_open(struct control_client *client, const char *path, struct archive_stream *out,
                     struct husk_error *err)
{
    int ret = begin(client, "archive.put", path, json_pack("{s:s, s:b}", "path", path, "create", 1),
                    out, err);

    out->put = true;
    return ret;
}

int archive_get_open(struct control_client *client, const char *path, bool content,
                     struct archive_stream *out, struct husk_error *err)
{
    return begin(client, "archive.get", path,
                 json_pack("{s:s, s:b, s:b}", "path", path, "follow", !content, "content", content),
                 out, err);
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
    struct control_message answer;
    char why[256];
    int status, ret;

    /* Input ends in good order and stays open; output that nobody reads must not hold its writer.
     */
    shutdown(stream->data, stream->put ? SHUT_WR : SHUT_RD);
    read_reason(stream->errors, why, sizeof(why));
    ret = control_client_call(stream->client, "wait",
                              json_pack("{s:s}", "process", stream->process), &answer, err);
    if (!ret) {
        ret = pod_exit_status(answer.body, &status, err);
        control_message_clear(&answer);
    }
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

int archive_put_path(struct control_client *client, const char *source, const char *directory,
                     const char *name, struct husk_error *err)
{
    struct archive_stream stream;
    int ret;

    if (access(source, F_OK) < 0)
        return error_set(err, errno, source, "cannot be copied", NULL);
    ret = archive_put_open(client, directory, &stream, err);
    return ret ? ret : archive_finish(&stream, archive_pack(stream.data, source, name, err), err);
}
