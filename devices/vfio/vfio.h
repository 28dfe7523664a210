// SPDX-License-Identifier: Apache-2.0
/*
 * Passing devices of the host through to the guest (VFIO, include/uapi/linux/vfio.h).
 *
 * A VM has one vfio_iommu: the address space in which all of its devices do DMA. In it lies the
 * guest's RAM at its guest-physical addresses, pinned in the host's memory from the first device
 * that comes to the last one that goes. A vfio device is a PCI function on the guest's bus.
 *
 * Nothing here opens a file. Descriptors come in, opened by somebody who may:
 *
 *   mode             vfio_iommu_create()   vfio_device_config
 *   VFIO_CONTAINER   /dev/vfio/vfio        group_fd: /dev/vfio/GROUP, address
 *   VFIO_IOMMUFD     /dev/iommu            device_fd: /dev/vfio/devices/vfioN
 *
 * All are as fresh as from open(): no group in the container, no IOMMU set, no device bound, for
 * KVM must hear of a group or device before it is opened (Documentation/virt/kvm/devices/vfio.rst).
 * So a device descriptor that somebody got from a group (VFIO_GROUP_GET_DEVICE_FD) is of no use.
 */
#ifndef HUSK_DEVICES_VFIO_VFIO_H
#define HUSK_DEVICES_VFIO_VFIO_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/device.h"
#include "husk/error.h"

struct level_controller;
struct msi_controller;
struct pci_host;
struct vfio_kernel;

/* What passthrough needs of the VM. Functions are for any thread, return 0 or -errno. */
struct vfio_vm {
    /* Tell KVM of a group's or device's file (KVM_DEV_VFIO_FILE), or that it is gone. */
    int (*add_file)(void *arg, int fd);
    void (*remove_file)(void *arg, int fd);
    /* Show [hva, hva + size) to the guest at `gpa`, without exits; take it away again. All are
     * multiples of the page. -ENOSPC: no slot is left. */
    int (*map)(void *arg, uint64_t gpa, void *hva, uint64_t size, unsigned *slot);
    void (*unmap)(void *arg, unsigned slot);
    void *arg;
};

/* ---- the address space of DMA ---- */

enum vfio_mode { VFIO_CONTAINER, VFIO_IOMMUFD };

struct vfio_iommu;

/*
 * `fd` becomes the context's, on failure as well. `memory` and `vm` outlive it; *vm is copied.
 * `kernel` is &vfio_kernel but in tests. Pins nothing yet. Returns 0 or -errno with err filled
 * (ENOTSUP: the kernel has another version of the interface, or no IOMMU of type 1). The caller
 * owns *out. Does not block.
 */
int vfio_iommu_create(enum vfio_mode mode, int fd, struct guest_memory *memory,
                      const struct vfio_vm *vm, const struct vfio_kernel *kernel,
                      const struct log *log, struct vfio_iommu **out, struct husk_error *err);

/* After its devices. NULL is fine. */
void vfio_iommu_destroy(struct vfio_iommu *iommu);

/* What pinning has cost. Any thread. */
struct vfio_pinned {
    uint64_t bytes; /* of guest memory that are pinned now */
    uint64_t ns;    /* that the last pinning of all of it took; 0: there was none yet */
    uint64_t at_ns; /* when it was done, of monotonic_ns() */
};

void vfio_iommu_pinned(struct vfio_iommu *iommu, struct vfio_pinned *out);

/* ---- devices ---- */

struct vfio_device_config {
    const char *name;    /* for messages; outlives the device */
    const char *address; /* "0000:01:10.0": in VFIO_CONTAINER, what the group calls it */
    int group_fd;        /* VFIO_CONTAINER, else -1 */
    /* VFIO_CONTAINER with group_fd -1, for a group's file opens once: st_rdev of that file, and the
     * address space has a device of the group already. */
    uint64_t group_rdev;
    int device_fd;   /* VFIO_IOMMUFD, else -1 */
    unsigned number; /* on the guest's bus; PCI_NEXT_FREE */
    bool hotplugged; /* the guest runs: it turns the device on itself */
};

enum vfio_event {
    VFIO_EVENT_REQUEST, /* the host wants the device back: unplug it. May come again and again. */
    VFIO_EVENT_ERROR, /* the device reported an error that cannot be corrected (AER). Its registers
                       * read all-ones from now on, its interrupts are off. */
};

/* What the device may use of the machine. All outlive it; the struct itself is copied. */
struct vfio_device_env {
    struct device_env env;
    struct vfio_iommu *iommu;
    struct pci_host *host;
    const struct msi_controller *msi;
    const struct level_controller *levels; /* NULL: the bus has no pins */
    /* Optional. On the I/O thread; must not destroy the device before it returns. */
    void (*event)(void *arg, struct device *device, enum vfio_event event);
    void *event_arg;
};

/*
 * Attach the device, pin the guest's memory if it is the first, reset the device, and plug it into
 * the bus. Both descriptors of `config` become the device's, on failure as well. Any thread but
 * vCPUs' and the I/O thread, whose loop may run. Blocks: for as long as it takes to pin all guest
 * memory (seconds for tens of GiB), and for the device's reset.
 *
 * Returns 0 or -errno with err filled; nothing then remains of it:
 *   EPERM     the group is not viable: another device of it has a driver of the host
 *   EBUSY     somebody has the group or device; the address space has no device of group_rdev
 *   ENOMEM    memory cannot be pinned (RLIMIT_MEMLOCK)
 *   ENODEV    the group has no such device, or it is no PCI device
 *   ERANGE    guest memory lies where this IOMMU cannot reach
 *   ENOSPC    no place on the bus, or for a BAR
 *   EPROTO    what the kernel or the device says of itself cannot be
 * The caller destroys *out with device_destroy(), also while the VM runs, from the same threads or
 * from a vCPU's that holds no lock of the bus: it is then gone from the bus, no DMA is in flight,
 * and the device is reset, for which this blocks. It may be created anew from new descriptors.
 */
int vfio_device_create(const struct vfio_device_env *env, const struct vfio_device_config *config,
                       struct device **out, struct husk_error *err);

/* Its number on the guest's bus. */
unsigned vfio_device_slot(const struct device *device);

#endif
