// SPDX-License-Identifier: Apache-2.0
/*
 * The PCI host bridge: bus 0, with up to 32 functions (one a device), configuration space through
 * ECAM (PCIe 6.0, section 7.2.2) and through the ports 0xcf8 and 0xcfc (PCI 3.0,
 * section 3.2.2.3.2), and two windows of addresses in which memory BARs are.
 *
 * Threads: functions come and go at any time, from any thread that holds none of the locks below
 * and is in no handler of a function. Accesses come from vCPU threads, concurrently. Lock order:
 * config_lock, map_lock, then locks of devices, then pin_lock.
 */
#ifndef HUSK_DEVICES_PCI_HOST_H
#define HUSK_DEVICES_PCI_HOST_H

#include "devices/device.h"
#include "devices/pci/assign.h"
#include "devices/pci/function.h"

#define PCI_DEVICES_MAX  32u /* the bridge itself is device 0 */
#define PCI_ECAM_BYTES   (1u << 20)
#define PCI_ADDRESS_PORT 0xcf8u
#define PCI_PORTS        8u
#define PCI_NEXT_FREE    0u /* in place of a device number */
#define PCI_PIN_GSIS     4u

struct level_controller;
struct pci_host;

/* What the pins of the devices are wired to: INTA# of device n to first_gsi + n % 4, INTB# to the
 * next of the four, and so on in a circle. */
struct pci_pins {
    const struct level_controller *levels; /* outlives the host bridge; NULL: no pins */
    uint32_t first_gsi;
};

static inline uint32_t pci_pin_gsi(uint32_t first_gsi, unsigned device, unsigned pin)
{
    return first_gsi + (device + pin) % PCI_PIN_GSIS;
}

/* Returns 0 or -errno. It is a device of the machine's as well: its owner destroys it after the
 * functions' owners. pins: NULL for none. */
int pci_host_create(const struct device_env *env, uint64_t ecam, const struct pci_window *low,
                    const struct pci_window *high, const struct pci_pins *pins,
                    struct pci_host **out);
struct device *pci_host_device(struct pci_host *host);

/*
 * Give the function a device number (function->number: `number`, or the next free one) and its BARs
 * addresses that no other BAR has at the moment. `decode`: with memory decoding on, as firmware
 * leaves it; without, as a device is that has just been plugged (its command register is 0). The
 * guest may use it before this returns. It stays the caller's, who unplugs it before freeing it.
 * Returns 0, -EBUSY (the number is taken), -EINVAL (there is no such number) or -ENOSPC.
 */
int pci_host_plug(struct pci_host *host, struct pci_function *function, unsigned number,
                  bool decode);

/* Take it away: its BARs move to PCI_NOWHERE, its pin is deasserted, and no thread is in one of its
 * handlers afterwards, nor will be. One that is not plugged is fine. */
void pci_host_unplug(struct pci_host *host, struct pci_function *function);

/* Whether the function wants an interrupt by INTA#. Any thread; the locks of devices may be held.
 * Nothing happens before it is plugged or after. */
void pci_host_set_pin(struct pci_host *host, struct pci_function *function, bool raised);

#endif
