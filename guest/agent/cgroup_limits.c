// SPDX-License-Identifier: Apache-2.0
/* What the resources of a config are in files of cgroup v2
 * (Documentation/admin-guide/cgroup-v2.rst). No state. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "guest/agent/cgroup.h"
#include "guest/agent/files.h"

struct target {
    const struct cgroup *cgroup;
    const char *field;
    struct husk_error *err;
};

static int set_text(const struct target *target, const char *file, const char *field,
                    const char *text)
{
    char where[192];
    int ret = file_write(target->cgroup->dir, file, text);

    if (!ret)
        return 0;
    snprintf(where, sizeof(where), "%s.%s", target->field, field);
    if (ret == -ENOENT)
        return error_set(target->err, ENOTSUP, where, "cannot be set",
                         "this kernel has no %s for it", file);
    return error_set(target->err, -ret, where, "cannot be set", "%s: %s", file, error_text(-ret));
}

/* Below 0 is no limit. */
static int set_limit(const struct target *target, const char *file, const char *field,
                     int64_t value)
{
    char text[32];

    if (value < 0 || value == INT64_MAX)
        return set_text(target, file, field, "max");
    snprintf(text, sizeof(text), "%" PRId64, value);
    return set_text(target, file, field, text);
}

/* Version 1's limit of memory and swap together is version 2's of swap alone. */
static int set_memory(const struct target *target, const struct oci_resources *resources)
{
    int64_t swap = resources->memory_swap;
    int ret = 0;

    if (resources->memory_swap_given && swap >= 0)
        swap -= resources->memory_limit;
    if (resources->memory_limit_given)
        ret = set_limit(target, "memory.max", "memory.limit", resources->memory_limit);
    if (!ret && resources->memory_swap_given)
        ret = set_limit(target, "memory.swap.max", "memory.swap", swap);
    if (!ret && resources->memory_reservation_given)
        ret = set_limit(target, "memory.low", "memory.reservation", resources->memory_reservation);
    return ret;
}

/* 2 to 262144 shares are weights 1 to 10000. */
static unsigned weight_of_shares(uint64_t shares)
{
    if (shares < 2)
        shares = 2;
    if (shares > 262144)
        shares = 262144;
    return (unsigned)(1 + (shares - 2) * 9999 / 262142);
}

static int set_cpu(const struct target *target, const struct oci_resources *resources)
{
    char text[64];
    int ret = 0;

    if (resources->cpu_shares_given && resources->cpu_shares) {
        snprintf(text, sizeof(text), "%u", weight_of_shares(resources->cpu_shares));
        ret = set_text(target, "cpu.weight", "cpu.shares", text);
    }
    if (!ret && (resources->cpu_quota_given || resources->cpu_period_given)) {
        uint64_t period = resources->cpu_period_given ? resources->cpu_period : 100000;

        if (resources->cpu_quota_given && resources->cpu_quota > 0)
            snprintf(text, sizeof(text), "%" PRId64 " %" PRIu64, resources->cpu_quota, period);
        else
            snprintf(text, sizeof(text), "max %" PRIu64, period);
        ret = set_text(target, "cpu.max", "cpu.quota", text);
    }
    if (!ret && resources->cpu_burst_given)
        ret = set_limit(target, "cpu.max.burst", "cpu.burst", (int64_t)resources->cpu_burst);
    if (!ret && resources->cpu_idle_given)
        ret = set_limit(target, "cpu.idle", "cpu.idle", resources->cpu_idle);
    if (!ret && resources->cpus && resources->cpus[0])
        ret = set_text(target, "cpuset.cpus", "cpu.cpus", resources->cpus);
    if (!ret && resources->mems && resources->mems[0])
        ret = set_text(target, "cpuset.mems", "cpu.mems", resources->mems);
    return ret;
}

/* 10 to 1000 become 1 to 10000. */
static int set_io(const struct target *target, const struct oci_resources *resources)
{
    char text[128];
    int ret = 0;

    if (resources->io_weight_given && resources->io_weight) {
        uint64_t weight = resources->io_weight < 10 ? 10 : resources->io_weight;

        snprintf(text, sizeof(text), "default %" PRIu64, 1 + (weight - 10) * 9999 / 990);
        ret = set_text(target, "io.weight", "blockIO.weight", text);
    }
    for (size_t i = 0; i < resources->io_limit_count && !ret; i++) {
        const struct oci_io_limit *limit = &resources->io_limits[i];
        char rate[24] = "max";

        if (limit->rate)
            snprintf(rate, sizeof(rate), "%" PRIu64, limit->rate);
        snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %c%s=%s", limit->major, limit->minor,
                 limit->write ? 'w' : 'r', limit->operations ? "iops" : "bps", rate);
        ret = set_text(target, "io.max", "blockIO", text);
    }
    return ret;
}

int cgroup_set_limits(const struct cgroup *cgroup, const struct oci_resources *resources,
                      const char *field, struct husk_error *err)
{
    const struct target target = {.cgroup = cgroup, .field = field, .err = err};
    int ret = set_memory(&target, resources);

    if (!ret)
        ret = set_cpu(&target, resources);
    if (!ret && resources->pids_given)
        ret = set_limit(&target, "pids.max", "pids.limit",
                        resources->pids_limit > 0 ? resources->pids_limit : -1);
    if (!ret)
        ret = set_io(&target, resources);
    for (size_t i = 0; i < resources->unified_count && !ret; i++)
        ret = set_text(&target, resources->unified[i].name, "unified", resources->unified[i].value);
    return ret;
}
