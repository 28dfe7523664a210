// SPDX-License-Identifier: Apache-2.0
/* A pod's state.json: see record.h. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/image/json.h"
#include "pod/manifest/manifest.h"
#include "pod/pods/record.h"
#include "pod/pods/record_internal.h"

static bool phase_valid(const char *phase)
{
    static const char *const phases[] = {"Pending", "Running", "Succeeded", "Failed"};

    for (unsigned i = 0; phase && i < ARRAY_SIZE(phases); i++) {
        if (!strcmp(phase, phases[i]))
            return true;
    }
    return false;
}

/* The statuses of containers that readers go through: objects with a name, and objects in them. */
static int check_containers(const json_t *status, const char *list, const char *where,
                            struct husk_error *err)
{
    const json_t *containers = json_object_get(status, list);

    if (!containers)
        return 0;
    if (!json_is_array(containers) || json_array_size(containers) > MANIFEST_CONTAINERS_MAX)
        return error_set(err, EINVAL, where, "is not a record of husk", "status.%s is wrong", list);
    for (size_t i = 0; i < json_array_size(containers); i++) {
        const json_t *one = json_array_get(containers, i);

        if (!json_is_string(json_object_get(one, "name")) ||
            !json_is_object(json_object_get(one, "state")))
            return error_set(err, EINVAL, where, "is not a record of husk",
                             "status.%s[%zu] has no name or state", list, i);
    }
    return 0;
}

static int decode(const json_t *document, struct pod_state *out, const char *where,
                  struct husk_error *err)
{
    const json_t *supervisor, *status;
    uint64_t pid = 0, machine = 0;
    int ret = pod_record_version(document, where, err);

    if (ret == 0)
        ret = image_json_member(document, "supervisor", JSON_OBJECT, true, &supervisor, where, err);
    if (ret == 0)
        ret = image_json_u64(supervisor, "pid", INT_MAX, &pid, where, err);
    if (ret == 0)
        ret = image_json_u64(supervisor, "start", INT64_MAX, &out->supervisor_start, where, err);
    if (ret == 0)
        ret = image_json_u64(document, "machine_pid", INT_MAX, &machine, where, err);
    if (ret == 0)
        ret = image_json_member(document, "status", JSON_OBJECT, true, &status, where, err);
    if (ret)
        return ret;
    if (!phase_valid(json_string_value(json_object_get(status, "phase"))))
        return error_set(err, EINVAL, where, "is not a record of husk",
                         "status.phase is none of its words");
    ret = check_containers(status, "initContainerStatuses", where, err);
    if (ret == 0)
        ret = check_containers(status, "containerStatuses", where, err);
    out->supervisor_pid = (int)pid;
    out->machine_pid = (int)machine;
    out->status = json_incref((json_t *)status);
    return ret;
}

int pod_state_decode(const void *bytes, size_t len, const char *where, struct pod_state *out,
                     struct husk_error *err)
{
    json_t *document = image_json_parse(bytes, len, where, err);
    int ret = -EINVAL;

    memset(out, 0, sizeof(*out));
    if (document)
        ret = decode(document, out, where, err);
    json_decref(document);
    if (ret)
        pod_state_clear(out);
    return ret;
}

json_t *pod_state_encode(const struct pod_state *state)
{
    return json_pack("{s:i, s:{s:i, s:I}, s:i, s:O}", "version", (int)POD_RECORD_VERSION,
                     "supervisor", "pid", state->supervisor_pid, "start",
                     (json_int_t)state->supervisor_start, "machine_pid", state->machine_pid,
                     "status", state->status);
}

/* The messages of the containers' `which` ("state", "lastState"). */
static void drop_messages(const json_t *status, const char *which)
{
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    const char *kind;
    json_t *container, *what;
    size_t i;

    for (unsigned k = 0; k < ARRAY_SIZE(lists); k++) {
        json_array_foreach(json_object_get(status, lists[k]), i, container)
        {
            json_object_foreach(json_object_get(container, which), kind, what)
            {
                (void)json_object_del(what, "message");
            }
        }
    }
}

void pod_state_fit(json_t *status)
{
    if (json_dumpb(status, NULL, 0, JSON_COMPACT) > POD_STATUS_BYTES)
        drop_messages(status, "lastState");
    if (json_dumpb(status, NULL, 0, JSON_COMPACT) > POD_STATUS_BYTES)
        drop_messages(status, "state");
}

void pod_state_clear(struct pod_state *state)
{
    json_decref(state->status);
    memset(state, 0, sizeof(*state));
}

const char *pod_state_phase(const struct pod_state *state)
{
    const char *phase = json_string_value(json_object_get(state->status, "phase"));

    return phase ? phase : "";
}

bool pod_state_ended(const struct pod_state *state)
{
    const char *phase = pod_state_phase(state);

    return !strcmp(phase, "Succeeded") || !strcmp(phase, "Failed");
}
