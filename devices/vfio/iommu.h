// SPDX-License-Identifier: Apache-2.0
/*
 * The address space in which a VM's devices do DMA: see vfio.h. Two interfaces of the kernel make
 * one, each a table of operations; what both need is in iommu.c.
 *
 *   container   groups are put into /dev/vfio/vfio, which becomes an IOMMU of type 1 with the first
 *   iommufd     devices are bound to /dev/iommu and attached to an I/O address space (IOAS) in it
 *
 * Life: the first device that is attached has all of the guest's RAM mapped at IOVA = GPA; the last
 * one that is detached has it unmapped. In between nothing may replace what is behind guest memory:
 * DMA would go to where it was. guest_memory_set_pinned() sees to that.
 *
 * Threads: attach and detach from any, one at a time under `lock`.
 */
#ifndef HUSK_DEVICES_VFIO_IOMMU_H
#define HUSK_DEVICES_VFIO_IOMMU_H

#include <pthread.h>

#include "devices/vfio/kernel.h"
#include "devices/vfio/vfio.h"

/* [first, last] of I/O virtual addresses that devices may use. */
struct iova_range {
    uint64_t first, last;
};

#define IOVA_RANGES_MAX 64u

struct iova_ranges {
    unsigned count; /* 0: the kernel does not say; all may be */
    struct iova_range range[IOVA_RANGES_MAX];
};

struct vfio_group;

/* A device's place in the address space. */
struct vfio_attachment {
    int device_fd;            /* owned; -1: none */
    bool told;                /* iommufd: KVM knows device_fd */
    struct vfio_group *group; /* container: the context's */
    bool counted;             /* among iommu->attached */
};

/* Under the context's lock. `att` is zero but for descriptors of -1 before enter(); close() and
 * leave() cope with whatever the others left. */
struct vfio_iommu_ops {
    /* Whether the kernel's interface is what the file speaks. */
    int (*check)(struct vfio_iommu *iommu, struct husk_error *err);
    /* Bring the device into the address space. Takes both descriptors of `config`. */
    int (*enter)(struct vfio_iommu *iommu, const struct vfio_device_config *config,
                 struct vfio_attachment *att, struct husk_error *err);
    /* With memory mapped: make att->device_fd the device, open. */
    int (*open)(struct vfio_iommu *iommu, const struct vfio_device_config *config,
                struct vfio_attachment *att, struct husk_error *err);
    void (*close)(struct vfio_iommu *iommu, struct vfio_attachment *att);
    /* After close(), and after memory is unmapped if it was the last device. */
    void (*leave)(struct vfio_iommu *iommu, struct vfio_attachment *att);
    /* What the devices that are in it may use now. */
    int (*ranges)(struct vfio_iommu *iommu, struct iova_ranges *out);
    int (*map)(struct vfio_iommu *iommu, uint64_t iova, void *hva, uint64_t size);
    void (*unmap)(struct vfio_iommu *iommu, uint64_t iova, uint64_t size);
};

extern const struct vfio_iommu_ops vfio_container_ops, vfio_iommufd_ops;

#define VFIO_GROUPS_MAX 32u /* there are no more devices on the bus */

/* A group is opened once, for all of its devices. */
struct vfio_group {
    int fd;      /* -1: unused */
    dev_t rdev;  /* of its file: tells whether two descriptors are one group */
    bool inside; /* the container */
    bool told;   /* KVM knows it */
    unsigned users;
};

struct vfio_iommu {
    const struct vfio_iommu_ops *ops;
    const struct vfio_kernel *kernel;
    const struct log *log;
    struct guest_memory *memory;
    struct vfio_vm vm;
    int fd;

    pthread_mutex_t lock; /* all below */
    unsigned attached;    /* devices */
    bool mapped;
    struct vfio_pinned pinned;
    struct vfio_group groups[VFIO_GROUPS_MAX]; /* container */
    bool type_set;                             /* container: it is an IOMMU of type 1 */
    uint32_t ioas;                             /* iommufd */
};

/*
 * Both descriptors of `config` are used up, on failure as well. On success out->device_fd is the
 * open device. Errors as vfio_device_create().
 */
int vfio_iommu_attach(struct vfio_iommu *iommu, const struct vfio_device_config *config,
                      struct vfio_attachment *out, struct husk_error *err);

/* Closes the device. A second call does nothing. */
void vfio_iommu_detach(struct vfio_iommu *iommu, struct vfio_attachment *attachment);

/* Whether [base, base + size) is wholly inside ranges that touch. On false *hole is the first
 * address of it that is not. */
bool iova_ranges_hold(const struct iova_ranges *ranges, uint64_t base, uint64_t size,
                      uint64_t *hole);

#endif
