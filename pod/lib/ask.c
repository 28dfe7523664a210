// SPDX-License-Identifier: Apache-2.0
/* What a pod uses, its processes, and connections into it: one request each. */
#include <errno.h>
#include <fcntl.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/lib/pods.h"

int husk_pod_stats(struct husk_pods *pods, const char *name, char **json, struct husk_error *err)
{
    json_t *result = NULL;
    int ret = pods_ask(pods, name, "stats", NULL, &result, err);

    return ret ? ret : pods_text(result, json, err);
}

int husk_pod_processes(struct husk_pods *pods, const char *name, const char *container, char **json,
                       struct husk_error *err)
{
    char meant[POD_CONTAINER_BYTES];
    json_t *result = NULL;
    struct entry *pod;
    int ret = pods_find(pods, name, &pod, err);

    if (ret)
        return ret;
    ret = pods_container_of(pod, name, container, meant, err);
    entry_close(pod);
    if (!ret)
        ret =
            pods_ask(pods, name, "processes", json_pack("{s:s}", "container", meant), &result, err);
    return ret ? ret : pods_text(result, json, err);
}

/* The descriptor of an answer; blocking, as a caller expects. */
static int take_connection(struct control_message *answer, int *fd, struct husk_error *err)
{
    if (answer->fd_count != 1 || fcntl(answer->fds[0], F_SETFL, 0) < 0)
        return error_set(err, EPROTO, "the pod's supervisor", "cannot be understood",
                         "it sent no connection");
    *fd = answer->fds[0];
    answer->fds[0] = -1;
    return 0;
}

int husk_pod_dial(struct husk_pods *pods, const char *name, const char *address, uint16_t port,
                  int *fd, struct husk_error *err)
{
    json_t *params = address ? json_pack("{s:s, s:i}", "address", address, "port", port)
                             : json_pack("{s:i}", "port", port);
    struct control_message answer = {.fds = {-1, -1, -1}};
    struct control_client *client = NULL;
    struct entry *pod = NULL;
    int ret = pods_find(pods, name, &pod, err);

    if (!ret)
        ret = pods_connect(pod, name, &client, err);
    if (ret)
        json_decref(params);
    else
        ret = control_client_call(client, "dial", params, &answer, err);
    if (ret == -EIO) { /* it was tried inside the pod, and failed */
        if (err)
            err->code = ECONNREFUSED;
        ret = -ECONNREFUSED;
    }
    if (!ret)
        ret = take_connection(&answer, fd, err);
    control_message_clear(&answer);
    control_client_close(client);
    entry_close(pod);
    return ret;
}
