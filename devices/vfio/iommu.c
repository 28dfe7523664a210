// SPDX-License-Identifier: Apache-2.0
/* The address space of a VM's devices, whichever interface makes it: see iommu.h. */
#include "devices/vfio/iommu.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "vmm/memory.h"

#define CANNOT_MAP "cannot give the device the guest's memory"

bool iova_ranges_hold(const struct iova_ranges *ranges, uint64_t base, uint64_t size,
                      uint64_t *hole)
{
    uint64_t last = base + size - 1; /* guest memory does not wrap */
    uint64_t at = base;
    unsigned i = 0;

    while (ranges->count && i < ranges->count) {
        const struct iova_range *range = &ranges->range[i++];

        if (at < range->first || at > range->last)
            continue;
        if (last <= range->last)
            return true;
        at = range->last + 1;
        i = 0; /* the kernel sorts them, but it need not */
    }
    *hole = at;
    return ranges->count == 0;
}

/* Where the IOMMU's own addresses (those of messages, say) are, guest memory may not be. */
static int check_ranges(struct vfio_iommu *iommu, const char *name, struct husk_error *err)
{
    struct iova_ranges ranges = {0};
    int ret = iommu->ops->ranges(iommu, &ranges);

    if (ret)
        return error_set(err, -ret, name, CANNOT_MAP,
                         "the kernel does not say which addresses this IOMMU can use: %s",
                         error_text(-ret));
    for (unsigned i = 0; i < guest_memory_region_count(iommu->memory); i++) {
        const struct guest_region *region = guest_memory_region(iommu->memory, i);
        uint64_t hole;

        if (!iova_ranges_hold(&ranges, region->base.value, region->size, &hole))
            return error_set(err, ERANGE, name, CANNOT_MAP,
                             "guest memory is at %#llx to %#llx, and this IOMMU cannot use %#llx",
                             (unsigned long long)region->base.value,
                             (unsigned long long)(region->base.value + region->size - 1),
                             (unsigned long long)hole);
    }
    return 0;
}

/* The newest first. `count` regions of it are mapped. Lock held. */
static void unmap_memory(struct vfio_iommu *iommu, unsigned count)
{
    while (count > 0) {
        const struct guest_region *region = guest_memory_region(iommu->memory, --count);

        iommu->ops->unmap(iommu, region->base.value, region->size);
    }
    iommu->mapped = false;
    iommu->pinned.bytes = 0;
    guest_memory_set_pinned(iommu->memory, false);
}

static int cannot_pin(int code, const char *name, uint64_t bytes, struct husk_error *err)
{
    const char *advice = "";

    if (code == ENOMEM)
        advice = ": the limit of locked memory (ulimit -l) must be as high, and the host must have "
                 "as much";
    return error_set(err, code, name, CANNOT_MAP, "%llu MiB cannot be pinned: %s%s",
                     (unsigned long long)(bytes >> 20), error_text(code), advice);
}

/* Lock held. */
static int map_memory(struct vfio_iommu *iommu, const char *name, struct husk_error *err)
{
    unsigned count = guest_memory_region_count(iommu->memory);
    uint64_t from = monotonic_ns();

    guest_memory_set_pinned(iommu->memory, true);
    for (unsigned i = 0; i < count; i++) {
        const struct guest_region *region = guest_memory_region(iommu->memory, i);
        int ret = iommu->ops->map(iommu, region->base.value, region->hva, region->size);

        if (ret) {
            unmap_memory(iommu, i);
            return cannot_pin(-ret, name, guest_memory_size(iommu->memory), err);
        }
    }
    iommu->mapped = true;
    iommu->pinned.bytes = guest_memory_size(iommu->memory);
    iommu->pinned.at_ns = monotonic_ns();
    iommu->pinned.ns = iommu->pinned.at_ns - from;
    log_info(iommu->log, "vfio", "%llu MiB of guest memory pinned in %llu ms",
             (unsigned long long)(iommu->pinned.bytes >> 20),
             (unsigned long long)(iommu->pinned.ns / 1000000));
    return 0;
}

/* The device goes before memory does: nothing may still write to it. Lock held. */
static void detach(struct vfio_iommu *iommu, struct vfio_attachment *att)
{
    iommu->ops->close(iommu, att);
    if (att->counted && --iommu->attached == 0 && iommu->mapped)
        unmap_memory(iommu, guest_memory_region_count(iommu->memory));
    att->counted = false;
    iommu->ops->leave(iommu, att);
}

int vfio_iommu_attach(struct vfio_iommu *iommu, const struct vfio_device_config *config,
                      struct vfio_attachment *out, struct husk_error *err)
{
    int ret;

    *out = (struct vfio_attachment){.device_fd = -1};
    pthread_mutex_lock(&iommu->lock);
    ret = iommu->ops->enter(iommu, config, out, err);
    if (!ret) {
        iommu->attached++;
        out->counted = true;
        ret = check_ranges(iommu, config->name, err);
    }
    if (!ret && !iommu->mapped)
        ret = map_memory(iommu, config->name, err);
    if (!ret)
        ret = iommu->ops->open(iommu, config, out, err);
    if (ret)
        detach(iommu, out);
    pthread_mutex_unlock(&iommu->lock);
    return ret;
}

void vfio_iommu_detach(struct vfio_iommu *iommu, struct vfio_attachment *att)
{
    pthread_mutex_lock(&iommu->lock);
    detach(iommu, att);
    pthread_mutex_unlock(&iommu->lock);
}

void vfio_iommu_pinned(struct vfio_iommu *iommu, struct vfio_pinned *out)
{
    pthread_mutex_lock(&iommu->lock);
    *out = iommu->pinned;
    pthread_mutex_unlock(&iommu->lock);
}

int vfio_iommu_create(enum vfio_mode mode, int fd, struct guest_memory *memory,
                      const struct vfio_vm *vm, const struct vfio_kernel *kernel,
                      const struct log *log, struct vfio_iommu **out, struct husk_error *err)
{
    struct vfio_iommu *iommu = calloc(1, sizeof(*iommu));
    int ret;

    if (!iommu) {
        close_fd(&fd);
        return error_set(err, ENOMEM, "vfio", "cannot create the devices' address space", NULL);
    }
    iommu->ops = mode == VFIO_IOMMUFD ? &vfio_iommufd_ops : &vfio_container_ops;
    iommu->kernel = kernel;
    iommu->log = log;
    iommu->memory = memory;
    iommu->vm = *vm;
    iommu->fd = fd;
    for (unsigned i = 0; i < VFIO_GROUPS_MAX; i++)
        iommu->groups[i].fd = -1;
    pthread_mutex_init(&iommu->lock, NULL);
    ret = iommu->ops->check(iommu, err);
    if (ret) {
        vfio_iommu_destroy(iommu);
        return ret;
    }
    *out = iommu;
    return 0;
}

void vfio_iommu_destroy(struct vfio_iommu *iommu)
{
    if (!iommu)
        return;
    close_fd(&iommu->fd);
    pthread_mutex_destroy(&iommu->lock);
    free(iommu);
}
