// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio-pci transport (virtio 1.2, section 4.1, without the legacy interface): one device is
 * one PCI function with one BAR, which holds its registers, its doorbells, and its MSI-X table,
 * with a vector for each queue and one for changes of configuration.
 */
#ifndef HUSK_DEVICES_VIRTIO_PCI_H
#define HUSK_DEVICES_VIRTIO_PCI_H

#include "devices/device.h"

struct msi_controller;
struct pci_host;
struct virtio_device;

/* Offsets in BAR 0. */
#define VIRTIO_PCI_BAR_BYTES   0x8000u
#define VIRTIO_PCI_BAR_COMMON  0x0000u
#define VIRTIO_PCI_BAR_ISR     0x1000u
#define VIRTIO_PCI_BAR_DEVICE  0x2000u
#define VIRTIO_PCI_BAR_NOTIFY  0x3000u
#define VIRTIO_PCI_BAR_MSIX    0x4000u
#define VIRTIO_PCI_BAR_PENDING 0x6000u

#define VIRTIO_PCI_NOTIFY_BYTES 4u /* from one queue's doorbell to the next */

/* Where a device is plugged in: as pci_host_plug(). */
struct virtio_pci_place {
    struct pci_host *host;
    unsigned number;
    bool decode;
};

/*
 * Plug `virtio` into a bus; its guest may use it before this returns. On success the transport owns
 * virtio and destroys it; on failure the caller still does. Returns 0 or -errno. I/O thread, or
 * while that does not run.
 */
int virtio_pci_create(const struct device_env *env, struct virtio_device *virtio,
                      const struct virtio_pci_place *place, const struct msi_controller *msi,
                      struct device **out);

/* The number of the device on its bus. */
unsigned virtio_pci_number(const struct device *device);

/* Take it off the bus and reset it: no vCPU is in it afterwards, and it touches guest memory no
 * more. Any thread that holds no lock of the bus or of a device; waits for requests in flight. All
 * that is left to do is device_destroy(), on the I/O thread. */
void virtio_pci_unplug(struct device *device);

#endif
