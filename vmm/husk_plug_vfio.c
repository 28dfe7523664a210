// SPDX-License-Identifier: Apache-2.0
/* The public interface (husk/husk.h): devices of the host that come and go. As husk_plug.c. */
#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/io.h"
#include "vmm/husk_vm.h"
#include "vmm/machine.h"
#include "vmm/vfio_open.h"

#define CANNOT_ADD    "cannot add a device of the host"
#define CANNOT_REMOVE "cannot remove a device of the host"

/* The device's, the group's and the IOMMU's descriptor. */
#define FDS 3

/* They are nobody's here any more. */
static int hand_over(struct husk_vm *vm, struct vfio_config *vfio, int iommu_fd,
                     struct husk_error *err)
{
    struct machine_config *config = &vm->config;
    int ret;

    if (!vm->process)
        return machine_plug_vfio(vm->machine, vfio, iommu_fd, err);
    ret = vm_process_plug_vfio(vm->process, config, vfio, iommu_fd, err);
    vfio_config_release(vfio); /* on success the process has duplicates */
    close_fd(&iommu_fd);
    if (ret)
        return ret;
    pthread_mutex_lock(&config->devices_lock);
    config->vfio_iommu = vfio->iommu;
    config->vfios[config->vfio_count++] = *vfio;
    pthread_mutex_unlock(&config->devices_lock);
    return 0;
}

/* With duplicates of what the caller gave. */
static int open_vfio(struct husk_vm *vm, struct vfio_config *vfio, int *iommu_fd, int fds[FDS],
                     struct husk_error *err)
{
    int ret = husk_vm_duplicate(fds, FDS);

    vfio->device_fd = fds[0];
    vfio->group_fd = fds[1];
    *iommu_fd = fds[2];
    if (ret)
        error_set(err, -ret, vfio->id, CANNOT_ADD, NULL);
    else
        ret = vfio_open_another(&vfio_this_host, &vm->config, vfio, iommu_fd, err);
    if (!ret)
        ret = vfio_check_lockable(&vm->config, vm->mode == HUSK_MODE_JAILED, err);
    return ret;
}

static int plug(struct husk_vm *vm, const struct husk_vfio_options *options, struct husk_error *err)
{
    struct machine_config *config = &vm->config;
    struct vfio_config vfio;
    int iommu_fd, ret;

    husk_vm_forget_gone(vm);
    pthread_mutex_lock(&config->devices_lock);
    ret = config_make_vfio(config, options, &vfio, &iommu_fd, err);
    pthread_mutex_unlock(&config->devices_lock);
    if (ret)
        return ret;
    const int callers[FDS] = {vfio.device_fd, vfio.group_fd, iommu_fd};
    int fds[FDS] = {vfio.device_fd, vfio.group_fd, iommu_fd};

    ret = open_vfio(vm, &vfio, &iommu_fd, fds, err);
    if (ret) {
        vfio_config_release(&vfio);
        close_fd(&iommu_fd);
        return ret;
    }
    ret = hand_over(vm, &vfio, iommu_fd, err);
    if (!ret)
        husk_vm_close_all(callers, FDS);
    return ret;
}

int husk_vm_add_vfio(struct husk_vm *vm, const struct husk_vfio_options *options,
                     struct husk_error *err)
{
    int ret;

    if (!husk_vm_is_built(vm)) {
        ret = husk_vm_check_not_built(vm, CANNOT_ADD, err);
        return ret ? ret : machine_config_add_vfio(&vm->config, options, err);
    }
    ret = husk_vm_check_transport(vm, CANNOT_ADD, err);
    if (ret)
        return ret;
    pthread_mutex_lock(&vm->plug_lock);
    ret = plug(vm, options, err);
    pthread_mutex_unlock(&vm->plug_lock);
    return ret;
}

int husk_vm_remove_vfio(struct husk_vm *vm, const char *id, struct husk_error *err)
{
    int ret;

    if (!husk_vm_is_built(vm)) {
        ret = husk_vm_check_not_built(vm, CANNOT_REMOVE, err);
        return ret ? ret : machine_config_remove_vfio(&vm->config, id, err);
    }
    ret = husk_vm_check_transport(vm, CANNOT_REMOVE, err);
    if (ret)
        return ret;
    return vm->process ? vm_process_unplug_vfio(vm->process, id, err)
                       : machine_unplug_vfio(vm->machine, id, err);
}
