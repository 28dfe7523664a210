// SPDX-License-Identifier: Apache-2.0
/* The requests about containers (husk/agent.h, "Containers"). No state. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "guest/agent/cgroup.h"
#include "guest/agent/container.h"
#include "guest/agent/job.h"
#include "guest/agent/process.h"
#include "guest/agent/processes.h"
#include "guest/agent/request.h"
#include "guest/agent/stream.h"

/* The members that a request may have. */
#define MEMBERS(...)      \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static int find(const struct request *request, struct container **out, struct husk_error *err)
{
    const char *name = NULL;
    int ret = request_name(&request->params, "container", &name, err);

    if (ret)
        return ret;
    *out = container_find(request->agent, name, err);
    return *out ? 0 : -ENOENT;
}

/* The process that "process" names; init when it is absent. */
static int find_process(const struct request *request, struct process **out, struct husk_error *err)
{
    struct container *container;
    const char *name = NULL;
    int ret = find(request, &container, err);

    if (!ret)
        ret = node_text(&request->params, "process", 1, HUSK_AGENT_NAME_MAX, &name, err);
    if (ret)
        return ret;
    *out = container_find_process(container, name, err);
    return *out ? 0 : -ENOENT;
}

static int put(json_t *object, const char *key, json_t *value, struct husk_error *err)
{
    return json_object_set_new(object, key, value)
               ? error_set(err, ENOMEM, key, "cannot be answered", NULL)
               : 0;
}

static int handle_create(struct request *request, struct husk_error *err)
{
    const char *name = NULL;
    int ret = request_name(&request->params, "container", &name, err);

    return ret ? ret : container_create(request, name, err);
}

static int handle_start(struct request *request, struct husk_error *err)
{
    struct container *container;
    int ret = find(request, &container, err);

    return ret ? ret : container_start(request, container, err);
}

static int handle_exec(struct request *request, struct husk_error *err)
{
    struct container *container;
    const char *name = NULL;
    int ret = find(request, &container, err);

    if (!ret)
        ret = request_name(&request->params, "process", &name, err);
    return ret ? ret : container_exec(request, container, name, err);
}

static int handle_state(struct request *request, struct husk_error *err)
{
    json_t *list = json_array();
    struct container *container;
    int ret = find(request, &container, err);

    if (ret || !list) {
        json_decref(list);
        return ret ? ret : error_set(err, ENOMEM, "state", "cannot be answered", NULL);
    }
    for (const struct process *at = container->processes; at; at = at->next) {
        json_t *item = json_pack("{s:s, s:i}", "process", at->name, "pid", at->pid);

        if (item && at->ended)
            json_object_set_new(item, "exit", process_exit_json(&at->exit));
        json_array_append_new(list, item);
    }
    ret = put(request->result, "processes", list, err);
    if (!ret)
        ret = put(request->result, "container", json_string(container->name), err);
    if (!ret)
        ret = put(request->result, "status", json_string(container_status_name(container->status)),
                  err);
    if (!ret && container->processes)
        ret = put(request->result, "pid", json_integer(container->processes->pid), err);
    return ret;
}

static int handle_list(struct request *request, struct husk_error *err)
{
    json_t *list = json_array();

    for (const struct container *at = request->agent->containers; at; at = at->next)
        json_array_append_new(list, json_string(at->name));
    return put(request->result, "containers", list, err);
}

static int signal_all(struct container *container, int signal, struct husk_error *err)
{
    int ret = cgroup_signal(&container->cgroup, signal);

    if (ret)
        return error_set(err, -ret, container->name, "cannot be sent a signal", NULL);
    for (struct process *at = container->processes; at && signal == SIGKILL; at = at->next)
        at->killed_by_host = true;
    return 0;
}

/* runtime.md, "Kill": a container that is neither created nor running is an error. */
static int handle_kill(struct request *request, struct husk_error *err)
{
    struct node member = node_member(&request->params, "signal");
    struct process *process;
    bool all = false;
    int64_t signal = 0;
    int ret = find_process(request, &process, err);

    if (!ret)
        ret = node_need(&member, err);
    if (!ret)
        ret = node_integer(&request->params, "signal", 1, NSIG - 1, &signal, NULL, err);
    if (!ret)
        ret = node_flag(&request->params, "all", &all, err);
    if (ret)
        return ret;
    if (process->ended)
        return error_set(err, ESTALE, process->name, "is in the wrong state", "it has ended");
    if (all)
        return signal_all(process->container, (int)signal, err);
    ret = process_signal(process, (int)signal);
    return ret ? error_set(err, ret == -ESRCH ? ESTALE : -ret, process->name,
                           "cannot be sent a signal", NULL)
               : 0;
}

