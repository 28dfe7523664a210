// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio-pci transport (virtio 1.2, section 4.1, without the legacy interface): one device is
 * one PCI function with one BAR, which holds its registers, its doorbells, and its MSI-X table,
 * with a vector for each queue and one for changes of configuration.
 */
#ifndef HUSK_DEVICES_VIRTIO_PCI_H
#define HUSK_DEVICES_VIRTIO_PCI_H

#include <stdbool.h>

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

/*
 * The function of `virtio` for the bus of `host`, not plugged yet. On success the transport owns
 * virtio and destroys it; on failure the caller still does. Returns 0 or -errno. I/O thread, or
 * while that does not run.
 */
int virtio_pci_create(const struct device_env *env, struct virtio_device *virtio,
                      struct pci_host *host, const struct msi_controller *msi, struct device **out);

/* As pci_host_plug(). Not on the I/O thread while vCPUs run: one of them may wait for it with the
 * lock of configuration space held. */
int virtio_pci_plug(struct device *device, unsigned number, bool decode);

/* The number of the device on its bus; 0: it is not plugged. */
unsigned virtio_pci_number(const struct device *device);

/* Take it off the bus and reset it: no vCPU is in it afterwards, and it touches guest memory no
 * more. As virtio_pci_plug(), and with no lock of the bus or of a device held; waits for requests
 * in flight. All that is left to do is device_destroy(), on the I/O thread. */
void virtio_pci_unplug(struct device *device);

#endif
