// SPDX-License-Identifier: Apache-2.0
/* "linux.resources" (config-linux.md, "Control groups"). Fields that only version 1 of cgroups has
 * are refused where they ask for something. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "guest/agent/oci.h"

#define UNIFIED_MAX 64

static int parse_access(const struct node *node, struct oci_device_rule *out,
                        struct husk_error *err)
{
    struct node member = node_member(node, "access");
    const char *access = "rwm";
    int ret = node_text(node, "access", 0, 8, &access, err);

    for (const char *at = access; !ret && *at; at++) {
        if (*at == 'r')
            out->read = true;
        else if (*at == 'w')
            out->write = true;
        else if (*at == 'm')
            out->mknod = true;
        else
            ret = node_error(&member, EINVAL, err, "has another letter than r, w, m");
    }
    return ret;
}

static int parse_device_rule(const struct node *node, struct oci_device_rule *out,
                             struct husk_error *err)
{
    static const char *const types[] = {"a", "b", "c"};
    struct node allow = node_member(node, "allow");
    unsigned type = 0;
    int ret = node_need(&allow, err);

    out->major = out->minor = -1;
    if (!ret)
        ret = node_flag(node, "allow", &out->allow, err);
    if (!ret)
        ret = node_choice(node, "type", types, ARRAY_SIZE(types), &type, NULL, err);
    if (!ret)
        ret = node_integer(node, "major", -1, 0xfff, &out->major, NULL, err);
    if (!ret)
        ret = node_integer(node, "minor", -1, 0xfffff, &out->minor, NULL, err);
    if (!ret)
        ret = parse_access(node, out, err);
    out->type = types[type][0];
    return ret;
}

static int parse_device_rules(const struct node *node, bool update, struct oci_resources *out,
                              struct husk_error *err)
{
    struct node array;
    int ret = node_array(node, "devices", OCI_DEVICES_MAX, &array, err);

    if (ret || !array.json)
        return ret;
    if (update)
        return node_error(&array, ENOTSUP, err, "cannot change while the container lives");
    out->device_rules = calloc(node_count(&array) + 1, sizeof(*out->device_rules));
    if (!out->device_rules)
        return node_error(&array, ENOMEM, err, "no memory");
    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        struct node item;

        ret = node_object_at(&array, i, &item, err);
        if (!ret)
            ret = parse_device_rule(&item, &out->device_rules[out->device_rule_count++], err);
    }
    return ret;
}

static int parse_memory(const struct node *node, struct oci_resources *out, struct husk_error *err)
{
    struct node memory, member;
    int ret = node_object(node, "memory", &memory, err);

    if (!ret)
        ret = node_integer(&memory, "limit", -1, INT64_MAX, &out->memory_limit,
                           &out->memory_limit_given, err);
    if (!ret)
        ret = node_integer(&memory, "swap", -1, INT64_MAX, &out->memory_swap,
                           &out->memory_swap_given, err);
    if (!ret)
        ret = node_integer(&memory, "reservation", -1, INT64_MAX, &out->memory_reservation,
                           &out->memory_reservation_given, err);
    /* config-linux.md: deprecated, and version 2 has neither; containers cannot switch it off. */
    if (!ret)
        ret = node_unsupported(&memory, "kernel", err);
    if (!ret)
        ret = node_unsupported(&memory, "kernelTCP", err);
    if (!ret)
        ret = node_unsupported(&memory, "swappiness", err);
    if (!ret)
        ret = node_unsupported(&memory, "disableOOMKiller", err);
    if (ret || !out->memory_swap_given || out->memory_swap < 0)
        return ret;
    member = node_member(&memory, "swap");
    if (!out->memory_limit_given || out->memory_limit < 0 || out->memory_swap < out->memory_limit)
        return node_error(&member, EINVAL, err, "includes memory: wants a limit no higher than it");
    return 0;
}

static int parse_cpu(const struct node *node, struct oci_resources *out, struct husk_error *err)
{
    uint64_t burst = 0;
    struct node cpu;
    int ret = node_object(node, "cpu", &cpu, err);

    if (!ret)
        ret =
            node_unsigned(&cpu, "shares", 1u << 20, &out->cpu_shares, &out->cpu_shares_given, err);
    if (!ret)
        ret =
            node_integer(&cpu, "quota", -1, INT64_MAX, &out->cpu_quota, &out->cpu_quota_given, err);
    if (!ret)
        ret = node_unsigned(&cpu, "period", 1000000, &out->cpu_period, &out->cpu_period_given, err);
    if (!ret)
        ret = node_unsigned(&cpu, "burst", INT64_MAX, &burst, &out->cpu_burst_given, err);
    if (!ret)
        ret = node_integer(&cpu, "idle", 0, 1, &out->cpu_idle, &out->cpu_idle_given, err);
    if (!ret)
        ret = node_text(&cpu, "cpus", 0, 1024, &out->cpus, err);
    if (!ret)
        ret = node_text(&cpu, "mems", 0, 1024, &out->mems, err);
    if (!ret)
        ret = node_unsupported(&cpu, "realtimeRuntime", err);
    if (!ret)
        ret = node_unsupported(&cpu, "realtimePeriod", err);
    out->cpu_burst = burst;
    return ret;
}

