// SPDX-License-Identifier: Apache-2.0
/* The machine as a whole: /, /version, /vm, /vm/config, /actions. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/io.h"
#include "vmm/api/state.h"

static int answer(struct api_call *call, json_t *result, struct api_fault *fault)
{
    call->result = result;
    return result ? 0 : api_fault_set(fault, "out of memory");
}

static const char *state_name(const struct api *api)
{
    if (!api->vm)
        return "Not started";
    return husk_vm_state(api->vm) == HUSK_STATE_PAUSED ? "Paused" : "Running";
}

int instance_get(struct api *api, struct api_call *call, struct api_fault *fault)
{
    return answer(call,
                  json_pack("{s:s, s:s, s:s, s:s}", "id", api->id, "state", state_name(api),
                            "vmm_version", husk_version(), "app_name", "husk"),
                  fault);
}

int version_get(struct api *api, struct api_call *call, struct api_fault *fault)
{
    return answer(call, json_pack("{s:s}", "firecracker_version", husk_version()), fault);
}

enum { VM_PAUSED, VM_RESUMED };

static int change_state(struct api *api, unsigned wanted, struct api_fault *fault)
{
    enum husk_state state = husk_vm_state(api->vm);
    uint64_t began_ns = monotonic_ns();
    struct husk_error err = {0};
    int ret;

    /* Asking for what is so already succeeds. */
    if (state == (wanted == VM_PAUSED ? HUSK_STATE_PAUSED : HUSK_STATE_RUNNING))
        return 0;
    ret = wanted == VM_PAUSED ? husk_vm_pause(api->vm, &err) : husk_vm_resume(api->vm, &err);
    if (ret)
        return api_fault_error(fault, "Internal VMM error", &err);
    if (wanted == VM_PAUSED)
        api->metrics.pause_us = (monotonic_ns() - began_ns) / 1000;
    else
        api->metrics.resume_us = (monotonic_ns() - began_ns) / 1000;
    return 0;
}

int vm_patch(struct api *api, struct api_call *call, struct api_fault *fault)
{
    static const char *const states[] = {"Paused", "Resumed", NULL};
    struct vm_settings {
        bool given;
        struct json_choice state;
    } vm = {0};
    static const struct json_field fields[] = {{.name = "state",
                                                .kind = JSON_CHOICE,
                                                .offset = offsetof(struct vm_settings, state),
                                                .required = true,
                                                .choices = states}};
    static const struct json_shape shape = JSON_SHAPE(fields);
    int ret = read_body(call, &shape, &vm, fault);

    if (!ret)
        ret = need_started(api, fault);
    return ret ? ret : change_state(api, vm.state.value, fault);
}

/* `count` structs of `size` bytes each. */
static json_t *write_list(const struct json_shape *shape, const void *first, size_t size,
                          unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; list && i < count; i++) {
        if (json_array_append_new(list, json_write(shape, (const char *)first + i * size))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

#define WRITE_LIST(shape, list, count) write_list(&(shape), (list), sizeof((list)[0]), (count))

static json_t *write_boot(const struct api *api)
{
    json_t *boot = json_write(&boot_shape, &api->boot);

    /* Firecracker's answer before there is one. */
    if (boot && !api->boot.given && json_put(boot, "kernel_image_path", json_string(""))) {
        json_decref(boot);
        return NULL;
    }
    return boot;
}

static json_t *optional(const struct json_shape *shape, const void *settings, bool given)
{
    return given ? json_write(shape, settings) : json_null();
}

int vm_config_get(struct api *api, struct api_call *call, struct api_fault *fault)
{
    json_t *config = json_object();

    if (!config || json_put(config, "balloon", json_null()) ||
        json_put(config, "drives", WRITE_LIST(drive_shape, api->drives, api->drive_count)) ||
        json_put(config, "boot-source", write_boot(api)) ||
        json_put(config, "cpu-config", json_null()) || json_put(config, "logger", json_null()) ||
        json_put(config, "machine-config", json_write(&machine_shape, &api->machine)) ||
        json_put(config, "metrics", json_null()) || json_put(config, "mmds-config", json_null()) ||
        json_put(config, "network-interfaces", WRITE_LIST(net_shape, api->nets, api->net_count)) ||
        json_put(config, "vfio", WRITE_LIST(vfio_shape, api->vfios, api->vfio_count)) ||
        json_put(config, "vsock", optional(&vsock_shape, &api->vsock, api->vsock.given)) ||
        json_put(config, "entropy", optional(&entropy_shape, &api->entropy, api->entropy.given)) ||
        json_put(config, "pmem", json_array()) || json_put(config, "memory-hotplug", json_null())) {
        json_decref(config);
        config = NULL;
    }
    return answer(call, config, fault);
}

enum { ACTION_FLUSH_METRICS, ACTION_INSTANCE_START, ACTION_SEND_CTRL_ALT_DEL };

static int send_ctrl_alt_del(struct api *api, struct api_fault *fault)
{
    struct husk_error err = {0};

    return husk_vm_ctrl_alt_del(api->vm, &err) ? api_fault_error(fault, "Internal VMM error", &err)
                                               : 0;
}

static int flush_metrics(struct api *api, struct api_fault *fault)
{
    int ret = metrics_write(api);

    return ret ? api_fault_set(fault, "Internal VMM error: cannot write metrics: %s",
                               strerror(-ret))
               : 0;
}

int action_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    static const char *const types[] = {"FlushMetrics", "InstanceStart", "SendCtrlAltDel", NULL};
    struct action_settings {
        bool given;
        struct json_choice action_type;
    } action = {0};
    static const struct json_field fields[] = {
        {.name = "action_type",
         .kind = JSON_CHOICE,
         .offset = offsetof(struct action_settings, action_type),
         .required = true,
         .choices = types}};
    static const struct json_shape shape = JSON_SHAPE(fields);
    int ret = read_body(call, &shape, &action, fault);

    if (ret)
        return ret;
    ret = action.action_type.value == ACTION_INSTANCE_START ? need_not_started(api, fault)
                                                            : need_started(api, fault);
    if (ret)
        return ret;
    switch (action.action_type.value) {
    case ACTION_INSTANCE_START:
        return start_vm(api, fault);
    case ACTION_SEND_CTRL_ALT_DEL:
        return send_ctrl_alt_del(api, fault);
    default:
        return flush_metrics(api, fault);
    }
}
