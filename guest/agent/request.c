// SPDX-License-Identifier: Apache-2.0
/* Requests: see request.h. No state. */
#include "guest/agent/request.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "guest/agent/pending.h"
#include "husk/agent.h"

#define ID_MAX ((int64_t)1 << 53)

static const char *code_name(int code)
{
    switch (code) {
    case EINVAL:
    case ERANGE:
    case ENAMETOOLONG:
        return "invalid";
    case ENOTSUP:
        return "unsupported";
    case ENOENT:
        return "not-found";
    case EEXIST:
        return "exists";
    case ESTALE:
        return "state";
    case E2BIG:
    case ENOSPC:
        return "limit";
    case EPROTONOSUPPORT:
        return "version";
    default:
        return "failed";
    }
}

json_t *request_error_json(const struct husk_error *error)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "code", code_name(error->code), "where", error->where,
                     "what", error->what, "why", error->why);
}

bool agent_name_is_good(const char *name)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(name);

    return len > 0 && len <= HUSK_AGENT_NAME_MAX && strspn(name, good) == len &&
           !strchr("._-", name[0]);
}

int request_name(const struct node *params, const char *key, const char **out,
                 struct husk_error *err)
{
    struct node member = node_member(params, key);
    int ret = node_need_text(params, key, 1, HUSK_AGENT_NAME_MAX, out, err);

    if (!ret && !agent_name_is_good(*out))
        ret = node_error(&member, EINVAL, err, "is no name of A-Z a-z 0-9 . _ -");
    return ret;
}

static const struct request_method *find(const char *name)
{
    const struct request_method *const tables[] = {container_methods, archive_methods,
                                                   contents_methods, pod_methods};

    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        for (const struct request_method *at = tables[i]; at->name; at++) {
            if (!strcmp(at->name, name))
                return at;
        }
    }
    return NULL;
}

static int carry_out(struct request *request, const struct node *message, struct husk_error *err)
{
    static const char *const members[] = {"id", "method", "params", NULL};
    const struct request_method *method;
    struct node member = node_member(message, "method");
    const char *name = NULL;
    bool waits = false;
    int ret = node_only(message, members, err);

    if (!ret)
        ret = node_need_text(message, "method", 1, 64, &name, err);
    if (!ret)
        ret = node_object(message, "params", &request->params, err);
    if (ret)
        return ret;
    method = find(name);
    if (!method)
        return node_error(&member, ENOTSUP, err, "this agent has no method \"%s\"", name);
    /* Errors name fields from the params down. */
    request->params = node_root(request->params.json, method->name);
    request->method = method->name;
    ret = node_only(&request->params, method->members, err);
    if (!ret)
        ret = pending_wait(request, &waits, err);
    return ret || waits ? ret : method->handle(request, err);
}

int request_handle(struct agent *agent, struct connection *connection, const json_t *message,
                   size_t bytes)
{
    const struct node node = node_root(message, "request");
    struct request request = {
        .agent = agent, .connection = connection, .message = message, .bytes = bytes, .id = -1};
    struct husk_error error = {.code = 0};
    int ret;

    if (node_integer(&node, "id", 0, ID_MAX - 1, &request.id, NULL, &error) || request.id < 0)
        return -EPROTO;
    request.result = json_object();
    if (!request.result)
        return -ENOMEM;
    ret = carry_out(&request, &node, &error);
    if (ret)
        connection_refuse(connection, request.id, &error);
    else if (!request.deferred)
        connection_answer(connection, request.id, json_incref(request.result));
    json_decref(request.result);
    return 0;
}
