// SPDX-License-Identifier: Apache-2.0
/*
 * PCI as far as the guests need it: configuration space by ECAM or by the ports 0xcf8 and 0xcfc,
 * capabilities, MSI-X; and virtio-pci (virtio 1.2, section 4.1), which virtio.c drives through the
 * register numbers of virtio-mmio.
 */
#ifndef HUSK_TESTS_GUESTS_PCI_H
#define HUSK_TESTS_GUESTS_PCI_H

#include "virtio.h"

#define PCI_ECAM    0xc0000000ull
#define PCI_DEVICES 32u

/* The address of a device's configuration space; every device has one function. */
static inline uint64_t pci_config(unsigned slot)
{
    return PCI_ECAM + (slot << 15);
}

/* By ports: any size, as the caller reads the data port. */
static inline void pci_select(unsigned slot, unsigned offset)
{
    out32(0xcf8, 0x80000000u | slot << 11 | (offset & 0xfc));
}

bool pci_present(void);

/* The nth capability of this id (and, for vendor ones, virtio type), or 0. */
unsigned pci_capability(unsigned slot, uint8_t id, uint8_t virtio_type);

/* The address in BAR 0, of 64 bits. */
uint64_t pci_bar(unsigned slot);
void pci_set_bar(unsigned slot, uint64_t address);

/* Point every vector of the MSI-X table at interrupt vectors and turn it on: the first
 * (configuration) at `config_vector`, all others at `queue_vector`. */
void pci_msix_enable(unsigned slot, unsigned config_vector, unsigned queue_vector);

/* Fill *device in when the slot has a virtio function; `number` chooses its interrupt vectors. */
bool virtio_pci_probe(unsigned slot, unsigned number, struct virtio *device);

/* The registers of virtio-mmio, translated. */
uint32_t virtio_pci_read(const struct virtio *device, unsigned reg);
void virtio_pci_write(const struct virtio *device, unsigned reg, uint32_t value);

/* Whether `vector` is one of the device's; *cause is then what REG_INTERRUPT_STATUS would say. */
bool virtio_pci_vector(const struct virtio *device, unsigned vector, uint32_t *cause);

#endif
