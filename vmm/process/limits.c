// SPDX-License-Identifier: Apache-2.0
/* A cgroup for a VM: see limits.h. */
#include "vmm/process/limits.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/cgroup.h"
#include "jail/registry.h"
#include "vmm/vfio_open.h"

#define PARENTS_MAX     8u  /* levels of cgroup_parent that may be missing */
#define NAME_MAX_BYTES  80u /* "husk-" and an id */
#define THREADS_OF_DISK 16u
#define THREADS_OF_VM   16u /* control, I/O, and the kernel's own on their behalf */

struct process_limits {
    const struct log *log;
    struct cgroup *cgroup;
    struct registry *registry;
    uint64_t io_max_bytes, memory_max_bytes;
    int slots[1 + PARENTS_MAX]; /* what is recorded: parents that were missing, then the cgroup */
    unsigned slot_count;
};

/* What owners that were killed left behind goes first: an id may be theirs. */
static void sweep(const struct log *log)
{
    struct registry_swept swept;
    struct husk_error error;
    char text[512];

    if (registry_sweep(NULL, &swept, &error))
        log_warn(log, "registry", "%s", error_format(&error, text, sizeof(text)));
    else if (swept.removed)
        log_info(log, "registry", "removed %u things that dead owners left", swept.removed);
}

static int record(struct process_limits *limits, const char *path, struct husk_error *err)
{
    int slot = registry_record(limits->registry, REGISTRY_CGROUP, path, err);

    if (slot < 0)
        return slot;
    limits->slots[limits->slot_count++] = slot;
    return 0;
}

/* Those that cgroup_make() is going to make. A sweep removes them when they are empty. */
static int record_missing_parents(struct process_limits *limits, struct husk_error *err)
{
    const char *path = cgroup_path(limits->cgroup);
    int ret = 0;

    for (const char *slash = strchr(path + 1, '/'); !ret && slash; slash = strchr(slash + 1, '/')) {
        char parent[PATH_MAX];

        snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
        if (access(parent, F_OK) == 0)
            continue;
        if (limits->slot_count == PARENTS_MAX)
            return error_set(err, E2BIG, parent, "cannot make the cgroup",
                             "more than %u of its parents are missing", PARENTS_MAX);
        ret = record(limits, parent, err);
    }
    return ret;
}

static void forget(struct process_limits *limits)
{
    for (unsigned i = 0; i < limits->slot_count; i++)
        registry_forget(limits->registry, limits->slots[i]);
    limits->slot_count = 0;
}

static int make_cgroup(struct process_limits *limits, const struct process_config *config,
                       struct husk_error *err)
{
    char name[NAME_MAX_BYTES];
    int ret;

    snprintf(name, sizeof(name), "husk-%s", config->id);
    ret = cgroup_new(NULL, config->cgroup_parent, name, &limits->cgroup, err);
    if (!ret)
        ret = registry_open(NULL, config->id, &limits->registry, err);
    if (!ret)
        ret = record_missing_parents(limits, err);
    if (!ret)
        ret = record(limits, cgroup_path(limits->cgroup), err);
    if (ret)
        return ret;
    ret = cgroup_make(limits->cgroup, err);
    if (ret) {
        forget(limits); /* nothing new is left */
        return ret;
    }
    return registry_made(limits->registry, limits->slots[limits->slot_count - 1],
                         cgroup_fd(limits->cgroup), err);
}

/* Threads of a VM that has as many vCPUs and disks; on a PCI bus, may come to have. */
static uint32_t threads_needed(const struct machine_config *machine)
{
    uint32_t disks =
        machine->transport == HUSK_TRANSPORT_PCI ? CONFIG_DEVICES_MAX : machine->drive_count;

    return THREADS_OF_VM + 2 * machine->vcpus + THREADS_OF_DISK * disks;
}

/* Nobody asked for it: where the host cannot, it stays away. */
static void limit_threads(struct process_limits *limits, uint32_t count)
{
    const struct cgroup_limits wanted = {.pids_max = count};
    struct husk_error error;
    char text[512];

    if (cgroup_limit(limits->cgroup, &wanted, &error))
        log_info(limits->log, "cgroup", "threads are not limited: %s",
                 error_format(&error, text, sizeof(text)));
}

static int set_limits(struct process_limits *limits, const struct husk_jail_options *jail,
                      const struct machine_config *machine, struct husk_error *err)
{
    const struct cgroup_limits wanted = {
        .memory_max_bytes = jail->memory_max_bytes,
        .cpu_max_percent = jail->cpu_max_percent,
        .cpu_weight = jail->cpu_weight,
        .pids_max = jail->pids_max,
    };
    int ret = cgroup_limit(limits->cgroup, &wanted, err);

    if (!ret && !jail->pids_max)
        limit_threads(limits, threads_needed(machine));

    for (unsigned i = 0; !ret && jail->io_max_bytes && i < machine->drive_count; i++) {
        const struct drive_config *drive = &machine->drives[i];

        ret = cgroup_limit_io(limits->cgroup, drive->fd, jail->io_max_bytes, err);
        for (unsigned part = 0; !ret && part < drive->more_count; part++)
            ret = cgroup_limit_io(limits->cgroup, drive->more[part].fd, jail->io_max_bytes, err);
    }
    return ret;
}

int process_limits_create(const struct process_config *config, const struct machine_config *machine,
                          const struct log *log, struct process_limits **out,
                          struct husk_error *err)
{
    struct process_limits *limits;
    int ret;

    *out = NULL;
    if (!config->cgroup_parent)
        return 0;
    ret = vfio_check_cgroup(machine, config->jail.memory_max_bytes, err);
    if (ret)
        return ret;
    limits = calloc(1, sizeof(*limits));
    if (!limits)
        return error_set(err, ENOMEM, "", "cannot limit the VM", NULL);
    limits->log = log;
    limits->io_max_bytes = config->jail.io_max_bytes;
    limits->memory_max_bytes = config->jail.memory_max_bytes;
    sweep(log);
    ret = make_cgroup(limits, config, err);
    if (!ret)
        ret = set_limits(limits, &config->jail, machine, err);
    if (ret) {
        process_limits_destroy(limits);
        return ret;
    }
    *out = limits;
    return 0;
}

int process_limits_attach(struct process_limits *limits, pid_t pid, struct husk_error *err)
{
    return limits ? cgroup_attach(limits->cgroup, pid, err) : 0;
}

int process_limits_add_drive(struct process_limits *limits, int fd, struct husk_error *err)
{
    return limits && limits->io_max_bytes
               ? cgroup_limit_io(limits->cgroup, fd, limits->io_max_bytes, err)
               : 0;
}

int process_limits_add_vfio(const struct process_limits *limits,
                            const struct machine_config *machine, struct husk_error *err)
{
    return limits ? vfio_check_cgroup_room(machine, limits->memory_max_bytes, err) : 0;
}

void process_limits_destroy(struct process_limits *limits)
{
    struct husk_error error;
    char text[512];

    if (!limits)
        return;
    if (limits->cgroup && cgroup_remove(limits->cgroup, &error))
        log_warn(limits->log, "cgroup", "%s", error_format(&error, text, sizeof(text)));
    else if (limits->registry)
        forget(limits); /* a parent that has others in it now is theirs */
    registry_close(limits->registry);
    cgroup_free(limits->cgroup);
    free(limits);
}
