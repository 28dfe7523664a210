// SPDX-License-Identifier: Apache-2.0
/*
 * Devices of the host in a machine: what they need of the VM (memory slots, KVM's knowledge of what
 * is passed through), and their making.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "devices/pci/host.h"
#include "devices/pci/hotplug.h"
#include "devices/vfio/kernel.h"
#include "devices/vfio/vfio.h"
#include "vmm/kvm.h"
#include "vmm/machine.h"
#include "vmm/memslots.h"

/* KVM's device for it is made with the first file. */
static int set_file(struct machine *machine, int fd, bool add)
{
    int ret = 0;

    pthread_mutex_lock(&machine->kvm_vfio_lock);
    if (machine->kvm_vfio_fd < 0) {
        ret = kvm_create_vfio(&machine->kvm);
        if (ret >= 0) {
            machine->kvm_vfio_fd = ret;
            ret = 0;
        }
    }
    if (!ret)
        ret = kvm_vfio_file(machine->kvm_vfio_fd, fd, add);
    pthread_mutex_unlock(&machine->kvm_vfio_lock);
    return ret;
}

static int add_file(void *arg, int fd)
{
    return set_file(arg, fd, true);
}

static void remove_file(void *arg, int fd)
{
    set_file(arg, fd, false);
}

static int map(void *arg, uint64_t gpa, void *hva, uint64_t size, unsigned *slot)
{
    struct machine *machine = arg;

    return memslots_add(&machine->memslots, gpa, hva, size, slot);
}

static void unmap(void *arg, unsigned slot)
{
    struct machine *machine = arg;

    memslots_remove(&machine->memslots, slot);
}

static struct vfio_vm vm_of(struct machine *machine)
{
    return (struct vfio_vm){
        .add_file = add_file,
        .remove_file = remove_file,
        .map = map,
        .unmap = unmap,
        .arg = machine,
    };
}

/* ---- devices ---- */

/*
 * The host waits, and asks again every few seconds: so does this, of a guest that runs. Before the
 * device has its number nothing can be asked for. I/O thread.
 */
static void on_request(struct machine_vfio *place)
{
    struct machine *machine = place->machine;
    unsigned slot = atomic_load(&place->slot);

    if (!slot)
        return;
    if (machine_state(machine) != HUSK_STATE_CREATED)
        pci_hotplug_want(machine->hotplug, slot);
    if (place->wanted)
        return;
    place->wanted = true;
    log_warn(machine->log, place->name,
             "the host wants the device back, and waits until it is removed from the VM or the VM "
             "ends");
    machine_tell_of_device(machine, HUSK_EVENT_DEVICE_WANTED, HUSK_DEVICE_VFIO, place->id);
}

/* I/O thread. */
static void on_event(void *arg, struct device *device, enum vfio_event event)
{
    struct machine_vfio *place = arg;

    switch (event) {
    case VFIO_EVENT_REQUEST:
        on_request(place);
        break;
    case VFIO_EVENT_ERROR:
        log_warn(place->machine->log, place->name,
                 "the device reported an error, and is out of use until it is "
                 "removed and added again, or the VM is started anew");
        break;
    }
}

/* The address space comes with the first device. */
static int need_iommu(struct machine *machine, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    enum vfio_mode mode =
        config->vfio_iommu == HUSK_VFIO_IOMMU_IOMMUFD ? VFIO_IOMMUFD : VFIO_CONTAINER;
    struct vfio_vm vm = vm_of(machine);
    int fd = config->vfio_iommu_fd;

    if (machine->vfio_iommu)
        return 0;
    config->vfio_iommu_fd = -1;
    return vfio_iommu_create(mode, fd, machine->memory, &vm, &vfio_kernel, machine->log,
                             &machine->vfio_iommu, err);
}

static struct machine_vfio *find_place(struct machine *machine)
{
    for (unsigned i = 0; i < CONFIG_DEVICES_MAX; i++) {
        if (!machine->vfios[i].device)
            return &machine->vfios[i];
    }
    return NULL;
}

