// SPDX-License-Identifier: Apache-2.0
/*
 * Groups in a container: see iommu.h. Follows Documentation/driver-api/vfio.rst, "VFIO Usage
 * Example", and the comments of <linux/vfio.h>.
 *
 * A group is the least that the host's IOMMU can keep apart. It has one file, which can be open
 * once; whoever brings another device of it brings another descriptor of the same open file.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "devices/vfio/info.h"
#include "devices/vfio/iommu.h"

#define CANNOT_ATTACH "cannot attach the device"

static int container_check(struct vfio_iommu *iommu, struct husk_error *err)
{
    const char *what = "cannot use this VFIO container";
    int version = vfio_ioctl(iommu->kernel, iommu->fd, VFIO_GET_API_VERSION, NULL);
    int ret;

    if (version < 0)
        return error_set(err, -version, "/dev/vfio/vfio", what, "it does not answer as VFIO: %s",
                         error_text(-version));
    if (version != VFIO_API_VERSION)
        return error_set(err, ENOTSUP, "/dev/vfio/vfio", what,
                         "its API version is %d, version %d is needed", version, VFIO_API_VERSION);
    ret = iommu->kernel->ioctl(iommu->kernel->arg, iommu->fd, VFIO_CHECK_EXTENSION,
                               VFIO_TYPE1v2_IOMMU);
    if (ret <= 0)
        return error_set(err, ENOTSUP, "/dev/vfio/vfio", what,
                         "the kernel has no IOMMU of type 1: modprobe vfio_iommu_type1");
    return 0;
}

/* ---- groups ---- */

/* The group of a descriptor, which becomes the context's; without one (-1) it is known by rdev. */
static int take_group(struct vfio_iommu *iommu, int fd, uint64_t rdev, struct vfio_group **out)
{
    struct vfio_group *unused = NULL;
    struct stat st = {.st_rdev = rdev};

    if (fd >= 0 && fstat(fd, &st) < 0)
        return -errno;
    for (unsigned i = 0; i < VFIO_GROUPS_MAX; i++) {
        struct vfio_group *group = &iommu->groups[i];

        if (group->fd < 0) {
            unused = unused ? unused : group;
        } else if (group->rdev == st.st_rdev) {
            close_fd(&fd);
            group->users++;
            *out = group;
            return 0;
        }
    }
    if (fd < 0)
        return -EBUSY;
    if (!unused)
        return -ENOSPC;
    *unused = (struct vfio_group){.fd = fd, .rdev = st.st_rdev, .users = 1};
    *out = unused;
    return 0;
}

static int check_viable(const struct vfio_iommu *iommu, int fd, const char *name,
                        struct husk_error *err)
{
    struct vfio_group_status status = {.argsz = sizeof(status)};
    int ret = vfio_ioctl(iommu->kernel, fd, VFIO_GROUP_GET_STATUS, &status);

    if (ret < 0)
        return error_set(err, -ret, name, CANNOT_ATTACH, "its group's file is none of VFIO's: %s",
                         error_text(-ret));
    if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
        return error_set(err, EPERM, name, CANNOT_ATTACH,
                         "another device of its IOMMU group has a driver of the host: bind all of "
                         "the group to vfio-pci");
    if (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
        return error_set(err, EBUSY, name, CANNOT_ATTACH,
                         "its IOMMU group is in a container already");
    return 0;
}

/* Into the container; with the first group it becomes an IOMMU. */
static int enter_group(struct vfio_iommu *iommu, struct vfio_group *group, const char *name,
                       struct husk_error *err)
{
    int ret = check_viable(iommu, group->fd, name, err);

    if (ret)
        return ret;
    ret = vfio_ioctl(iommu->kernel, group->fd, VFIO_GROUP_SET_CONTAINER, &iommu->fd);
    if (ret < 0)
        return error_set(err, -ret, name, CANNOT_ATTACH,
                         "its IOMMU group does not go into the container: %s", error_text(-ret));
    group->inside = true;
    if (iommu->type_set)
        return 0;
    ret = iommu->kernel->ioctl(iommu->kernel->arg, iommu->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU);
    if (ret == -EPERM)
        return error_set(err, EPERM, name, CANNOT_ATTACH,
                         "the host does not remap interrupts, so that a guest could forge them: "
                         "enable it in the firmware, or trust the guest "
                         "(vfio_iommu_type1.allow_unsafe_interrupts=1)");
    if (ret < 0)
        return error_set(err, -ret, name, CANNOT_ATTACH, "the IOMMU cannot be set up: %s",
                         error_text(-ret));
    iommu->type_set = true;
    return 0;
}

static int container_enter(struct vfio_iommu *iommu, const struct vfio_device_config *config,
                           struct vfio_attachment *att, struct husk_error *err)
{
    int group_fd = config->group_fd, device_fd = config->device_fd;
    int ret;

