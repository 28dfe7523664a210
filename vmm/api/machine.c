// SPDX-License-Identifier: Apache-2.0
/* /machine-config: CPUs and memory. */
#include <errno.h>

#include "vmm/api/state.h"

#define VCPUS_MAX            32u
#define MEM_SIZE_MIB_DEFAULT 128u
#define MEM_SIZE_MIB_MAX     (1u << 24)
#define PREFIX               "Machine config error: "

enum { CPU_TEMPLATE_NONE = 6 }; /* of the choices in settings.c */

/* What is absent gets its default; a template named "None" is none. */
void machine_defaults(struct machine_settings *machine)
{
    if (!machine->vcpu_count.given)
        machine->vcpu_count = (struct json_number){true, 1};
    if (!machine->mem_size_mib.given)
        machine->mem_size_mib = (struct json_number){true, MEM_SIZE_MIB_DEFAULT};
    machine->smt.given = true;
    machine->track_dirty_pages.given = true;
    machine->huge_pages.given = true;
    machine->given = true;
    if (machine->cpu_template.given && machine->cpu_template.value == CPU_TEMPLATE_NONE)
        machine->cpu_template.given = false;
}

static int check(const struct machine_settings *machine, struct api_fault *fault)
{
    uint64_t vcpus = machine->vcpu_count.value, mib = machine->mem_size_mib.value;

    if (vcpus == 0 || vcpus > VCPUS_MAX || (machine->smt.value && vcpus > 1 && vcpus % 2))
        return api_fault_set(fault,
                             PREFIX "vcpu_count: The number of vCPUs must be greater than 0, less "
                                    "than %u and must be 1 or an even number if SMT is enabled.",
                             VCPUS_MAX);
    if (mib == 0 || (machine->huge_pages.value != HUGE_PAGES_NONE && mib % 2))
        return api_fault_set(fault, PREFIX "mem_size_mib: The memory size (MiB) is either 0, or "
                                           "not a multiple of the configured page size.");
    if (mib > MEM_SIZE_MIB_MAX)
        return api_fault_set(fault, PREFIX "mem_size_mib: The memory size (MiB) is larger than %u.",
                             MEM_SIZE_MIB_MAX);
    if (machine->cpu_template.given)
        return api_fault_set(fault, PREFIX "cpu_template: CPU templates that are known by a name "
                                           "are not supported; PUT /cpu-config takes custom ones.");
    return 0;
}

int machine_get(struct api *api, struct api_call *call, struct api_fault *fault)
{
    call->result = json_write(&machine_shape, &api->machine);
    return call->result ? 0 : api_fault_set(fault, "out of memory");
}

static int apply(struct api *api, struct machine_settings *machine, struct api_fault *fault)
{
    int ret = need_not_started(api, fault);

    if (ret)
        return ret;
    machine_defaults(machine);
    ret = check(machine, fault);
    if (!ret)
        api->machine = *machine;
    return ret;
}

int machine_put(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct machine_settings machine = {0};
    int ret = read_body(call, &machine_shape, &machine, fault);

    if (ret)
        return ret;
    call->deprecated = machine.cpu_template.given;
    return apply(api, &machine, fault);
}

int machine_patch(struct api *api, struct api_call *call, struct api_fault *fault)
{
    struct machine_settings machine = api->machine, change = {0};
    int ret = read_body(call, &machine_patch_shape, &change, fault);

    if (ret)
        return ret;
    if (json_given(&machine_patch_shape, &change) == 0)
        return api_fault_set(fault, "Empty PATCH request.");
    call->deprecated = change.cpu_template.given;
    if (change.vcpu_count.given)
        machine.vcpu_count = change.vcpu_count;
    if (change.mem_size_mib.given)
        machine.mem_size_mib = change.mem_size_mib;
    if (change.smt.given)
        machine.smt = change.smt;
    if (change.track_dirty_pages.given)
        machine.track_dirty_pages = change.track_dirty_pages;
    if (change.huge_pages.given)
        machine.huge_pages = change.huge_pages;
    if (change.cpu_template.given)
        machine.cpu_template = change.cpu_template;
    return apply(api, &machine, fault);
}
