// SPDX-License-Identifier: Apache-2.0
/*
 * PCI functions with SR-IOV as the kernel shows them in sysfs (Documentation/ABI/testing/
 * sysfs-bus-pci): a physical function (PF) that can have virtual functions (VFs), each of which can
 * be given to a VM.
 *
 * Everything is read anew at each call; nothing is kept. All on the caller's thread.
 */
#ifndef HUSK_VF_PCI_H
#define HUSK_VF_PCI_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/pci_address.h"
#include "base/sysfs.h"
#include "husk/error.h"

#define PCI_DRIVER_SIZE   64u   /* as long as a module's name gets in Linux */
#define PCI_INTERFACE_MAX 8u    /* network interfaces of one function that are looked at */
#define PCI_VF_MAX        4096u /* of one function; none made has more than a few hundred */
#define PCI_PF_MAX        256u

/* Where the host's files are; tests have trees of their own. */
struct vf_host {
    const char *sysfs; /* "/sys" */
    const char *dev;   /* "/dev" */
    const char *state; /* "/run/husk": records of bound functions are in vf/ there */
    /* Writes text to an attribute, given by its path; 0 or -errno. NULL: writes the file. */
    int (*store)(void *opaque, const char *path, const char *text);
    void *opaque;
};

extern const struct vf_host vf_this_host;

struct pci_function {
    char address[PCI_ADDRESS_SIZE];
    char driver[PCI_DRIVER_SIZE]; /* "" without one */
    int iommu_group;              /* -1 without one */
    unsigned interface_count;     /* those of its VFs (switchdev representors) do not count */
    char interfaces[PCI_INTERFACE_MAX][IFNAMSIZ];
};

/* Fails with -ENODEV when there is no such function; then *out is as before. */
int pci_function_read(const struct vf_host *host, const char *address, struct pci_function *out);

/* A PF's limit and present number of VFs; -ENOENT when it has no SR-IOV capability. */
int pci_vf_counts(const struct vf_host *host, const char *pf, unsigned *now, unsigned *total);

/* The address of a PF's VF. -ENOENT when there is none of that number. */
int pci_vf_address(const struct vf_host *host, const char *pf, unsigned index,
                   char out[PCI_ADDRESS_SIZE]);

/* The PF of a VF; -ENOENT when it is none. */
int pci_pf_of(const struct vf_host *host, const char *vf, char out[PCI_ADDRESS_SIZE]);

/*
 * The PF that a user means by a PCI address or the name of a network interface; an error for
 * everything that is not one PF.
 */
int pci_find_pf(const struct vf_host *host, const char *name, char out[PCI_ADDRESS_SIZE],
                struct husk_error *err);

/* The addresses of all PFs, in order; how many there are, or -errno. */
int pci_list_pfs(const struct vf_host *host, char (*out)[PCI_ADDRESS_SIZE], unsigned max);

/* An interface's attribute, such as "operstate"; 0 or -errno. */
int interface_attribute(const struct vf_host *host, const char *interface, const char *name,
                        char *out, size_t size);
bool interface_is_up(const struct vf_host *host, const char *interface);

/* One value to bus/pci/devices/ADDRESS/NAME and the like; 0 or -errno. */
int sysfs_write(const struct vf_host *host, const char *text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
