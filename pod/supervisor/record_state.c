// SPDX-License-Identifier: Apache-2.0
/* state.json: see record.h. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/checked.h"
#include "pod/supervisor/record_internal.h"

static int decode_exit(const json_t *document, struct container_exit *out, const char *where,
                       struct husk_error *err)
{
    uint64_t status, number;
    const json_t *object;
    int ret = image_json_member(document, "exit", JSON_OBJECT, true, &object, where, err);

    if (ret == 0)
        ret = image_json_u64(object, "status", UINT8_MAX, &status, where, err);
    if (ret == 0)
        ret = image_json_u64(object, "signal", 64, &number, where, err);
    if (ret == 0)
        ret = record_flag(object, "oom", &out->oom, where, err);
    if (ret)
        return ret;
    out->status = (uint8_t)status;
    out->signal = (uint8_t)number;
    return 0;
}

static int decode_processes(const json_t *document, struct container_state *out, const char *where,
                            struct husk_error *err)
{
    uint64_t supervisor, machine;
    const json_t *object;
    int ret = image_json_member(document, "supervisor", JSON_OBJECT, true, &object, where, err);

    if (ret == 0)
        ret = image_json_u64(object, "pid", INT_MAX, &supervisor, where, err);
    if (ret == 0)
        ret = image_json_u64(object, "start", INT64_MAX, &out->supervisor_start, where, err);
    if (ret == 0)
        ret = image_json_u64(document, "machine_pid", INT_MAX, &machine, where, err);
    if (ret)
        return ret;
    out->supervisor_pid = (int)supervisor;
    out->machine_pid = (int)machine;
    return 0;
}

static int decode(const json_t *document, struct container_state *out, const char *where,
                  struct husk_error *err)
{
    const struct {
        const char *name;
        uint64_t *to;
    } numbers[] = {{"started_ns", &out->started_ns},
                   {"finished_ns", &out->finished_ns},
                   {"oom_kills", &out->oom_kills},
                   {"log_lost_lines", &out->log_lost_lines}};
    unsigned status = 0;
    int ret = record_version(document, where, err);

    if (ret == 0)
        ret = record_choice(document, "status", container_status_names,
                            ARRAY_SIZE(container_status_names), &status, where, err);
    out->status = status;
    for (unsigned i = 0; ret == 0 && i < ARRAY_SIZE(numbers); i++)
        ret = image_json_u64(document, numbers[i].name, INT64_MAX, numbers[i].to, where, err);
    if (ret == 0)
        ret = decode_processes(document, out, where, err);
    if (ret == 0)
        ret = image_json_text(document, "error", true, out->error, sizeof(out->error), where, err);
    if (ret == 0)
        ret = image_json_text(document, "log_error", true, out->log_error, sizeof(out->log_error),
                              where, err);
    out->ended = out->status == CONTAINER_EXITED || json_object_get(document, "exit");
    if (ret == 0 && out->ended)
        ret = decode_exit(document, &out->exit, where, err);
    return ret;
}

int container_state_decode(const void *bytes, size_t len, const char *where,
                           struct container_state *out, struct husk_error *err)
{
    json_t *document = image_json_parse(bytes, len, where, err);
    int ret;

    *out = (struct container_state){.status = CONTAINER_CREATED};
    ret = document ? decode(document, out, where, err) : -EINVAL;
    json_decref(document);
    return ret;
}

json_t *container_state_encode(const struct container_state *state, uint64_t created_ns)
{
    json_t *exited = NULL;

    if (state->ended || state->status == CONTAINER_EXITED) {
        exited = json_pack("{s:i, s:i, s:b}", "status", (int)state->exit.status, "signal",
                           (int)state->exit.signal, "oom", (int)state->exit.oom);
        if (!exited)
            return NULL;
    }
    return json_pack(
        "{s:i, s:s, s:{s:i, s:I}, s:i, s:I, s:I, s:I, s:o*, s:I, s:s, s:I, s:s}", "version",
        (int)RECORD_VERSION, "status", container_status_name(state->status), "supervisor", "pid",
        state->supervisor_pid, "start", (json_int_t)state->supervisor_start, "machine_pid",
        state->machine_pid, "created_ns", (json_int_t)created_ns, "started_ns",
        (json_int_t)state->started_ns, "finished_ns", (json_int_t)state->finished_ns, "exit",
        exited, "oom_kills", (json_int_t)state->oom_kills, "error", state->error, "log_lost_lines",
        (json_int_t)state->log_lost_lines, "log_error", state->log_error);
}
