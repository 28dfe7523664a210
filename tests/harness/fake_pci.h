// SPDX-License-Identifier: Apache-2.0
/*
 * A tree of directories that looks like sysfs with one SR-IOV card, and a store function that does
 * to it what the kernel would: VFs come and go, drivers take and leave functions.
 *
 *     0000:01:00.0  PF, driver igb, interface pf0, 7 VFs at most, IOMMU group 5
 *     0000:01:10.N  its VFs, driver igbvf, interface vfN, IOMMU group 10 + N
 *     0000:02:00.0  no SR-IOV, driver nvme, no IOMMU group
 *     0000:00:01.0  a bridge
 */
#ifndef HUSK_HARNESS_FAKE_PCI_H
#define HUSK_HARNESS_FAKE_PCI_H

#include <stdbool.h>

#include "vf/pci.h"

#define FAKE_PF "0000:01:00.0"
#define FAKE_VF "0000:01:10.0"

struct fake_pci {
    char root[64]; /* a temporary directory: sys/, dev/, state/ */
    char sysfs[80], dev[80], state[80];
    struct vf_host host;
    bool vfio_refuses; /* the driver's probe fails */
    int create_result; /* of a write to sriov_numvfs; -errno, 0 */
    unsigned short_by; /* VFs that the PF's driver does not make */
    unsigned stores;   /* writes so far */
    unsigned die_at;   /* the process ends in place of this write, from 1; 0: never */
};

void fake_pci_make(struct fake_pci *fake);
void fake_pci_remove(struct fake_pci *fake);

/* For cmocka, of one that is *state. */
int fake_pci_set_up(void **state);
int fake_pci_tear_down(void **state);

/* One more function, in an IOMMU group, or none: -1. */
void fake_pci_function(const struct fake_pci *fake, const char *address, const char *class,
                       const char *driver, int group);

/* Another driver, or NULL for none. */
void fake_pci_set_driver(const struct fake_pci *fake, const char *address, const char *driver);

/* What a function has for a driver, "" for none. */
void fake_pci_driver(const struct fake_pci *fake, const char *address, char out[64]);

/* printf-like paths below sys/. */
void fake_pci_directory(const struct fake_pci *fake, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void fake_pci_file(const struct fake_pci *fake, const char *text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
