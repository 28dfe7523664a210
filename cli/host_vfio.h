// SPDX-License-Identifier: Apache-2.0
/* What a host has for giving its devices to VMs, for `husk doctor`. Asks, and changes nothing. */
#ifndef HUSK_CLI_HOST_VFIO_H
#define HUSK_CLI_HOST_VFIO_H

#include <stdbool.h>

/* Interrupts of devices go through the IOMMU, so that a guest cannot forge any. */
enum host_remapping {
    HOST_REMAPPING_OFF,
    HOST_REMAPPING_UNSAFE, /* off, and VFIO was told to do without */
    HOST_REMAPPING_ON,
};

struct host_vfio {
    unsigned groups;  /* IOMMU groups; 0: the IOMMU is off */
    bool has_driver;  /* vfio-pci */
    unsigned bound;   /* devices that have it */
    bool has_groups;  /* /dev/vfio/vfio, with the IOMMU that goes with it */
    bool has_iommufd; /* /dev/iommu */
    bool has_cdevs;   /* /dev/vfio/devices: appears with the first device that is bound */
    enum host_remapping remapping;
};

/* Below "/sys", "/dev" and "/proc"; tests have trees of their own. */
void host_look_at_vfio(const char *sysfs, const char *dev, const char *proc, struct host_vfio *out);

#endif