    close_fd(&device_fd);
    ret = take_group(iommu, group_fd, config->group_rdev, &att->group);
    if (ret == -EBUSY)
        return error_set(err, EBUSY, config->name, CANNOT_ATTACH,
                         "its IOMMU group is in use: another VM or program has it open");
    if (ret) {
        close_fd(&group_fd);
        return error_set(err, -ret, config->name, CANNOT_ATTACH, NULL);
    }
    if (!att->group->inside || !iommu->type_set) {
        ret = enter_group(iommu, att->group, config->name, err);
        if (ret)
            return ret;
    }
    if (att->group->told)
        return 0;
    ret = iommu->vm.add_file(iommu->vm.arg, att->group->fd);
    if (ret)
        return error_set(err, -ret, config->name, CANNOT_ATTACH, "KVM refuses its group: %s",
                         error_text(-ret));
    att->group->told = true;
    return 0;
}

static int container_open(struct vfio_iommu *iommu, const struct vfio_device_config *config,
                          struct vfio_attachment *att, struct husk_error *err)
{
    int ret = iommu->kernel->ioctl(iommu->kernel->arg, att->group->fd, VFIO_GROUP_GET_DEVICE_FD,
                                   (uintptr_t)config->address);

    if (ret == -ENODEV)
        return error_set(err, ENODEV, config->name, CANNOT_ATTACH,
                         "its IOMMU group has no device %s that is bound to vfio-pci",
                         config->address);
    if (ret < 0)
        return error_set(err, -ret, config->name, CANNOT_ATTACH, "it cannot be opened: %s",
                         error_text(-ret));
    att->device_fd = ret; /* CLOEXEC: VFIO makes it so itself */
    return 0;
}

static void container_close(struct vfio_iommu *iommu, struct vfio_attachment *att)
{
    close_fd(&att->device_fd);
}

static void container_leave(struct vfio_iommu *iommu, struct vfio_attachment *att)
{
    struct vfio_group *group = att->group;

    att->group = NULL;
    if (!group || --group->users > 0)
        return;
    if (group->told)
        iommu->vm.remove_file(iommu->vm.arg, group->fd);
    if (group->inside)
        vfio_ioctl(iommu->kernel, group->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
    close_fd(&group->fd);
    *group = (struct vfio_group){.fd = -1};
    /* The container without a group is as new. */
    iommu->type_set = false;
    for (unsigned i = 0; i < VFIO_GROUPS_MAX; i++)
        iommu->type_set |= iommu->groups[i].fd >= 0 && iommu->groups[i].inside;
}

/* ---- memory ---- */

static int read_ranges(const uint8_t *info, uint32_t size, uint32_t at, struct iova_ranges *out)
{
    const uint32_t head = sizeof(struct vfio_iommu_type1_info_cap_iova_range);
    uint32_t count =
        get_le32(info + at + offsetof(struct vfio_iommu_type1_info_cap_iova_range, nr_iovas));

    if (count == 0 || count > (size - at - head) / sizeof(struct vfio_iova_range))
        return -EPROTO;
    if (count > IOVA_RANGES_MAX)
        return -E2BIG;
    out->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct vfio_iova_range range;

        memcpy(&range, info + at + head + i * sizeof(range), sizeof(range));
        out->range[i] = (struct iova_range){.first = range.start, .last = range.end};
    }
    return 0;
}

static int container_ranges(struct vfio_iommu *iommu, struct iova_ranges *out)
{
    const struct vfio_iommu_type1_info ask = {.argsz = sizeof(ask)};
    struct vfio_iommu_type1_info head;
    uint8_t *info;
    uint32_t size;
    int ret = vfio_info_read(iommu->kernel, iommu->fd, VFIO_IOMMU_GET_INFO, &ask, sizeof(ask),
                             &info, &size);

    if (ret)
        return ret;
    memcpy(&head, info, sizeof(head));
    ret = vfio_info_find(info, size, head.flags & VFIO_IOMMU_INFO_CAPS ? head.cap_offset : 0,
                         VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
                         sizeof(struct vfio_iommu_type1_info_cap_iova_range));
    if (ret > 0)
        ret = read_ranges(info, size, (uint32_t)ret, out);
    free(info);
    return ret;
}

static int container_map(struct vfio_iommu *iommu, uint64_t iova, void *hva, uint64_t size)
{
    struct vfio_iommu_type1_dma_map map = {
        .argsz = sizeof(map),
        .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
        .vaddr = (uintptr_t)hva,
        .iova = iova,
        .size = size,
    };

    return vfio_ioctl(iommu->kernel, iommu->fd, VFIO_IOMMU_MAP_DMA, &map);
}

static void container_unmap(struct vfio_iommu *iommu, uint64_t iova, uint64_t size)
{
    struct vfio_iommu_type1_dma_unmap unmap = {
        .argsz = sizeof(unmap),
        .iova = iova,
        .size = size,
    };
    int ret = vfio_ioctl(iommu->kernel, iommu->fd, VFIO_IOMMU_UNMAP_DMA, &unmap);

    /* All is unmapped already when the host took the last device of the last group away. */
    if (ret < 0 || (unmap.size != size && unmap.size != 0))
        log_warn(iommu->log, "vfio", "guest memory at %#llx stays pinned: %s",
                 (unsigned long long)iova, ret < 0 ? error_text(-ret) : "not all of it was mapped");
}

const struct vfio_iommu_ops vfio_container_ops = {
    .check = container_check,
    .enter = container_enter,
    .open = container_open,
    .close = container_close,
    .leave = container_leave,
    .ranges = container_ranges,
    .map = container_map,
    .unmap = container_unmap,
};
