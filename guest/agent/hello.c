// SPDX-License-Identifier: Apache-2.0
/* The hello: see hello.h. No state. */
#include "guest/agent/hello.h"

#include <errno.h>
#include <stdint.h>

#include "guest/agent/container.h"
#include "guest/agent/request.h"
#include "guest/agent/stream.h"
#include "husk/agent.h"

static int check_version(const struct node *hello, struct husk_error *err)
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

int hello_read(const struct agent *agent, const json_t *message, struct stream **stream,
               struct husk_error *err)
{
    static const char *const roles[] = {"control", "stream"};
    static const char *const members[] = {"husk", "role", "container", "process", "stream", NULL};
    const struct node hello = node_root(message, "hello");
    struct node role = node_member(&hello, "role");
    unsigned which = 0;
    int ret = check_version(&hello, err);

    if (!ret)
        ret = node_only(&hello, members, err);
    if (!ret)
        ret = node_need(&role, err);
    if (!ret)
        ret = node_choice(&hello, "role", roles, 2, &which, NULL, err);
    if (!ret && which == 1)
        ret = find_stream(agent, &hello, stream, err);
    return ret;
}

json_t *hello_answer(const struct agent *agent, const struct husk_error *error)
{
    if (error)
        return json_pack("{s:o}", "error", request_error_json(error));
    return json_pack("{s:{s:i, s:i}, s:s, s:b}", "husk", "major", HUSK_AGENT_MAJOR, "minor",
                     HUSK_AGENT_MINOR, "agent", HUSK_VERSION, "booted", agent->booted);
}
