// SPDX-License-Identifier: Apache-2.0
/* Containers: see container.h. All state is in the agent's list. */
#include "guest/agent/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/overlay.h"
#include "guest/agent/passwd.h"
#include "guest/agent/pending.h"
#include "guest/agent/process.h"
#include "guest/agent/starting.h"
#include "guest/agent/volume.h"

const char *container_status_name(enum container_status status)
{
    static const char *const names[] = {"created", "running", "paused", "stopped"};

    return names[status];
}

struct container *container_find(const struct agent *agent, const char *name,
                                 struct husk_error *err)
{
    struct container *container = agent->containers;

    while (container && strcmp(container->name, name))
        container = container->next;
    if (!container)
        error_set(err, ENOENT, name, "there is no such container", "%s", "");
    return container;
}

struct process *container_find_process(const struct container *container, const char *name,
                                       struct husk_error *err)
{
    struct process *process = container->processes;

    while (process && strcmp(process->name, name ? name : "init"))
        process = process->next;
    if (!process)
        error_set(err, ENOENT, name, "there is no such process", "%s", "");
    return process;
}

/* runtime.md: what a state does not allow is an error. */
int container_wrong_state(const struct container *container, const char *wanted,
                          struct husk_error *err)
{
    return error_set(err, ESTALE, container->name, "is in the wrong state", "%s, not %s",
                     container_status_name(container->status), wanted);
}

/* Told when it has risen; the file is readable until it is read again. */
static void on_oom_event(void *arg, uint32_t events)
{
    struct container *container = arg;
    uint64_t kills = cgroup_oom_kills(&container->cgroup);
    char ignored[64];

    if (pread(container->oom_events, ignored, sizeof(ignored), 0) < 0) {
        event_source_remove(container->oom_source);
        container->oom_source = NULL;
    }
    if (kills <= container->oom_kills_told)
        return;
    container->oom_kills_told = kills;
    agent_tell(container->agent, json_pack("{s:s, s:s, s:I}", "event", "oom", "container",
                                           container->name, "kills", (json_int_t)kills));
}

