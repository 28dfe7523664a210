// SPDX-License-Identifier: Apache-2.0
/* What the agent says: see answer.h. No state. */
#include "pod/agent/answer.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/image/json.h"

#define SIGNAL_MAX 64u
#define TEXT_MAX   4096u

static const char broken[] = "does not keep to the protocol";

static const struct {
    const char *name;
    int code;
} codes[] = {
    {"invalid", EINVAL},   {"unsupported", ENOTSUP},
    {"not-found", ENOENT}, {"exists", EEXIST},
    {"state", EBUSY},      {"limit", ENOSPC},
    {"failed", EIO},       {"version", EPROTONOSUPPORT},
};

const char *agent_error_code(int code)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (codes[i].code == code)
            return codes[i].name;
    }
    return "failed";
}

bool agent_name_valid(const char *name)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(name);

    return len > 0 && len <= HUSK_AGENT_NAME_MAX && strspn(name, good) == len &&
           !strchr("._-", name[0]);
}

static int read_name(const json_t *object, const char *key, const char *where, char *out,
                     struct husk_error *err)
{
    const json_t *member = json_object_get(object, key);

    if (!json_is_string(member) || !agent_name_valid(json_string_value(member)))
        return error_set(err, EPROTO, where, broken, "\"%s\" is no name", key);
    memcpy(out, json_string_value(member), json_string_length(member) + 1);
    return 0;
}

static int read_number(const json_t *object, const char *key, uint64_t max, uint64_t *out,
                       const char *where, struct husk_error *err)
{
    struct husk_error problem;

    if (image_json_u64(object, key, max, out, where, &problem))
        return error_set(err, EPROTO, where, broken, "it %s: %s", problem.what, problem.why);
    return 0;
}

int agent_read_exit(const json_t *exit, const char *where, struct agent_exit *out,
                    struct husk_error *err)
{
    const json_t *oom = json_object_get(exit, "oom");
    uint64_t status = 0, signal = 0;
    int ret;

    if (!json_is_object(exit))
        return error_set(err, EPROTO, where, broken, "the exit is no object");
    ret = read_number(exit, "status", UINT8_MAX, &status, where, err);
    if (!ret)
        ret = read_number(exit, "signal", SIGNAL_MAX, &signal, where, err);
    if (ret)
        return ret;
    if (!json_is_boolean(oom))
        return error_set(err, EPROTO, where, broken, "\"oom\" is neither true nor false");
    if (signal && status != 128 + signal)
        return error_set(err, EPROTO, where, broken, "status %u with signal %u", (unsigned)status,
                         (unsigned)signal);
    *out = (struct agent_exit){
        .status = (uint8_t)status, .signal = (uint8_t)signal, .oom = json_is_true(oom)};
    return 0;
}

int agent_read_event(const json_t *event, struct agent_event *out, struct husk_error *err)
{
    static const char where[] = "the agent's event";
    const char *name = json_string_value(json_object_get(event, "event"));
    int ret;

    memset(out, 0, sizeof(*out));
    if (!name)
        return error_set(err, EPROTO, where, broken, "it has no name");
    if (!strcmp(name, "exit")) {
        ret = read_name(event, "container", where, out->container, err);
        if (!ret)
            ret = read_name(event, "process", where, out->process, err);
        if (!ret)
            ret = agent_read_exit(json_object_get(event, "exit"), where, &out->exit, err);
        out->kind = AGENT_EVENT_EXIT;
        return ret;
    }
    if (!strcmp(name, "oom")) {
        ret = read_name(event, "container", where, out->container, err);
        if (!ret)
            ret = read_number(event, "kills", INT64_MAX, &out->kills, where, err);
        out->kind = AGENT_EVENT_OOM;
        return ret;
    }
    return 0;
}

int agent_read_pid(const json_t *result, const char *where, int *out, struct husk_error *err)
{
    uint64_t pid = 0;
    int ret = read_number(result, "pid", INT_MAX, &pid, where, err);

    if (!ret && pid == 0)
        ret = error_set(err, EPROTO, where, broken, "a process 0");
    if (!ret)
        *out = (int)pid;
    return ret;
}

/* NULL when it is none, or longer than any that an agent has to say. */
static const char *error_member(const json_t *error, const char *key)
{
    const json_t *text = json_object_get(error, key);

    return json_string_length(text) <= TEXT_MAX ? json_string_value(text) : NULL;
}

int agent_read_error(const json_t *error, struct husk_error *err)
{
    const char *code = error_member(error, "code"), *where = error_member(error, "where");
    const char *what = error_member(error, "what"), *why = error_member(error, "why");

    if (!code || !where || !what || !why)
        return error_set(err, EPROTO, "the agent's error", broken, "it lacks one of its texts");
    /* Whoever reads it must at least learn that something is wrong. */
    if (!*what)
        what = "the agent refuses";
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        if (!strcmp(codes[i].name, code))
            return error_set(err, codes[i].code, where, what, "%s", why);
    }
    return error_set(err, EIO, where, what, "%s", why);
}
