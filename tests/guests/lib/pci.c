// SPDX-License-Identifier: Apache-2.0
/* PCI and virtio-pci: see pci.h. */
#include "pci.h"

#define CAP_LIST             0x34u
#define CAP_VENDOR           0x09u
#define CAP_MSIX             0x11u
#define BAR0                 0x10u
#define MSI_ADDRESS          0xfee00000u
#define MSIX_ENABLE          0x8000u
#define COMMAND              0x04u
#define COMMAND_MEMORY       0x2u
#define COMMAND_MASTER       0x4u
#define FIRST_VECTOR         42u /* above the pins that have devices */
#define DEVICES_WITH_VECTORS 7u

/* Common configuration, virtio 4.1.4.3. */
enum {
    DEVICE_SELECT = 0,
    DEVICE_FEATURES = 4,
    DRIVER_SELECT = 8,
    DRIVER_FEATURES = 12,
    CONFIG_VECTOR = 16,
    STATUS = 20,
    GENERATION = 21,
    QUEUE_SELECT = 22,
    QUEUE_SIZE = 24,
    QUEUE_VECTOR = 26,
    QUEUE_ENABLE = 28,
    QUEUE_NOTIFY_OFFSET = 30,
    QUEUE_RINGS = 32,
};

bool pci_present(void)
{
    return mmio_read32(pci_config(0)) != UINT32_MAX;
}

unsigned pci_capability(unsigned slot, uint8_t id, uint8_t virtio_type)
{
    uint64_t config = pci_config(slot);
    unsigned at = mmio_read8(config + CAP_LIST);

    for (unsigned i = 0; at && i < 48; i++, at = mmio_read8(config + at + 1)) {
        if (mmio_read8(config + at) == id &&
            (id != CAP_VENDOR || mmio_read8(config + at + 3) == virtio_type))
            return at;
    }
    return 0;
}

uint64_t pci_bar(unsigned slot)
{
    return (mmio_read32(pci_config(slot) + BAR0) & ~0xfu) |
           (uint64_t)mmio_read32(pci_config(slot) + BAR0 + 4) << 32;
}

void pci_set_bar(unsigned slot, uint64_t address)
{
    mmio_write32(pci_config(slot) + BAR0, (uint32_t)address);
    mmio_write32(pci_config(slot) + BAR0 + 4, (uint32_t)(address >> 32));
}

void pci_msix_enable(unsigned slot, unsigned config_vector, unsigned queue_vector)
{
    uint64_t at = pci_config(slot) + pci_capability(slot, CAP_MSIX, 0);
    uint64_t table = pci_bar(slot) + (mmio_read32(at + 4) & ~7u);
    unsigned count = (mmio_read16(at + 2) & 0x7ff) + 1u;

    mmio_write16(at + 2, MSIX_ENABLE);
    for (unsigned i = 0; i < count; i++, table += 16) {
        mmio_write32(table, MSI_ADDRESS | apic_id() << 12);
        mmio_write32(table + 4, 0);
        mmio_write32(table + 8, i ? queue_vector : config_vector);
        mmio_write32(table + 12, 0);
    }
}

static uint64_t structure(unsigned slot, uint8_t type)
{
    unsigned at = pci_capability(slot, CAP_VENDOR, type);

    return at ? pci_bar(slot) + mmio_read32(pci_config(slot) + at + 8) : 0;
}

bool virtio_pci_probe(unsigned slot, unsigned number, struct virtio *device)
{
    uint32_t id = mmio_read32(pci_config(slot));
    uint64_t config;

    if ((id & 0xffff) != 0x1af4 || id >> 16 < 0x1040)
        return false;
    config = structure(slot, 4);
    *device = (struct virtio){
        .id = (id >> 16) - 0x1040,
        .base = (config ? config : pci_bar(slot)) - REG_CONFIG,
        .common = structure(slot, 1),
        .notify = structure(slot, 2),
        .vector = FIRST_VECTOR + 2 * (number % DEVICES_WITH_VECTORS),
    };
    mmio_write16(pci_config(slot) + COMMAND, COMMAND_MEMORY | COMMAND_MASTER);
    pci_msix_enable(slot, device->vector, device->vector + 1);
    return true;
}

uint32_t virtio_pci_read(const struct virtio *device, unsigned reg)
{
    uint64_t common = device->common;

    if (reg >= REG_CONFIG)
        return mmio_read32(device->base + reg);
    switch (reg) {
    case REG_MAGIC:
        return 0x74726976u;
    case REG_DEVICE_ID:
        return device->id;
    case REG_FEATURES:
        return mmio_read32(common + DEVICE_FEATURES);
    case REG_QUEUE_MAX:
        return mmio_read16(common + QUEUE_SIZE);
    case REG_QUEUE_READY:
        return mmio_read16(common + QUEUE_ENABLE);
    case REG_STATUS:
        return mmio_read8(common + STATUS);
    case REG_CONFIG_GENERATION:
        return mmio_read8(common + GENERATION);
    default:
        return 0;
    }
}

/* Offsets in the common configuration of the registers that are 32 bits wide. */
static unsigned wide_register(unsigned reg)
{
    switch (reg) {
    case REG_FEATURES_SEL:
        return DEVICE_SELECT;
    case REG_DRIVER_FEATURES_SEL:
        return DRIVER_SELECT;
    case REG_DRIVER_FEATURES:
        return DRIVER_FEATURES;
    case REG_DESC_LOW:
    case REG_DESC_HIGH:
        return QUEUE_RINGS + (reg - REG_DESC_LOW);
    case REG_AVAIL_LOW:
    case REG_AVAIL_HIGH:
        return QUEUE_RINGS + 8 + (reg - REG_AVAIL_LOW);
    case REG_USED_LOW:
    case REG_USED_HIGH:
        return QUEUE_RINGS + 16 + (reg - REG_USED_LOW);
    default:
        return UINT32_MAX;
    }
}

void virtio_pci_write(const struct virtio *device, unsigned reg, uint32_t value)
{
    uint64_t common = device->common;
    unsigned wide = wide_register(reg);

    if (reg >= REG_CONFIG) {
        mmio_write32(device->base + reg, value);
    } else if (wide != UINT32_MAX) {
        mmio_write32(common + wide, value);
    } else if (reg == REG_QUEUE_SEL) {
        mmio_write16(common + QUEUE_SELECT, (uint16_t)value);
    } else if (reg == REG_QUEUE_SIZE) {
        mmio_write16(common + QUEUE_SIZE, (uint16_t)value);
    } else if (reg == REG_QUEUE_READY) {
        mmio_write16(common + QUEUE_VECTOR, 1);
        mmio_write16(common + QUEUE_ENABLE, (uint16_t)value);
    } else if (reg == REG_NOTIFY) {
        mmio_write16(device->notify + 4 * (value & 63), (uint16_t)value);
    } else if (reg == REG_STATUS) {
        if (value == STATUS_ACKNOWLEDGE)
            mmio_write16(common + CONFIG_VECTOR, 0);
        mmio_write8(common + STATUS, (uint8_t)value);
    }
}

bool virtio_pci_vector(const struct virtio *device, unsigned vector, uint32_t *cause)
{
    *cause = vector == device->vector ? 2 : 1;
    return vector == device->vector || vector == device->vector + 1;
}
