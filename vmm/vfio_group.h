// SPDX-License-Identifier: Apache-2.0
/*
 * What sysfs says of a PCI device of the host and of its IOMMU group: whether the group is viable,
 * which is to say that no driver of the host has a device in it. Asks, and changes nothing.
 */
#ifndef HUSK_VMM_VFIO_GROUP_H
#define HUSK_VMM_VFIO_GROUP_H

#include "husk/error.h"

/*
 * Check, in this order, that there is the device, that it is in an IOMMU group, that its own driver
 * gives it to VFIO, and that its group is viable. Returns the group's number, or -errno with err
 * naming the device (ENODEV, EBUSY, EINVAL).
 */
int vfio_group_of(const char *sysfs, const char *address, struct husk_error *err);

/* The device's number N in /dev/vfio/devices/vfioN; -ENOENT when there is none. */
int vfio_device_number(const char *sysfs, const char *address);

#endif
