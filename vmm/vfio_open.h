// SPDX-License-Identifier: Apache-2.0
/*
 * Devices of the host, as somebody finds them who may look and open: whether each can be given to a
 * VM, by which interface of the kernel, and the descriptors for it. What is wrong is said here in
 * terms of what to do about it; the machine, which needs descriptors only, sees no more than an
 * errno value.
 *
 * Runs on the configuring thread. Never blocks.
 *
 * References: Linux, Documentation/driver-api/vfio.rst, Documentation/ABI/testing/sysfs-bus-pci,
 * sysfs-kernel-iommu_groups.
 */
#ifndef HUSK_VMM_VFIO_OPEN_H
#define HUSK_VMM_VFIO_OPEN_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/config.h"

/* Where the host's files are; tests have trees of their own. */
struct vfio_host {
    const char *sysfs; /* "/sys" */
    const char *dev;   /* "/dev" */
    /* A descriptor, or -errno. NULL: open(2), for reading and writing. */
    int (*open)(void *opaque, const char *path);
    void *opaque;
};

extern const struct vfio_host vfio_this_host;

/*
 * Decide by which interface the VM's devices are reached, and open what is not open yet. What was
 * opened before a failure is the configuration's. Devices that came as descriptors are not looked
 * at: the machine does that. Returns 0 or -errno with err naming the device:
 *
 *   ENODEV   no such PCI device, the IOMMU is off, or a file of VFIO's is missing
 *   EBUSY    it, or another device of its group, has another driver; or somebody uses it
 *   EACCES   no permission for one of its files
 *   EINVAL   it cannot be given to a VM, or the devices have no interface in common
 */
int vfio_open_devices(const struct vfio_host *host, struct machine_config *config,
                      struct husk_error *err);

/*
 * The same for one more device, `vfio`, of a VM that is built: by the interface of its others,
 * which vfio->iommu is then. *iommu_fd is opened for the first one only, unless it came along. A
 * device of a group that the VM has already gets group_rdev in place of a descriptor; whether it
 * has, the machine finds out.
 */
int vfio_open_another(const struct vfio_host *host, const struct machine_config *config,
                      struct vfio_config *vfio, int *iommu_fd, struct husk_error *err);

/* ---- locked memory ---- */

/* What a VM with devices of the host locks: its memory, and something for the kernel's rings. */
uint64_t vfio_locked_bytes(const struct machine_config *config);

/*
 * Whether as much can be locked under RLIMIT_MEMLOCK; `jailed`: in a process of its own, which gets
 * a limit that this one may have to have. -ENOMEM with err saying how much it takes.
 */
int vfio_check_locked(const struct machine_config *config, bool jailed, struct husk_error *err);

/* The same for a VM that is to have its first. */
int vfio_check_lockable(const struct machine_config *config, bool jailed, struct husk_error *err);

/* The same against a limit in bytes. */
int vfio_check_limit(const struct machine_config *config, uint64_t limit_bytes,
                     struct husk_error *err);

/* Whether a cgroup's memory.max (0: none) has room for what is locked: the kernel would end the VM
 * while it is built. The host's reserved huge pages do not count there. -ENOMEM. */
int vfio_check_cgroup(const struct machine_config *config, uint64_t memory_max_bytes,
                      struct husk_error *err);
/* The same for a VM that is to have its first. */
int vfio_check_cgroup_room(const struct machine_config *config, uint64_t memory_max_bytes,
                           struct husk_error *err);

#endif
