// SPDX-License-Identifier: Apache-2.0
/*
 * A microVM of libhusk: see machine_vm.h. The socket to its agent is in a directory of its own
 * below the owner's, for a jailed VM that was taken over could reach every socket beside it.
 */
#include "pod/vm/machine_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/machine/machine.h"

#define VSOCK_DIRECTORY "vsock"

struct machine {
    struct machine_host host;
    struct pod_machine *made;
    struct husk_vm *vm;
    int vsock_dir;
    char vsock_path[64]; /* through the descriptor: any directory's name is too long for a socket */
    struct agent_connector connector;
    struct event_source *source;
};

static void write_log(void *arg, enum husk_log_level level, const char *line)
{
    static const enum log_level levels[] = {[HUSK_LOG_ERROR] = LOG_LEVEL_ERROR,
                                            [HUSK_LOG_WARN] = LOG_LEVEL_WARN,
                                            [HUSK_LOG_INFO] = LOG_LEVEL_INFO,
                                            [HUSK_LOG_DEBUG] = LOG_LEVEL_DEBUG};

    log_write(arg, levels[level], "machine", "%s", line);
}

static void destroy(struct machine *machine)
{
    if (!machine)
        return;
    event_source_remove(machine->source);
    husk_vm_free(machine->vm);
    pod_machine_destroy(machine->made);
    close_fd(&machine->vsock_dir);
    (void)unlinkat(machine->host.dir, VSOCK_DIRECTORY, AT_REMOVEDIR);
    free(machine);
}

/* ---- start ---- */

static int open_vsock_dir(struct machine *machine, struct husk_error *err)
{
    int dir = machine->host.dir;

    if (mkdirat(dir, VSOCK_DIRECTORY, 0700) == 0 || errno == EEXIST)
        machine->vsock_dir =
            openat(dir, VSOCK_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (machine->vsock_dir < 0)
        return error_set(err, errno, machine->host.path, "has no place for the machine's socket",
                         NULL);
    snprintf(machine->vsock_path, sizeof(machine->vsock_path), "/proc/self/fd/%d/agent",
             machine->vsock_dir);
    return 0;
}

static int make(struct machine *machine, const struct machine_request *request,
                struct husk_error *err)
{
    struct pod_machine_place place = {.dir = machine->host.dir,
                                      .vsock_path = machine->vsock_path,
                                      .images = request->images,
                                      .image_count = request->image_count};
    struct image_store *store = NULL;
    char path[4096];
    int ret = request->store ? 0 : image_store_default(path, sizeof(path), err);

    if (ret == 0)
        ret = image_store_open(request->store ? request->store : path, false, &store, err);
    if (ret)
        return ret;
    place.store = store;
    ret = pod_machine_create(&place, request->options, &machine->made, err);
    image_store_close(store);
    return ret;
}

static void on_event(void *arg, uint32_t events)
{
    struct machine *machine = arg;
    struct husk_event event;
    struct husk_error error;
    char why[512] = "";

    (void)events;
    while (husk_vm_next_event(machine->vm, &event) == 1) {
        if (event.type != HUSK_EVENT_STOPPED)
            continue;
        event_source_remove(machine->source);
        machine->source = NULL;
        if (event.reason != HUSK_STOP_POWER_OFF && event.reason != HUSK_STOP_HOST_REQUEST) {
            pod_machine_explain(machine->made, &event, &error);
            error_format(&error, why, sizeof(why));
        }
        machine->host.stopped(machine->host.arg, why);
        return;
    }
}

static int run(struct machine *machine, const struct machine_request *request,
               struct husk_error *err)
{
    struct husk_vm_options *options = pod_machine_vm_options(machine->made);
    int ret;

    options->id = request->id;
    options->log = write_log;
    options->log_arg = (void *)machine->host.log;
    ret = pod_machine_new_vm(machine->made, &machine->vm, err);
    if (ret == 0)
        ret = husk_vm_build(machine->vm, err);
    if (ret)
        return ret;
    ret = event_loop_add(machine->host.loop, husk_vm_event_fd(machine->vm), EPOLLIN, on_event,
                         machine, &machine->source);
    if (ret)
        return error_set(err, -ret, request->name, "cannot be watched", NULL);
    return husk_vm_start(machine->vm, err);
}

static int start(const struct machine_request *request, const struct machine_host *host,
                 struct machine **out, struct machine_plan *plan, struct husk_error *err)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    int ret;

    if (!machine)
        return error_set(err, ENOMEM, request->name, "cannot be started", NULL);
    machine->host = *host;
    machine->vsock_dir = -1;
    ret = open_vsock_dir(machine, err);
    if (ret == 0)
        ret = make(machine, request, err);
    if (ret == 0)
        ret = run(machine, request, err);
    if (ret) {
        destroy(machine);
        return ret;
    }
    machine->connector = (struct agent_connector){
        .connect = agent_connector_path, .arg = machine->vsock_path, .vsock = true};
    plan->requests = json_deep_copy(pod_machine_requests(machine->made));
    plan->rootfs = json_deep_copy(pod_machine_rootfs(machine->made));
    if (!plan->requests || !plan->rootfs) {
        destroy(machine);
        return error_set(err, ENOMEM, request->name, "cannot be started", NULL);
    }
    *out = machine;
    return 0;
}

/* ---- the rest of its life ---- */

static const struct agent_connector *connector(struct machine *machine)
{
    return &machine->connector;
}

static int pid_of(const struct machine *machine)
{
    struct husk_vm_info info = {.size = sizeof(info)};

    return husk_vm_info(machine->vm, &info) == 0 ? info.pid : 0;
}

static void power_off(struct machine *machine)
{
    (void)husk_vm_stop(machine->vm, NULL); /* what has stopped already has said so */
}

static int stats(struct machine *machine, struct machine_stats *out)
{
    struct husk_vm_stats stats = {.size = sizeof(stats)};
    int ret = husk_vm_stats(machine->vm, &stats, NULL);

    if (ret)
        return ret;
    out->memory_resident_bytes = stats.memory_resident_bytes;
    out->cpu_ns = stats.vcpu_cpu_ns + stats.io_cpu_ns;
    return 0;
}

static void last_words(struct machine *machine, char *text, size_t size)
{
    (void)pod_machine_last_words(machine->made, text, size);
    for (char *at = text; *at; at++) {
        if (*at == '\n')
            *at = ' ';
    }
    make_printable(text);
}

const struct machine_ops machine_vm_ops = {
    .needs_images = true,
    .start = start,
    .connector = connector,
    .pid = pid_of,
    .power_off = power_off,
    .stats = stats,
    .last_words = last_words,
    .destroy = destroy,
};