static void append(void *arg)
{
    const struct machine_vfio *place = arg;

    machine_append_device(place->machine, place->device);
}

int machine_create_one_vfio(struct machine *machine, struct vfio_config *vfio, bool hotplugged,
                            struct husk_error *err)
{
    struct machine_vfio *place = find_place(machine);
    struct vfio_device_env env = {
        .env = machine->device_env,
        .host = machine->pci,
        .msi = &machine->msi,
        .levels = &machine->levels,
        .event = on_event,
        .event_arg = place,
    };
    struct vfio_device_config config = {
        .address = vfio->address,
        .group_fd = vfio->group_fd,
        .group_rdev = vfio->group_rdev,
        .device_fd = vfio->device_fd,
        .number = PCI_NEXT_FREE,
        .hotplugged = hotplugged,
    };
    int ret;

    if (!place)
        return error_set(err, ENOSPC, vfio->id, "cannot attach the device", NULL);
    ret = need_iommu(machine, err);
    if (ret)
        return ret;
    *place = (struct machine_vfio){.machine = machine};
    snprintf(place->id, sizeof(place->id), "%s", vfio->id);
    snprintf(place->name, sizeof(place->name), "%s", vfio->address[0] ? vfio->address : vfio->id);
    config.name = place->name;
    env.iommu = machine->vfio_iommu;
    vfio->group_fd = vfio->device_fd = -1;
    ret = vfio_device_create(&env, &config, &place->device, err);
    if (ret)
        return ret;
    atomic_store(&place->slot, vfio_device_slot(place->device));
    event_loop_call(machine->loop, append, place);
    return 0;
}

struct machine_vfio *machine_find_vfio(struct machine *machine, const char *id)
{
    for (unsigned i = 0; i < CONFIG_DEVICES_MAX; i++) {
        if (machine->vfios[i].device && !strcmp(machine->vfios[i].id, id))
            return &machine->vfios[i];
    }
    return NULL;
}

struct machine_vfio *machine_vfio_at(struct machine *machine, unsigned slot)
{
    for (unsigned i = 0; i < CONFIG_DEVICES_MAX; i++) {
        if (machine->vfios[i].device && atomic_load(&machine->vfios[i].slot) == slot)
            return &machine->vfios[i];
    }
    return NULL;
}

static void unlink_device(void *arg)
{
    const struct machine_vfio *place = arg;

    machine_unlink_device(place->machine, place->device);
}

/* On this thread, not on the I/O thread: a reset takes its time, and others' devices go on. */
void machine_destroy_one_vfio(struct machine_vfio *place)
{
    event_loop_call(place->machine->loop, unlink_device, place);
    device_destroy(place->device);
    place->device = NULL;
    atomic_store(&place->slot, 0);
}

/* What the pinning took, apart from the rest. */
static void mark_moments(struct machine *machine)
{
    struct vfio_pinned pinned;

    vfio_iommu_pinned(machine->vfio_iommu, &pinned);
    timeline_mark_at(&machine->timeline, TIMELINE_IOMMU, pinned.at_ns - pinned.ns);
    timeline_mark_at(&machine->timeline, TIMELINE_PINNED, pinned.at_ns);
    timeline_mark(&machine->timeline, TIMELINE_VFIO);
}

int machine_create_vfio(struct machine *machine, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    int ret = 0;

    for (unsigned i = 0; !ret && i < config->vfio_count; i++)
        ret = machine_create_one_vfio(machine, &config->vfios[i], false, err);
    if (!ret && config->vfio_count)
        mark_moments(machine);
    return ret;
}

void machine_destroy_vfio(struct machine *machine)
{
    vfio_iommu_destroy(machine->vfio_iommu);
    machine->vfio_iommu = NULL;
}

uint64_t machine_pinned_bytes(struct machine *machine)
{
    struct vfio_pinned pinned = {0};

    pthread_mutex_lock(&machine->config->devices_lock);
    if (machine->vfio_iommu)
        vfio_iommu_pinned(machine->vfio_iommu, &pinned);
    pthread_mutex_unlock(&machine->config->devices_lock);
    return pinned.bytes;
}
