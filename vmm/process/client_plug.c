// SPDX-License-Identifier: Apache-2.0
/* Devices of a jailed VM that come and go: see client.h. */
#include "base/checked.h"
#include "vmm/process/config_wire.h"
#include "vmm/process/internal.h"

/* The process may tell the end of as many devices as it got. */
static void expect_removal(struct vm_process *process, int ret)
{
    if (!ret)
        atomic_fetch_add(&process->devices, 1);
}

int vm_process_plug_drive(struct vm_process *process, const struct drive_config *drive,
                          struct husk_error *err)
{
    struct call call;
    int ret;

    ret = process_limits_add_drive(process->limits, drive->fd, err);
    if (ret)
        return ret;
    call_begin(&call, process, PROTOCOL_PLUG_DRIVE, "cannot add a drive");
    config_put_drive(&process->request, &call.out, drive);
    ret = call_finish(&call, LONG_ANSWER_MS, err);
    expect_removal(process, ret);
    call_end(&call);
    return ret;
}

int vm_process_plug_net(struct vm_process *process, const struct net_config *net,
                        struct husk_error *err)
{
    struct call call;
    int ret;

    call_begin(&call, process, PROTOCOL_PLUG_NET, "cannot add a network device");
    config_put_net(&process->request, &call.out, net);
    ret = call_finish(&call, LONG_ANSWER_MS, err);
    expect_removal(process, ret);
    call_end(&call);
    return ret;
}

/* A VM that is as large as it gets is pinned in time; the host may be busy. */
static int pinning_ms(const struct machine_config *machine)
{
    const uint64_t gib = machine->memory_bytes >> 30;

    return LONG_ANSWER_MS + (int)min_u64(gib, 1000000) * 2000;
}

int vm_process_plug_vfio(struct vm_process *process, const struct machine_config *machine,
                         const struct vfio_config *vfio, int iommu_fd, struct husk_error *err)
{
    struct call call;
    int ret = process_limits_add_vfio(process->limits, machine, err);

    if (!ret)
        ret = process_make_room(process, machine, vfio->iommu, err);
    if (ret)
        return ret;
    call_begin(&call, process, PROTOCOL_PLUG_VFIO, "cannot add a device of the host");
    config_put_plugged_vfio(&process->request, &call.out, vfio, iommu_fd);
    ret = call_finish(&call, pinning_ms(machine), err);
    expect_removal(process, ret);
    if (!ret)
        atomic_fetch_add(&process->wants, 1);
    call_end(&call);
    return ret;
}

static int ask_about(struct vm_process *process, enum protocol_kind kind, const char *what,
                     const char *id, struct husk_error *err)
{
    struct call call;
    int ret;

    call_begin(&call, process, kind, what);
    wire_put_string(&call.out, id);
    ret = call_finish(&call, LONG_ANSWER_MS, err);
    call_end(&call);
    return ret;
}

int vm_process_unplug_drive(struct vm_process *process, const char *id, struct husk_error *err)
{
    return ask_about(process, PROTOCOL_UNPLUG_DRIVE, "cannot remove the drive", id, err);
}

int vm_process_unplug_net(struct vm_process *process, const char *id, struct husk_error *err)
{
    return ask_about(process, PROTOCOL_UNPLUG_NET, "cannot remove the network device", id, err);
}

int vm_process_unplug_vfio(struct vm_process *process, const char *id, struct husk_error *err)
{
    return ask_about(process, PROTOCOL_UNPLUG_VFIO, "cannot remove the device of the host", id,
                     err);
}

int vm_process_has_vfio(struct vm_process *process, const char *id, struct husk_error *err)
{
    return ask_about(process, PROTOCOL_HAS_VFIO, "cannot tell about the device of the host", id,
                     err);
}
