// SPDX-License-Identifier: Apache-2.0
/* The requests about volumes, the pod, and the guest (husk/agent.h). No state. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "guest/agent/container.h"
#include "guest/agent/files.h"
#include "guest/agent/network.h"
#include "guest/agent/pod.h"
#include "guest/agent/request.h"
#include "guest/agent/volume.h"

/* The members that a request may have. */
#define MEMBERS(...)      \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

static int handle_volume_add(struct request *request, struct husk_error *err)
{
    return volume_add(request->agent, &request->params, err);
}

static int handle_volume_remove(struct request *request, struct husk_error *err)
{
    const char *name = NULL;
    int ret = request_name(&request->params, "volume", &name, err);

    return ret ? ret : volume_remove(request->agent, name, err);
}

static int handle_file_write(struct request *request, struct husk_error *err)
{
    return pod_write_file(&request->params, err);
}

static int handle_pod_set(struct request *request, struct husk_error *err)
{
    return pod_set(request->agent, &request->params, err);
}

static int handle_network_set(struct request *request, struct husk_error *err)
{
    return network_set(&request->params, err);
}

static json_t *controllers(int cgroup)
{
    json_t *list = json_array();
    char text[512];
    char *rest = text, *name;

    if (file_read(cgroup, "cgroup.controllers", text, sizeof(text)))
        return list;
    while ((name = strsep(&rest, " \n"))) {
        if (*name)
            json_array_append_new(list, json_string(name));
    }
    return list;
}

static int handle_info(struct request *request, struct husk_error *err)
{
    struct utsname names;
    struct sysinfo info;
    json_t *answer;

    if (uname(&names) < 0 || sysinfo(&info) < 0)
        return error_set(err, errno, "info", "cannot be found", NULL);
    answer = json_pack("{s:s, s:I, s:I, s:o}", "kernel", names.release, "processors",
                       (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes",
                       (json_int_t)info.totalram * info.mem_unit, "cgroup_controllers",
                       controllers(request->agent->cgroup));
    if (!answer)
        return error_set(err, ENOMEM, "info", "cannot be answered", NULL);
    json_object_update(request->result, answer);
    json_decref(answer);
    return 0;
}

/* The loop stops after this turn, in which the answer is written. */
static int handle_shutdown(struct request *request, struct husk_error *err)
{
    struct agent *agent = request->agent;
    int ret = node_flag(&request->params, "reboot", &agent->rebooting, err);

    if (!ret) {
        agent->ending = true;
        event_loop_stop(agent->loop);
    }
    return ret;
}

static const char *const no_members[] = {NULL};

const struct request_method pod_methods[] = {
    {"volume.add",
     MEMBERS("volume", "disk", "offset_bytes", "size_bytes", "virtiofs", "tmpfs_bytes", "directory",
             "fstype", "readonly", "options", "mode", "uid", "gid"),
     handle_volume_add},
    {"volume.remove", MEMBERS("volume"), handle_volume_remove},
    {"file.write", MEMBERS("file", "data"), handle_file_write},
    {"pod.set", MEMBERS("hostname", "share", "sysctl", "shm_bytes"), handle_pod_set},
    {"network.set", MEMBERS("interface", "mac", "addresses", "mtu", "routes"), handle_network_set},
    {"info", no_members, handle_info},
    {"shutdown", MEMBERS("reboot"), handle_shutdown},
    {NULL, NULL, NULL},
};