static int handle_wait(struct request *request, struct husk_error *err)
{
    struct process *process;
    int ret = find_process(request, &process, err);

    if (!ret)
        ret = process_wait(process, request->connection, request->id, err);
    request->deferred = ret == 0;
    return ret;
}

static int handle_resize(struct request *request, struct husk_error *err)
{
    uint64_t columns = 0, rows = 0;
    struct process *process;
    int ret = find_process(request, &process, err);

    if (!ret)
        ret = node_unsigned(&request->params, "columns", UINT16_MAX, &columns, NULL, err);
    if (!ret)
        ret = node_unsigned(&request->params, "rows", UINT16_MAX, &rows, NULL, err);
    if (ret)
        return ret;
    if (!process->streams[STREAM_TERMINAL])
        return error_set(err, ESTALE, process->name, "has no terminal", "%s", "");
    ret = stream_resize(process->streams[STREAM_TERMINAL], (uint16_t)columns, (uint16_t)rows);
    return ret ? error_set(err, -ret, process->name, "cannot be resized", NULL) : 0;
}

static int handle_pause(struct request *request, struct husk_error *err)
{
    struct container *container;
    int ret = find(request, &container, err);

    return ret ? ret : container_pause(container, true, err);
}

static int handle_resume(struct request *request, struct husk_error *err)
{
    struct container *container;
    int ret = find(request, &container, err);

    return ret ? ret : container_pause(container, false, err);
}

static int handle_update(struct request *request, struct husk_error *err)
{
    struct node resources = node_member(&request->params, "resources");
    struct container *container;
    struct oci_resources wanted;
    int ret = find(request, &container, err);

    if (!ret && container->status == CONTAINER_STOPPED)
        ret = error_set(err, ESTALE, container->name, "is in the wrong state", "stopped");
    if (!ret)
        ret = node_object(&request->params, "resources", &resources, err);
    if (!ret)
        ret = node_need(&resources, err);
    if (!ret)
        ret = oci_parse_resources(&resources, true, &wanted, err);
    if (ret)
        return ret;
    ret = cgroup_set_limits(&container->cgroup, &wanted, "update.resources", err);
    oci_free_resources(&wanted);
    return ret;
}

static int handle_stats(struct request *request, struct husk_error *err)
{
    struct container *container;
    int ret = find(request, &container, err);
    json_t *stats;

    if (ret)
        return ret;
    stats = cgroup_stats(&container->cgroup);
    if (!stats)
        return error_set(err, ENOMEM, container->name, "cannot be measured", NULL);
    json_object_update(request->result, stats);
    json_decref(stats);
    return 0;
}

static int list_processes(int dir, const void *arg, json_t *result, struct husk_error *err)
{
    const struct cgroup cgroup = {.parent = -1, .dir = dir};

    return processes_list(&cgroup, result, err);
}

static int handle_processes(struct request *request, struct husk_error *err)
{
    struct job_order order = {
        .subject = "the processes", .patience_ms = PROCESSES_PATIENCE_MS, .fn = list_processes};
    struct container *container;
    int ret = find(request, &container, err);

    if (ret)
        return ret;
    order.fd = container->cgroup.dir;
    return job_begin(request, &order, err);
}

static int handle_delete(struct request *request, struct husk_error *err)
{
    struct node name = node_member(&request->params, "process");
    struct process *process;
    bool force = false;
    int ret = find_process(request, &process, err);

    if (!ret)
        ret = node_flag(&request->params, "force", &force, err);
    if (ret)
        return ret;
    return name.json ? container_delete_process(process, err)
                     : container_delete(request, process->container, force, err);
}

static const char *const no_members[] = {NULL};

const struct request_method container_methods[] = {
    {"create", MEMBERS("container", "config", "user", "rootfs", "fill", "seal", "init", "stdin"),
     handle_create},
    {"start", MEMBERS("container"), handle_start},
    {"exec", MEMBERS("container", "process", "config", "user", "stdin"), handle_exec},
    {"state", MEMBERS("container"), handle_state},
    {"list", no_members, handle_list},
    {"kill", MEMBERS("container", "process", "signal", "all"), handle_kill},
    {"wait", MEMBERS("container", "process"), handle_wait},
    {"resize", MEMBERS("container", "process", "columns", "rows"), handle_resize},
    {"pause", MEMBERS("container"), handle_pause},
    {"resume", MEMBERS("container"), handle_resume},
    {"update", MEMBERS("container", "resources"), handle_update},
    {"stats", MEMBERS("container"), handle_stats},
    {"processes", MEMBERS("container"), handle_processes},
    {"delete", MEMBERS("container", "process", "force"), handle_delete},
    {NULL, NULL, NULL},
};
