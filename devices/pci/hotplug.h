// SPDX-License-Identifier: Apache-2.0
/*
 * The registers by which ACPI methods learn what was plugged into the PCI bus and what the host
 * wants back, and say that the guest let go (boot/acpi.c writes the methods): three words of 32
 * bits, in which bit n is device n of bus 0.
 *
 *   +0  added    what came since this was read last; reading clears it
 *   +4  wanted   whose removal the host asked for since this was read last; reading clears it
 *   +8  eject    writing lets devices go
 *
 * An access of another size or in between reads all-ones and does nothing.
 *
 * Threads: registers from any vCPU thread; the rest from any thread. It holds no lock, so that the
 * sink may take any.
 */
#ifndef HUSK_DEVICES_PCI_HOTPLUG_H
#define HUSK_DEVICES_PCI_HOTPLUG_H

#include "devices/device.h"

#define PCI_HOTPLUG_PORT   0x610u
#define PCI_HOTPLUG_PORTS  12u
#define PCI_HOTPLUG_ADDED  0u /* offsets */
#define PCI_HOTPLUG_WANTED 4u
#define PCI_HOTPLUG_EJECT  8u

struct pci_hotplug;

struct pci_hotplug_sink {
    /* There is something to read. */
    void (*notify)(void *arg);
    /* The guest let a device go, which need not be there. On a vCPU's thread, which waits; when it
     * returns, the device is gone. */
    void (*eject)(void *arg, unsigned number);
    void *arg;
};

/* Returns 0 or -errno. The caller owns *out, as a device. */
int pci_hotplug_create(const struct device_env *env, const struct pci_hotplug_sink *sink,
                       struct pci_hotplug **out);
struct device *pci_hotplug_device(struct pci_hotplug *hotplug);

/* Tell the guest that a device has come; ask it to let one go. Numbers are below 32. */
void pci_hotplug_added(struct pci_hotplug *hotplug, unsigned number);
void pci_hotplug_want(struct pci_hotplug *hotplug, unsigned number);
/* The device is gone: what the guest has not read of it yet it need not know. */
void pci_hotplug_gone(struct pci_hotplug *hotplug, unsigned number);

#endif
