// SPDX-License-Identifier: Apache-2.0
/*
 * The PCI host bridge: bus 0, with up to 32 functions (one a device), configuration space through
 * ECAM (PCIe 6.0, section 7.2.2) and through the ports 0xcf8 and 0xcfc (PCI 3.0,
 * section 3.2.2.3.2), and two windows of addresses in which memory BARs are.
 *
 * Threads: plugging happens while the machine is built. Accesses come from vCPU threads,
 * concurrently. Lock order: config_lock, map_lock, then locks of devices.
 */
#ifndef HUSK_DEVICES_PCI_HOST_H
#define HUSK_DEVICES_PCI_HOST_H

#include "devices/device.h"
#include "devices/pci/function.h"

#define PCI_DEVICES_MAX  32u /* the bridge itself is device 0 */
#define PCI_ECAM_BYTES   (1u << 20)
#define PCI_ADDRESS_PORT 0xcf8u
#define PCI_PORTS        8u

struct pci_window {
    uint64_t base, size; /* size 0: none */
};

struct pci_host;

/* Returns 0 or -errno. It is a device of the machine's as well: its owner destroys it after the
 * functions' owners. */
int pci_host_create(const struct device_env *env, uint64_t ecam, const struct pci_window *low,
                    const struct pci_window *high, struct pci_host **out);
struct device *pci_host_device(struct pci_host *host);

/*
 * Give the function the next device number, and its BARs addresses; its memory decoding is on, as
 * firmware would leave it. It stays the caller's, who unplugs it before freeing it; no vCPU runs
 * then. Returns 0 or -ENOSPC.
 */
int pci_host_plug(struct pci_host *host, struct pci_function *function);
void pci_host_unplug(struct pci_host *host, struct pci_function *function);

#endif
