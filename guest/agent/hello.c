// SPDX-License-Identifier: Apache-2.0
/* The hello: see hello.h. No state. */
#include "guest/agent/hello.h"

#include <errno.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "guest/agent/container.h"
#include "guest/agent/request.h"
#include "guest/agent/stream.h"
#include "husk/agent.h"

#define ANSWER_MAX 4096 /* an error with every byte escaped is shorter */

static int check_version(const struct node *hello, unsigned *common, struct husk_error *err)
{
    int64_t major = -1, minor = -1;
    struct node version = node_member(hello, "husk");
    int ret = node_need(&version, err);

    if (!ret)
        ret = node_integer(&version, "major", 0, INT32_MAX, &major, NULL, err);
    if (!ret)
        ret = node_integer(&version, "minor", 0, INT32_MAX, &minor, NULL, err);
    if (ret)
        return ret;
    if (major < 0 || minor < 0)
        return node_error(&version, EINVAL, err, "needs major and minor");
    if (major != HUSK_AGENT_MAJOR)
        return error_set(err, EPROTONOSUPPORT, "husk.major", "the versions do not fit",
                         "the host speaks %lld.%lld, the agent %d.%d", (long long)major,
                         (long long)minor, HUSK_AGENT_MAJOR, HUSK_AGENT_MINOR);
    *common = minor < HUSK_AGENT_MINOR ? (unsigned)minor : HUSK_AGENT_MINOR;
    return 0;
}

static int find_stream(const struct agent *agent, const struct node *hello, struct stream **out,
                       struct husk_error *err)
{
    const char *container_name = NULL, *process_name = NULL, *stream_text = NULL;
    const struct container *container;
    const struct process *process;
    enum stream_name name;
    int ret = node_need_text(hello, "container", 1, HUSK_AGENT_NAME_MAX, &container_name, err);

    if (!ret)
        ret = node_text(hello, "process", 1, HUSK_AGENT_NAME_MAX, &process_name, err);
    if (!ret)
        ret = node_need_text(hello, "stream", 1, HUSK_AGENT_NAME_MAX, &stream_text, err);
    if (ret)
        return ret;
    container = container_find(agent, container_name, err);
    process = container ? container_find_process(container, process_name, err) : NULL;
    if (!process)
        return -ENOENT;
    if (!stream_find_name(stream_text, &name) || !process->streams[name])
        return error_set(err, ENOENT, stream_text, "the process has no such stream", "%s", "");
    if (stream_is_attached(process->streams[name]))
        return error_set(err, ESTALE, stream_text, "has a connection already", "%s", "");
    *out = process->streams[name];
    return 0;
}

int hello_read(const struct agent *agent, const json_t *message, struct hello *out,
               struct husk_error *err)
{
    static const char *const roles[] = {"control", "stream", "dial"};
    static const char *const members[] = {"husk",   "role",    "container", "process",
                                          "stream", "address", "port",      NULL};
    const struct node hello = node_root(message, "hello");
    struct node role = node_member(&hello, "role");
    unsigned which = 0;
    int ret = check_version(&hello, &out->minor, err);

    if (!ret)
        ret = node_only(&hello, members, err);
    if (!ret)
        ret = node_need(&role, err);
    if (!ret)
        ret = node_choice(&hello, "role", roles, ARRAY_SIZE(roles), &which, NULL, err);
    if (ret)
        return ret;
    out->role = (enum hello_role)which;
    if (out->role == HELLO_STREAM)
        ret = find_stream(agent, &hello, &out->stream, err);
    else if (out->role == HELLO_DIAL)
        ret = relay_address(&hello, &out->address, err);
    return ret;
}

/* A new object. */
static json_t *answer_of(const struct agent *agent, const struct husk_error *error)
{
    if (error)
        return json_pack("{s:o}", "error", request_error_json(error));
    return json_pack("{s:{s:i, s:i}, s:s, s:b}", "husk", "major", HUSK_AGENT_MAJOR, "minor",
                     HUSK_AGENT_MINOR, "agent", HUSK_VERSION, "booted", agent->booted);
}

int hello_send(const struct agent *agent, int fd, const struct husk_error *error)
{
    json_t *answer = answer_of(agent, error);
    char frame[4 + ANSWER_MAX];
    size_t len = answer ? json_dumpb(answer, frame + 4, ANSWER_MAX, JSON_COMPACT) : 0;
    ssize_t sent;

    json_decref(answer);
    if (!len || len > ANSWER_MAX)
        return -ENOMEM;
    put_le32(frame, (uint32_t)len);
    sent = send(fd, frame, 4 + len, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == (ssize_t)(4 + len) ? 0 : -EPIPE;
}
