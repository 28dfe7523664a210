// SPDX-License-Identifier: Apache-2.0
/*
 * How big a pod's machine is: enough for what runs at one time, as the scheduler counts it
 * (Kubernetes documentation, "Sidecar Containers", "Resource sharing within containers"). That is
 * all main containers and sidecars, or an init container with the sidecars before it, whichever is
 * more. No state.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "pod/plan/resources.h"

#define MIB UINT64_C(1048576)

/* What has no limit may want more than it asks for. */
#define UNLIMITED_FACTOR 2u

struct amount {
    uint64_t cpu_milli, memory_bytes, storage_bytes;
};

/* What the containers ask for (`request`), and what they could use (`most`). */
struct need {
    struct amount request, most;
    bool unlimited_memory;
};

static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t out;

    return checked_add(a, b, &out) ? out : UINT64_MAX;
}

static struct amount add(struct amount a, struct amount b)
{
    return (struct amount){sum(a.cpu_milli, b.cpu_milli), sum(a.memory_bytes, b.memory_bytes),
                           sum(a.storage_bytes, b.storage_bytes)};
}

static struct amount larger(struct amount a, struct amount b)
{
    return (struct amount){max_u64(a.cpu_milli, b.cpu_milli),
                           max_u64(a.memory_bytes, b.memory_bytes),
                           max_u64(a.storage_bytes, b.storage_bytes)};
}

static struct need need_of(const struct resources *r)
{
    struct need need = {
        .request = {r->cpu_request, r->memory_request, r->storage_request},
        .most = {r->cpu_limit ? r->cpu_limit : r->cpu_request, r->memory_limit,
                 r->storage_limit ? r->storage_limit : r->storage_request},
        .unlimited_memory = !r->memory_limit,
    };

    if (!r->memory_limit &&
        !checked_mul(r->memory_request, UNLIMITED_FACTOR, &need.most.memory_bytes))
        need.most.memory_bytes = UINT64_MAX;
    return need;
}

/* Names the first container with which the requests are more than there is. */
static int check_request(const struct plan *plan, const struct amount *total, const char *where,
                         struct husk_error *err)
{
    const struct plan_input *in = plan->in;
    char place[PLAN_WHERE_BYTES];

    if (in->host_cpus && total->cpu_milli > UINT64_C(1000) * in->host_cpus)
        return plan_refuse(err, ENOSPC, plan_where(place, "%s.resources.requests.cpu", where),
                           "the pod asks for %" PRIu64 "m in all, and this host has %u processors",
                           total->cpu_milli, in->host_cpus);
    if (in->host_memory_bytes && total->memory_bytes > in->host_memory_bytes)
        return plan_refuse(err, ENOSPC, plan_where(place, "%s.resources.requests.memory", where),
                           "the pod asks for %" PRIu64 " MiB in all, and this host has %" PRIu64
                           " MiB",
                           total->memory_bytes / MIB, in->host_memory_bytes / MIB);
    if (pod_machine_memory_for(total->memory_bytes) > POD_MACHINE_MEMORY_MAX)
        return plan_refuse(err, ERANGE, plan_where(place, "%s.resources.requests.memory", where),
                           "the pod asks for more than a machine can have");
    return 0;
}

static bool is_sidecar(const json_t *container)
{
    const char *policy = plan_text(container, "restartPolicy");

    return policy && !strcmp(policy, "Always");
}

static int count_list(const struct plan *plan, const char *list, struct need *running,
                      struct need *peak, struct husk_error *err)
{
    bool init = !strcmp(list, "initContainers");
    char where[PLAN_WHERE_BYTES];
    const json_t *container;
    size_t index;

    json_array_foreach(json_object_get(plan->spec, list), index, container)
    {
        struct resources r;
        struct need own, then = *running;
        int ret =
            resources_read(container, plan_where(where, "spec.%s[%zu]", list, index), &r, err);

        if (ret)
            return ret;
        own = need_of(&r);
        then.request = add(running->request, own.request);
        then.most = add(running->most, own.most);
        ret = check_request(plan, &then.request, where, err);
        if (ret)
            return ret;
        peak->unlimited_memory |= own.unlimited_memory;
        if (init && !is_sidecar(container)) {
            peak->request = larger(peak->request, then.request);
            peak->most = larger(peak->most, then.most);
        } else {
            *running = then;
        }
    }
    return 0;
}

static void choose_memory(const struct plan *plan, const struct need *need,
                          struct pod_machine_options *machine)
{
    uint64_t least = pod_machine_memory_for(need->request.memory_bytes);
    uint64_t bytes = need->most.memory_bytes > POD_MACHINE_MEMORY_MAX
                         ? POD_MACHINE_MEMORY_MAX
                         : pod_machine_memory_for(need->most.memory_bytes);

    if (need->unlimited_memory)
        bytes = max_u64(bytes, POD_MACHINE_MEMORY_BYTES);
    /* More than the host has is of no use to anybody, and the guest notes each page. */
    if (plan->in->host_memory_bytes)
        bytes = min_u64(bytes, align_down(plan->in->host_memory_bytes, MIB));
    bytes = max_u64(bytes, least);
    machine->memory_bytes = min_u64(max_u64(bytes, POD_MACHINE_MEMORY_MIN), POD_MACHINE_MEMORY_MAX);
}

static void choose_vcpus(const struct plan *plan, const struct need *need,
                         struct pod_machine_options *machine)
{
    uint64_t cpus = need->most.cpu_milli / 1000 + (need->most.cpu_milli % 1000 != 0);

    if (plan->in->host_cpus)
        cpus = min_u64(cpus, plan->in->host_cpus);
    machine->vcpus = (unsigned)min_u64(max_u64(cpus, POD_MACHINE_VCPUS), POD_MACHINE_VCPUS_MAX);
}

/* The machine is there; the pod has to do with it. */
static int fit(const struct plan *plan, struct pod_machine_options *machine, struct husk_error *err)
{
    const struct plan_input *in = plan->in;

    if (machine->memory_bytes > in->memory_bytes)
        return plan_refuse(err, ENOSPC, "spec.containers",
                           "the containers' memory wants a machine of %" PRIu64
                           " MiB, and it has %" PRIu64 " MiB",
                           machine->memory_bytes / MIB, in->memory_bytes / MIB);
    if (machine->vcpus > in->vcpus)
        return plan_refuse(err, ENOSPC, "spec.containers",
                           "the containers' processors want a machine of %u, and it has %u",
                           machine->vcpus, in->vcpus);
    machine->memory_bytes = in->memory_bytes;
    machine->vcpus = in->vcpus;
    return 0;
}

int plan_size(struct plan *plan, struct husk_error *err)
{
    struct pod_machine_options *machine = plan->out->machine;
    struct need running = {.unlimited_memory = false}, peak = running;
    int ret = resources_qos(plan->spec, &plan->out->qos_class, err);

    if (!ret)
        ret = count_list(plan, "initContainers", &running, &peak, err);
    if (!ret)
        ret = count_list(plan, "containers", &running, &peak, err);
    if (ret)
        return ret;
    peak.request = larger(peak.request, running.request);
    peak.most = larger(peak.most, running.most);
    choose_memory(plan, &peak, machine);
    choose_vcpus(plan, &peak, machine);
    machine->scratch_bytes = min_u64(max_u64(peak.most.storage_bytes, POD_MACHINE_SCRATCH_BYTES),
                                     POD_MACHINE_SCRATCH_MAX);
    return plan->in->memory_bytes ? fit(plan, machine, err) : 0;
}
