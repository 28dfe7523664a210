// SPDX-License-Identifier: Apache-2.0
/*
 * Requests and limits: see resources.h. The arithmetic is the kubelet's (Kubernetes documentation,
 * "Resource Management for Pods and Containers" and "Node-pressure Eviction"). No state.
 */
#include "pod/plan/resources.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "pod/manifest/quantity.h"

#define PERIOD_US       100000u
#define QUOTA_MIN_US    1000u /* the kernel's */
#define SHARES_PER_CPU  1024u
#define SHARES_MIN      2u
#define SHARES_MAX      262144u
#define OOM_GUARANTEED  (-997)
#define OOM_BEST_EFFORT 1000
#define CPU_MILLI_MAX   (UINT64_C(1024) * 1000)

static int read_one(const json_t *list, const char *name, bool milli, const char *where,
                    uint64_t *out, struct husk_error *err)
{
    const char *text = plan_text(list, name);
    char place[PLAN_WHERE_BYTES];
    int ret;

    *out = 0;
    if (!text)
        return 0;
    ret = milli ? quantity_milli(text, out) : quantity_bytes(text, out);
    if (ret)
        return plan_refuse(err, -ret, plan_where(place, "%s.%s", where, name),
                           "\"%s\" is no quantity in its range", text);
    return 0;
}

static int read_list(const json_t *list, const char *where, uint64_t *cpu, uint64_t *memory,
                     uint64_t *storage, struct husk_error *err)
{
    char place[PLAN_WHERE_BYTES];
    int ret = read_one(list, "cpu", true, where, cpu, err);

    if (!ret)
        ret = read_one(list, "memory", false, where, memory, err);
    if (!ret)
        ret = read_one(list, "ephemeral-storage", false, where, storage, err);
    if (!ret && *cpu > CPU_MILLI_MAX)
        ret = plan_refuse(err, ERANGE, plan_where(place, "%s.cpu", where), "is more than 1024");
    return ret;
}

int resources_read(const json_t *container, const char *where, struct resources *out,
                   struct husk_error *err)
{
    const json_t *resources = json_object_get(container, "resources");
    char place[PLAN_WHERE_BYTES];
    int ret = read_list(json_object_get(resources, "limits"),
                        plan_where(place, "%s.resources.limits", where), &out->cpu_limit,
                        &out->memory_limit, &out->storage_limit, err);

    if (!ret && out->memory_limit && out->memory_limit < RESOURCES_MEMORY_MIN)
        ret = plan_refuse(err, ERANGE, plan_where(place, "%s.resources.limits.memory", where),
                          "is less than 6Mi, with which no program starts");
    if (!ret)
        ret = read_list(json_object_get(resources, "requests"),
                        plan_where(place, "%s.resources.requests", where), &out->cpu_request,
                        &out->memory_request, &out->storage_request, err);
    return ret;
}

/* Burstable when anything is said; guaranteed when all is, and alike. */
int resources_qos(const json_t *spec, const char **out, struct husk_error *err)
{
    static const char *const lists[] = {"initContainers", "containers"};
    bool any = false, all = true;
    const json_t *container;
    char where[PLAN_WHERE_BYTES];
    size_t index;

    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        json_array_foreach(json_object_get(spec, lists[i]), index, container)
        {
            struct resources r;
            int ret = resources_read(container, plan_where(where, "spec.%s[%zu]", lists[i], index),
                                     &r, err);

            if (ret)
                return ret;
            any |= r.cpu_request || r.cpu_limit || r.memory_request || r.memory_limit;
            all &= r.cpu_limit && r.cpu_request == r.cpu_limit && r.memory_limit &&
                   r.memory_request == r.memory_limit;
        }
    }
    *out = !any ? "BestEffort" : all ? "Guaranteed" : "Burstable";
    return 0;
}

int resources_oom_score(const char *qos, const struct resources *resources, uint64_t memory_bytes)
{
    int score;

    if (!strcmp(qos, "Guaranteed"))
        return OOM_GUARANTEED;
    if (!strcmp(qos, "BestEffort"))
        return OOM_BEST_EFFORT;
    if (resources->memory_request >= memory_bytes)
        return OOM_BEST_EFFORT + OOM_GUARANTEED;
    score =
        OOM_BEST_EFFORT - (int)((unsigned __int128)1000 * resources->memory_request / memory_bytes);
    /* Between the other two classes. */
    if (score < OOM_BEST_EFFORT + OOM_GUARANTEED)
        return OOM_BEST_EFFORT + OOM_GUARANTEED;
    return score == OOM_BEST_EFFORT ? OOM_BEST_EFFORT - 1 : score;
}

static json_int_t shares_of(uint64_t milli)
{
    uint64_t shares = milli * SHARES_PER_CPU / 1000;

    return (json_int_t)min_u64(max_u64(shares, SHARES_MIN), SHARES_MAX);
}

json_t *resources_json(const struct resources *resources, bool update)
{
    json_t *cpu = json_pack("{s:I}", "shares", shares_of(resources->cpu_request));
    json_t *memory = json_object();
    json_int_t quota =
        resources->cpu_limit
            ? (json_int_t)max_u64(resources->cpu_limit * PERIOD_US / 1000, QUOTA_MIN_US)
            : -1;
    json_int_t limit = resources->memory_limit ? (json_int_t)resources->memory_limit : -1;
    json_t *object;
    int ret = cpu && memory ? 0 : -1;

    if (!ret && (quota > 0 || update))
        ret = json_object_set_new(cpu, "quota", json_integer(quota)) ||
              json_object_set_new(cpu, "period", json_integer(PERIOD_US));
    if (!ret && (limit > 0 || update))
        ret = json_object_set_new(memory, "limit", json_integer(limit));
    object = ret ? NULL : json_pack("{s:O}", "cpu", cpu);
    if (object && json_object_size(memory))
        ret = json_object_set(object, "memory", memory);
    /* A container that runs out of memory ends as a whole: half of one serves nobody. */
    if (object && !ret && !update)
        ret = json_object_set_new(object, "unified", json_pack("{s:s}", "memory.oom.group", "1"));
    json_decref(cpu);
    json_decref(memory);
    if (ret) {
        json_decref(object);
        return NULL;
    }
    return object;
}
