// SPDX-License-Identifier: Apache-2.0
/*
 * Devices of the host that come and go while the guest runs: as machine_plug.c, in which the order
 * of things is told, but for two differences. Such a device is made and destroyed beside the I/O
 * thread, because a reset, or pinning all of the guest's memory, takes long: on the caller's thread
 * when it comes, on the vCPU's that ejects it when it goes. And the first one brings the address
 * space of DMA along, which then is that of the others.
 *
 * Memory may be pinned while the guest runs: nothing replaces what is behind it after the build,
 * and a page of the kernel's file that nobody has written yet is copied by the pinning itself.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/io.h"
#include "devices/pci/hotplug.h"
#include "vmm/machine.h"

#define CANNOT_ADD    "cannot add a device of the host"
#define CANNOT_REMOVE "cannot remove the device of the host"

/* ---- coming ---- */

static enum husk_vfio_iommu interface_of(const struct vfio_config *vfio)
{
    return vfio->device_fd >= 0 ? HUSK_VFIO_IOMMU_IOMMUFD : HUSK_VFIO_IOMMU_GROUP;
}

/* The first device decides about the address space; devices_lock held. */
static int settle_interface(struct machine *machine, const struct vfio_config *vfio, int iommu_fd,
                            struct husk_error *err)
{
    struct machine_config *config = machine->config;

    if (config->vfio_count > 0) {
        close_fd(&iommu_fd);
        return config->vfio_iommu == interface_of(vfio)
                   ? 0
                   : error_set(err, EINVAL, vfio->id, CANNOT_ADD,
                               "all devices use either groups or iommufd");
    }
    machine_destroy_vfio(machine);
    close_fd(&config->vfio_iommu_fd);
    config->vfio_iommu = interface_of(vfio);
    config->vfio_iommu_fd = iommu_fd;
    return 0;
}

static int make(struct machine *machine, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    struct vfio_config *vfio = &config->vfios[config->vfio_count - 1];
    bool started = machine_state(machine) != HUSK_STATE_CREATED;
    int ret = machine_create_one_vfio(machine, vfio, started, err);

    if (!ret && started)
        pci_hotplug_added(machine->hotplug, machine_find_vfio(machine, vfio->id)->slot);
    return ret;
}

int machine_plug_vfio(struct machine *machine, struct vfio_config *vfio, int iommu_fd,
                      struct husk_error *err)
{
    struct machine_config *config = machine->config;
    int ret;

    pthread_mutex_lock(&machine->control_lock);
    pthread_mutex_lock(&config->devices_lock);
    ret = machine_check_pluggable(machine, CANNOT_ADD, err);
    if (!ret)
        ret = config_check_vfio(config, vfio, err);
    if (ret)
        close_fd(&iommu_fd);
    else
        ret = settle_interface(machine, vfio, iommu_fd, err);
    if (ret) {
        vfio_config_release(vfio);
    } else {
        vfio->iommu = config->vfio_iommu;
        config->vfios[config->vfio_count++] = *vfio;
        ret = make(machine, err);
        if (ret)
            vfio_config_release(&config->vfios[--config->vfio_count]);
    }
    pthread_mutex_unlock(&config->devices_lock);
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

/* ---- going ---- */

/* devices_lock held. */
static void take_away(struct machine_vfio *place)
{
    struct machine *machine = place->machine;
    unsigned slot = atomic_load(&place->slot);

    machine_destroy_one_vfio(place);
    pci_hotplug_gone(machine->hotplug, slot);
    machine_config_remove_vfio(machine->config, place->id, NULL);
    machine_tell_of_device(machine, HUSK_EVENT_DEVICE_REMOVED, HUSK_DEVICE_VFIO, place->id);
}

bool machine_eject_vfio(struct machine *machine, unsigned number)
{
    struct machine_vfio *place = machine_vfio_at(machine, number);

    if (place)
        take_away(place);
    return place != NULL;
}

int machine_unplug_vfio(struct machine *machine, const char *id, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    int ret, index;

    pthread_mutex_lock(&machine->control_lock);
    pthread_mutex_lock(&config->devices_lock);
    ret = machine_check_pluggable(machine, CANNOT_REMOVE, err);
    index = ret ? ret : machine_config_find_vfio(config, id, CANNOT_REMOVE, err);
    if (index < 0)
        ret = index;
    else if (machine_state(machine) == HUSK_STATE_CREATED)
        take_away(machine_find_vfio(machine, id)); /* there is no guest to ask */
    else
        pci_hotplug_want(machine->hotplug, machine_find_vfio(machine, id)->slot);
    pthread_mutex_unlock(&config->devices_lock);
    pthread_mutex_unlock(&machine->control_lock);
    return ret;
}

int machine_has_vfio(struct machine *machine, const char *id, struct husk_error *err)
{
    struct machine_config *config = machine->config;
    int index;

    pthread_mutex_lock(&config->devices_lock);
    index = machine_config_find_vfio(config, id, "cannot tell about the device of the host", err);
    pthread_mutex_unlock(&config->devices_lock);
    return index < 0 ? index : 0;
}
