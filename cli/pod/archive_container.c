// SPDX-License-Identifier: Apache-2.0
/* Archives of a container: see archive_container.h. */
#include "cli/pod/archive_container.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "cli/pod/pod.h"

/* The descriptors by the names that the answer gives them; blocking from now on. */
static int take_streams(struct control_message *answer, void **process, int *data, int *errors)
{
    const json_t *names = json_object_get(answer->body, "streams");
    const char *given = json_string_value(json_object_get(answer->body, "process"));

    if (!given || json_array_size(names) != answer->fd_count)
        return -EPROTO;
    for (unsigned i = 0; i < answer->fd_count; i++) {
        const char *name = json_string_value(json_array_get(names, i));
        int *to = name && !strcmp(name, "stderr") ? errors : data;

        if (*to >= 0 || fcntl(answer->fds[i], F_SETFL, 0) < 0)
            return -EPROTO;
        *to = answer->fds[i];
        answer->fds[i] = -1;
    }
    if (*data < 0 || *errors < 0)
        return -EPROTO;
    *process = strdup(given);
    return *process ? 0 : -ENOMEM;
}

static json_t *params_of(const struct archive_request *request)
{
    if (request->put)
        return json_pack("{s:s, s:b}", "path", request->path, "create", 1);
    return json_pack("{s:s, s:b, s:b}", "path", request->path, "follow", !request->content,
                     "content", request->content);
}

static int open_archive(void *peer, const struct archive_request *request, void **process,
                        int *data, int *errors, struct husk_error *err)
{
    struct control_message answer = {.fds = {-1, -1, -1}};
    int ret = control_client_call(peer, request->put ? "archive.put" : "archive.get",
                                  params_of(request), &answer, err);

    if (!ret) {
        ret = take_streams(&answer, process, data, errors);
        if (ret) {
            close_fd(data);
            close_fd(errors);
            error_set(err, -ret, "the supervisor", "cannot be understood",
                      "it sent other streams than it said");
        }
    }
    control_message_clear(&answer);
    return ret;
}

static int wait_for(void *peer, void *process, int *status, struct husk_error *err)
{
    struct control_message answer;
    int ret =
        control_client_call(peer, "wait", json_pack("{s:s}", "process", process), &answer, err);

    free(process);
    if (!ret) {
        ret = pod_exit_status(answer.body, status, err);
        control_message_clear(&answer);
    }
    return ret;
}

struct archive_place archive_container(struct control_client *client)
{
    static const struct archive_ops ops = {.open = open_archive, .wait = wait_for};

    return (struct archive_place){.ops = &ops, .peer = client};
}
