// SPDX-License-Identifier: Apache-2.0
/*
 * Devices in an I/O address space of iommufd: see iommu.h. Follows
 * Documentation/userspace-api/iommufd.rst and Documentation/driver-api/vfio.rst, "VFIO Device
 * cdev".
 */
#include <errno.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "devices/vfio/iommu.h"

#define CANNOT_ATTACH "cannot attach the device"

/* iommufd has no version: the address space is what tells whether it is one. */
static int iommufd_check(struct vfio_iommu *iommu, struct husk_error *err)
{
    struct iommu_ioas_alloc alloc = {.size = sizeof(alloc)};
    int ret = vfio_ioctl(iommu->kernel, iommu->fd, IOMMU_IOAS_ALLOC, &alloc);

    if (ret < 0)
        return error_set(err, -ret, "/dev/iommu", "cannot create the devices' address space", NULL);
    iommu->ioas = alloc.out_ioas_id;
    return 0;
}

static int bind(struct vfio_iommu *iommu, int device_fd, const char *name, struct husk_error *err)
{
    struct vfio_device_bind_iommufd request = {.argsz = sizeof(request), .iommufd = iommu->fd};
    int ret = vfio_ioctl(iommu->kernel, device_fd, VFIO_DEVICE_BIND_IOMMUFD, &request);

    switch (ret) {
    case -EPERM:
        return error_set(err, EPERM, name, CANNOT_ATTACH,
                         "the host does not remap interrupts, so that a guest could forge them: "
                         "enable it in the firmware, or trust the guest "
                         "(iommufd.allow_unsafe_interrupts=1)");
    case -EBUSY:
        return error_set(err, EBUSY, name, CANNOT_ATTACH,
                         "it is in use, or another device of its IOMMU group has a driver of the "
                         "host");
    case -EINVAL: /* linux/vfio.h: the file was bound before, or another of the device's is open. */
        return error_set(err, EINVAL, name, CANNOT_ATTACH,
                         "it is in use by another VM or program, or its IOMMU is of no use here");
    default:
        return ret < 0 ? error_set(err, -ret, name, CANNOT_ATTACH,
                                   "it cannot be bound to the IOMMU: %s", error_text(-ret))
                       : 0;
    }
}

static int join_ioas(struct vfio_iommu *iommu, int device_fd, const char *name,
                     struct husk_error *err)
{
    struct vfio_device_attach_iommufd_pt request = {.argsz = sizeof(request), .pt_id = iommu->ioas};
    int ret = vfio_ioctl(iommu->kernel, device_fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &request);

    if (ret == -EPERM)
        return error_set(err, EPERM, name, CANNOT_ATTACH,
                         "the host does not remap interrupts, so that a guest could forge them: "
                         "enable it in the firmware, or trust the guest "
                         "(iommufd.allow_unsafe_interrupts=1)");
    if (ret < 0)
        return error_set(err, -ret, name, CANNOT_ATTACH,
                         "its IOMMU cannot share the VM's address space: %s", error_text(-ret));
    return 0;
}

static int iommufd_enter(struct vfio_iommu *iommu, const struct vfio_device_config *config,
                         struct vfio_attachment *att, struct husk_error *err)
{
    int group_fd = config->group_fd;
    int ret;

    close_fd(&group_fd);
    att->device_fd = config->device_fd;
    ret = iommu->vm.add_file(iommu->vm.arg, att->device_fd);
    if (ret)
        return error_set(err, -ret, config->name, CANNOT_ATTACH, "KVM refuses it: %s",
                         error_text(-ret));
    att->told = true;
    ret = bind(iommu, att->device_fd, config->name, err);
    return ret ? ret : join_ioas(iommu, att->device_fd, config->name, err);
}

/* It is open since it was bound. */
static int iommufd_open(struct vfio_iommu *iommu, const struct vfio_device_config *config,
                        struct vfio_attachment *att, struct husk_error *err)
{
    return 0;
}

/* Closing takes it out of the address space. */
static void iommufd_close(struct vfio_iommu *iommu, struct vfio_attachment *att)
{
    if (att->told)
        iommu->vm.remove_file(iommu->vm.arg, att->device_fd);
    att->told = false;
    close_fd(&att->device_fd);
}

static void iommufd_leave(struct vfio_iommu *iommu, struct vfio_attachment *att)
{
}

static int iommufd_ranges(struct vfio_iommu *iommu, struct iova_ranges *out)
{
    struct iommu_iova_range ranges[IOVA_RANGES_MAX];
    struct iommu_ioas_iova_ranges request = {
        .size = sizeof(request),
        .ioas_id = iommu->ioas,
        .num_iovas = IOVA_RANGES_MAX,
        .allowed_iovas = (uintptr_t)ranges,
    };
    int ret = vfio_ioctl(iommu->kernel, iommu->fd, IOMMU_IOAS_IOVA_RANGES, &request);

    if (ret < 0)
        return ret;
    if (request.num_iovas == 0 || request.num_iovas > IOVA_RANGES_MAX)
        return -EPROTO;
    out->count = request.num_iovas;
    for (unsigned i = 0; i < out->count; i++)
        out->range[i] = (struct iova_range){.first = ranges[i].start, .last = ranges[i].last};
    return 0;
}

static int iommufd_map(struct vfio_iommu *iommu, uint64_t iova, void *hva, uint64_t size)
{
    struct iommu_ioas_map map = {
        .size = sizeof(map),
        .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE,
        .ioas_id = iommu->ioas,
        .user_va = (uintptr_t)hva,
        .length = size,
        .iova = iova,
    };

    return vfio_ioctl(iommu->kernel, iommu->fd, IOMMU_IOAS_MAP, &map);
}

static void iommufd_unmap(struct vfio_iommu *iommu, uint64_t iova, uint64_t size)
{
    struct iommu_ioas_unmap unmap = {
        .size = sizeof(unmap),
        .ioas_id = iommu->ioas,
        .iova = iova,
        .length = size,
    };
    int ret = vfio_ioctl(iommu->kernel, iommu->fd, IOMMU_IOAS_UNMAP, &unmap);

    if (ret < 0)
        log_warn(iommu->log, "vfio", "guest memory at %#llx stays pinned: %s",
                 (unsigned long long)iova, error_text(-ret));
}

const struct vfio_iommu_ops vfio_iommufd_ops = {
    .check = iommufd_check,
    .enter = iommufd_enter,
    .open = iommufd_open,
    .close = iommufd_close,
    .leave = iommufd_leave,
    .ranges = iommufd_ranges,
    .map = iommufd_map,
    .unmap = iommufd_unmap,
};