/* A kernel without the memory controller tells nothing. */
static void watch_memory(struct container *container)
{
    char ignored[64];

    container->oom_events =
        openat(container->cgroup.dir, "memory.events", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (container->oom_events < 0)
        return;
    if (read(container->oom_events, ignored, sizeof(ignored)) < 0 ||
        event_loop_add(container->agent->loop, container->oom_events, EPOLLPRI, on_oom_event,
                       container, &container->oom_source))
        close_fd(&container->oom_events);
}

static int make_cgroup(struct container *container, struct husk_error *err)
{
    const struct oci_config *config = &container->config;
    int ret = cgroup_create(container->agent->cgroup,
                            config->cgroups_path ? config->cgroups_path : container->name,
                            &container->cgroup, err);

    if (!ret)
        ret = cgroup_set_limits(&container->cgroup, &config->resources, "linux.resources", err);
    if (!ret)
        ret = cgroup_set_devices(&container->cgroup, config, err);
    if (!ret)
        watch_memory(container);
    return ret;
}

static int make_root(struct container *container, const struct node *rootfs, struct husk_error *err)
{
    if (rootfs->json)
        return overlay_mount(container, rootfs, err);
    container->root_path = strdup(container->config.root_path);
    if (!container->root_path)
        return error_set(err, ENOMEM, container->name, "cannot be created", NULL);
    return 0;
}

static int build(struct request *request, struct container *container, struct husk_error *err)
{
    const struct node *params = &request->params;
    struct launch launch = {.config = &container->config,
                            .process = &container->config.process,
                            .field = "process",
                            .container = -1};
    struct node config, rootfs = node_member(params, "rootfs");
    const char **fill = NULL;
    bool with_stdin = false;
    int ret = node_object(params, "config", &config, err);

    if (!ret)
        ret = node_need(&config, err);
    if (!ret)
        ret = node_object(params, "rootfs", &rootfs, err);
    if (!ret)
        ret = node_flag(params, "stdin", &with_stdin, err);
    if (!ret)
        ret = node_flag(params, "seal", &launch.seal, err);
    if (!ret)
        ret = node_flag(params, "init", &launch.init, err);
    if (!ret)
        ret = node_text(params, "user", 0, PASSWD_USER_MAX, &launch.user, err);
    if (!ret)
        ret = oci_parse(&config, !rootfs.json, &container->config, err);
    if (!ret)
        ret = make_root(container, &rootfs, err);
    if (!ret)
        ret = make_cgroup(container, err);
    if (!ret)
        ret = volume_fill_list(container->agent, params, &fill, err);
    if (ret)
        return ret;
    launch.root_path = container->root_path;
    launch.cgroup = container->cgroup.dir;
    launch.fill = fill;
    ret = starting_begin(request, container, "init", &launch, with_stdin, NULL, err);
    free(fill);
    return ret;
}

int container_create(struct request *request, const char *name, struct husk_error *err)
{
    struct agent *agent = request->agent;
    struct container *container, **end = &agent->containers;
    int ret;

    if (container_find(agent, name, NULL))
        return error_set(err, EEXIST, name, "there is such a container", "%s", "");
    if (agent->container_count >= HUSK_AGENT_CONTAINERS_MAX)
        return error_set(err, ENOSPC, name, "cannot be created", "there are %d containers",
                         HUSK_AGENT_CONTAINERS_MAX);
    container = calloc(1, sizeof(*container));
    if (!container)
        return error_set(err, ENOMEM, name, "cannot be created", NULL);
    container->agent = agent;
    snprintf(container->name, sizeof(container->name), "%s", name);
    container->cgroup = (struct cgroup){.parent = -1, .dir = -1};
    container->oom_events = -1;
    container->init_launched = (struct launched){.pidfd = -1, .channel = -1, .terminal = -1};
    while (*end)
        end = &(*end)->next;
    *end = container;
    agent->container_count++;
    ret = build(request, container, err);
    if (ret)
        container_destroy(container);
    return ret;
}

int container_start(struct request *request, struct container *container, struct husk_error *err)
{
    if (container->status != CONTAINER_CREATED)
        return container_wrong_state(container, "created", err);
    container->status = CONTAINER_RUNNING;
    /* When it fails, the reaper makes it STOPPED; it can be deleted then. */
    return starting_go(request, container, err);
}

int container_exec(struct request *request, struct container *container, const char *name,
                   struct husk_error *err)
{
    const struct node *params = &request->params;
    struct starting_own own = {.document = NULL};
    struct launch launch = {.config = &container->config,
                            .process = &own.process,
                            .field = "config",
                            .container = container->init_launched.pidfd,
                            .cgroup = container->cgroup.dir};
    struct node config;
    bool with_stdin = false;
    int ret;

    if (container->status != CONTAINER_RUNNING && container->status != CONTAINER_CREATED)
        return container_wrong_state(container, "running", err);
    if (container_find_process(container, name, NULL))
        return error_set(err, EEXIST, name, "there is such a process", "%s", "");
    ret = node_object(params, "config", &config, err);
    if (!ret)
        ret = node_need(&config, err);
    if (!ret)
        ret = node_flag(params, "stdin", &with_stdin, err);
    if (!ret)
        ret = node_text(params, "user", 0, PASSWD_USER_MAX, &launch.user, err);
    if (!ret)
        ret = oci_parse_process(&config, &own.process, err);
    if (ret)
        return ret;
    own.document = json_incref((json_t *)config.json);
    ret = starting_begin(request, container, name, &launch, with_stdin, &own, err);
    if (ret) {
        oci_free_process(&own.process);
        json_decref(own.document);
    }
    return ret;
}

bool container_is_busy(const struct container *container)
{
    return container->deletion || (container->processes && container->processes->starting);
}

int container_pause(struct container *container, bool paused, struct husk_error *err)
{
    int ret;

    if (container->status != (paused ? CONTAINER_RUNNING : CONTAINER_PAUSED))
        return container_wrong_state(container, paused ? "running" : "paused", err);
    ret = cgroup_freeze(&container->cgroup, paused);
    if (ret)
        return error_set(err, -ret, container->name,
                         paused ? "cannot be paused" : "cannot be resumed", NULL);
    container->status = paused ? CONTAINER_PAUSED : CONTAINER_RUNNING;
    return 0;
}

static void on_init_end(struct container *container)
{
    container->status = CONTAINER_STOPPED;
    close_fd(&container->init_launched.channel);
    /* Those in a shared pid namespace would live on. */
    (void)cgroup_freeze(&container->cgroup, false);
    (void)cgroup_signal(&container->cgroup, SIGKILL);
}

bool container_reap(struct agent *agent, pid_t pid, int status)
{
    for (struct container *container = agent->containers; container; container = container->next) {
        for (struct process *process = container->processes; process; process = process->next) {
            if (process->pid != pid || process->ended)
                continue;
            if (process->starting && !starting_reap(process->starting))
                return true;
            if (process == container->processes)
                on_init_end(container);
            process_end(process, status);
            return true;
        }
    }
    return false;
}

void container_forget_waits(struct agent *agent, const struct connection *connection)
{
    for (struct container *container = agent->containers; container; container = container->next) {
        for (struct process *process = container->processes; process; process = process->next)
            process_forget_waits(process, connection);
    }
}

static void unlink_container(struct container *container)
{
    struct container **at = &container->agent->containers;

    while (*at && *at != container)
        at = &(*at)->next;
    if (*at) {
        *at = container->next;
        container->agent->container_count--;
    }
}

/* A container's cgroup can be another's parent. */
static bool is_cgroup_of_another(const struct stat *dir, void *arg)
{
    const struct agent *agent = arg;
    struct stat own;

    for (const struct container *at = agent->containers; at; at = at->next) {
        if (at->cgroup.dir >= 0 && fstat(at->cgroup.dir, &own) == 0 && own.st_ino == dir->st_ino)
            return true;
    }
    return false;
}

void container_release(struct container *container)
{
    struct agent *agent = container->agent;
    const char *cgroups_path = container->config.cgroups_path;

    deletion_end(container->deletion);
    event_source_remove(container->oom_source);
    close_fd(&container->oom_events);
    close_fd(&container->cgroup.dir);
    close_fd(&container->cgroup.parent);
    if (cgroups_path)
        cgroup_remove_parents(container->agent->cgroup, cgroups_path, is_cgroup_of_another,
                              container->agent);
    while (container->processes)
        process_discard(container->processes);
    close_fd(&container->init_launched.channel);
    overlay_unmount(container);
    unlink_container(container);
    oci_free(&container->config);
    for (char **layer = container->layers; layer && *layer; layer++)
        free(*layer);
    free(container->layers);
    free(container->root_path);
    free(container);
    pending_look_again(agent);
}

void container_break_off(struct container *container)
{
    for (struct process *at = container->processes; at; at = at->next)
        starting_break_off(at->starting);
}

int container_delete_process(struct process *process, struct husk_error *err)
{
    if (process == process->container->processes)
        return error_set(err, EINVAL, process->name, "cannot be deleted",
                         "it goes with its container");
    if (!process->ended)
        return error_set(err, ESTALE, process->name, "is in the wrong state", "it has not ended");
    process_discard(process);
    return 0;
}

void container_destroy(struct container *container)
{
    container_break_off(container);
    (void)cgroup_remove(&container->cgroup);
    agent_reap(container->agent);
    container_release(container);
}
