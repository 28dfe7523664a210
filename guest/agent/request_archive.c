// SPDX-License-Identifier: Apache-2.0
/* The requests about a container's files (husk/agent.h, "archive.put"). A process of the container
 * comes of each, which is waited for and deleted as those of "exec". No state. */
#include <errno.h>

#include "guest/agent/archive.h"
#include "guest/agent/container.h"
#include "guest/agent/starting.h"
#include "guest/agent/request.h"

static int begin(struct request *request, const struct archive *archive, struct husk_error *err)
{
    /* It outlives this call. */
    static const struct oci_process nothing = {.args = NULL};
    struct launch launch = {.process = &nothing, .field = "archive", .archive = archive};
    const char *container_name = NULL, *name = NULL;
    struct container *container;
    int ret = request_name(&request->params, "container", &container_name, err);

    if (!ret)
        ret = request_name(&request->params, "process", &name, err);
    if (ret)
        return ret;
    container = container_find(request->agent, container_name, err);
    if (!container)
        return -ENOENT;
    if (container->status != CONTAINER_RUNNING && container->status != CONTAINER_CREATED)
        return error_set(err, ESTALE, container->name, "is in the wrong state", "%s, not running",
                         container_status_name(container->status));
    if (container_find_process(container, name, NULL))
        return error_set(err, EEXIST, name, "there is such a process", "%s", "");
    launch.config = &container->config;
    launch.container = container->init_launched.pidfd;
    launch.cgroup = container->cgroup.dir;
    return starting_begin(request, container, name, &launch, archive->put, NULL, err);
}

static int handle_put(struct request *request, struct husk_error *err)
{
    struct archive archive = {.put = true};
    int ret = node_need_text(&request->params, "path", 1, OCI_PATH_MAX, &archive.path, err);

    if (!ret)
        ret = node_flag(&request->params, "create", &archive.create, err);
    return ret ? ret : begin(request, &archive, err);
}

static int handle_get(struct request *request, struct husk_error *err)
{
    struct archive archive = {.content = true};
    int ret = node_need_text(&request->params, "path", 1, OCI_PATH_MAX, &archive.path, err);

    if (!ret)
        ret = node_flag(&request->params, "follow", &archive.follow, err);
    if (!ret)
        ret = node_flag(&request->params, "content", &archive.content, err);
    return ret ? ret : begin(request, &archive, err);
}

static const char *const put_members[] = {"container", "process", "path", "create", NULL};
static const char *const get_members[] = {"container", "process", "path",
                                          "follow",    "content", NULL};

const struct request_method archive_methods[] = {
    {"archive.put", put_members, handle_put},
    {"archive.get", get_members, handle_get},
    {NULL, NULL, NULL},
};