static int parse_io_limits(const struct node *node, const char *key, bool write, bool operations,
                           struct oci_resources *out, struct husk_error *err)
{
    struct node array;
    int ret = node_array(node, key, OCI_DEVICES_MAX, &array, err);
    struct oci_io_limit *grown;

    if (ret || !node_count(&array))
        return ret;
    grown = reallocarray(out->io_limits, out->io_limit_count + node_count(&array), sizeof(*grown));
    if (!grown)
        return node_error(&array, ENOMEM, err, "no memory");
    out->io_limits = grown;
    for (size_t i = 0; !ret && i < node_count(&array); i++) {
        struct oci_io_limit limit = {.major = -1, .minor = -1};
        struct node item;

        limit.write = write;
        limit.operations = operations;
        ret = node_object_at(&array, i, &item, err);
        if (!ret)
            ret = node_integer(&item, "major", 0, 0xfff, &limit.major, NULL, err);
        if (!ret)
            ret = node_integer(&item, "minor", 0, 0xfffff, &limit.minor, NULL, err);
        if (!ret)
            ret = node_unsigned(&item, "rate", INT64_MAX, &limit.rate, NULL, err);
        if (!ret && (limit.major < 0 || limit.minor < 0))
            ret = node_error(&item, EINVAL, err, "needs major and minor");
        out->io_limits[out->io_limit_count++] = limit;
    }
    return ret;
}

static int parse_io(const struct node *node, struct oci_resources *out, struct husk_error *err)
{
    struct node io;
    int ret = node_object(node, "blockIO", &io, err);

    if (!ret)
        ret = node_unsigned(&io, "weight", 1000, &out->io_weight, &out->io_weight_given, err);
    if (!ret)
        ret = node_unsupported(&io, "leafWeight", err);
    if (!ret)
        ret = node_unsupported(&io, "weightDevice", err);
    if (!ret)
        ret = parse_io_limits(&io, "throttleReadBpsDevice", false, false, out, err);
    if (!ret)
        ret = parse_io_limits(&io, "throttleWriteBpsDevice", true, false, out, err);
    if (!ret)
        ret = parse_io_limits(&io, "throttleReadIOPSDevice", false, true, out, err);
    if (!ret)
        ret = parse_io_limits(&io, "throttleWriteIOPSDevice", true, true, out, err);
    return ret;
}

/* "unified": names of the cgroup's files, but not those by which a container would leave it. */
static int parse_unified(const struct node *node, struct oci_resources *out, struct husk_error *err)
{
    struct node unified;
    const char *key;
    json_t *value;
    int ret = node_object(node, "unified", &unified, err);

    if (ret || !node_count(&unified))
        return ret;
    if (node_count(&unified) > UNIFIED_MAX)
        return node_error(&unified, E2BIG, err, "has more than %d members", UNIFIED_MAX);
    out->unified = calloc(node_count(&unified), sizeof(*out->unified));
    if (!out->unified)
        return node_error(&unified, ENOMEM, err, "no memory");
    json_object_foreach((json_t *)unified.json, key, value)
    {
        struct node member = {.json = value, .up = &unified, .key = key};

        if (strchr(key, '/') || !strchr(key, '.') || key[0] == '.' || !strncmp(key, "cgroup.", 7))
            return node_error(&member, EINVAL, err, "is not the name of a controller's file");
        ret = node_text_value(&member, 0, 4096, &out->unified[out->unified_count].value, err);
        if (ret)
            return ret;
        out->unified[out->unified_count++].name = key;
    }
    return 0;
}

static int parse_resources(const struct node *node, bool update, struct oci_resources *out,
                           struct husk_error *err)
{
    struct node pids;
    int ret = parse_device_rules(node, update, out, err);

    if (!ret)
        ret = parse_memory(node, out, err);
    if (!ret)
        ret = parse_cpu(node, out, err);
    if (!ret)
        ret = node_object(node, "pids", &pids, err);
    if (!ret)
        ret = node_integer(&pids, "limit", -1, INT64_MAX, &out->pids_limit, &out->pids_given, err);
    if (!ret)
        ret = parse_io(node, out, err);
    if (!ret)
        ret = parse_unified(node, out, err);
    if (!ret)
        ret = node_unsupported(node, "hugepageLimits", err);
    if (!ret)
        ret = node_unsupported(node, "network", err);
    if (!ret)
        ret = node_unsupported(node, "rdma", err);
    return ret;
}

int oci_parse_resources(const struct node *node, bool update, struct oci_resources *out,
                        struct husk_error *err)
{
    int ret;

    memset(out, 0, sizeof(*out));
    ret = parse_resources(node, update, out, err);
    if (ret)
        oci_free_resources(out);
    return ret;
}

void oci_free_resources(struct oci_resources *resources)
{
    free(resources->device_rules);
    free(resources->io_limits);
    free(resources->unified);
    memset(resources, 0, sizeof(*resources));
}
