// SPDX-License-Identifier: Apache-2.0
/*
 * What `husk vf` changes through sysfs: how many VFs a PF has, and which driver a function has.
 *
 * Each call holds the lock of the records (record.h) from its first look to its last write. A
 * result of VF_ALREADY says that nothing had to be done.
 */
#ifndef HUSK_VF_CHANGE_H
#define HUSK_VF_CHANGE_H

#include "vf/pci.h"
#include "husk/error.h"

#define VF_ALREADY 1

/* pf: an address as pci_find_pf() gives it. Blocks while the PF's driver works: seconds, at times.
 */
int vf_create(const struct vf_host *host, const char *pf, unsigned count, struct husk_error *err);

/* Refused while one of the VFs is bound to vfio-pci, has a record, or an interface that is up. */
int vf_remove(const struct vf_host *host, const char *pf, struct husk_error *err);

/*
 * Give a function to vfio-pci, after its former driver is noted down. When this fails the former
 * driver has it again; when the caller is killed meanwhile, either call can be made again and ends
 * what was begun.
 */
int vf_bind(const struct vf_host *host, const char *address, struct husk_error *err);

/* Give it back to the former driver and forget it. Refused while a VM uses it. */
int vf_unbind(const struct vf_host *host, const char *address, struct husk_error *err);

/* Another function of the same IOMMU group that has a driver besides vfio-pci: VFIO will not give
 * the group to a VM. False when there is none. */
bool vf_group_blocker(const struct vf_host *host, const struct pci_function *function,
                      struct pci_function *out);

#endif
