// SPDX-License-Identifier: Apache-2.0
/* A PCI function's configuration space: see function.h. */
#include "devices/pci/function.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"

#define BAR_MIN_BYTES     4096u
#define CAPABILITIES_FROM 0x40u
#define EXPRESS_BYTES     0x3cu
/* 7.5.3.4: as after reset; requests of 512 bytes. Errors are for the guest to choose. */
#define DEVICE_CONTROL \
    (PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN | PCI_EXP_DEVCTL_READRQ_512B)
#define DEVICE_CONTROL_WRITABLE                                                               \
    (PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE | \
     PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_NOSNOOP_EN |           \
     PCI_EXP_DEVCTL_READRQ)
#define COMMAND_WRITABLE (PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE)

void pci_function_init(struct pci_function *function, const struct pci_function_ops *ops,
                       const char *name, const struct pci_identity *identity)
{
    uint8_t *config = function->config;

    memset(function, 0, sizeof(*function));
    function->ops = ops;
    function->name = name;
    function->capabilities_end = CAPABILITIES_FROM;
    for (unsigned bar = 0; bar < PCI_BARS; bar++)
        function->bars[bar].at = PCI_NOWHERE;
    put_le16(config + PCI_VENDOR_ID, identity->vendor);
    put_le16(config + PCI_DEVICE_ID, identity->device);
    put_le32(config + PCI_CLASS_REVISION, identity->class_code << 8 | identity->revision);
    put_le16(config + PCI_SUBSYSTEM_VENDOR_ID, identity->subsystem_vendor);
    put_le16(config + PCI_SUBSYSTEM_ID, identity->subsystem);
    put_le16(function->writable + PCI_COMMAND, COMMAND_WRITABLE);
    /* 6.2.4: for the guest's own use. */
    function->writable[PCI_CACHE_LINE_SIZE] = 0xff;
    function->writable[PCI_INTERRUPT_LINE] = 0xff;
}

/* 6.2.5.1: the address bits below the size are wired to 0, which is how the size is found. */
int pci_function_add_bar(struct pci_function *function, unsigned bar, uint64_t size, unsigned flags)
{
    bool is_64bit = flags & PCI_BAR_64BIT;
    unsigned offset = PCI_BASE_ADDRESS_0 + 4 * bar;
    uint64_t mask = ~(size - 1);

    if (bar + is_64bit >= PCI_BARS || function->bars[bar].size || size < BAR_MIN_BYTES ||
        (size & (size - 1)) || (!is_64bit && size > 1u << 31))
        return -EINVAL;
    if ((is_64bit && function->bars[bar + 1].size) ||
        (bar > 0 && function->bars[bar - 1].size && function->bars[bar - 1].is_64bit))
        return -EINVAL;
    function->bars[bar] = (struct pci_bar){.size = size, .is_64bit = is_64bit, .at = PCI_NOWHERE};
    put_le32(function->writable + offset, (uint32_t)mask);
    if (flags & PCI_BAR_PREFETCHABLE)
        function->config[offset] |= PCI_BASE_ADDRESS_MEM_PREFETCH;
    if (is_64bit) {
        function->config[offset] |= PCI_BASE_ADDRESS_MEM_TYPE_64;
        put_le32(function->writable + offset + 4, (uint32_t)(mask >> 32));
    }
    return 0;
}

int pci_function_add_capability(struct pci_function *function, uint8_t id, unsigned size)
{
    unsigned offset = function->capabilities_end;
    unsigned link = function->last_capability ? function->last_capability + 1 : PCI_CAPABILITY_LIST;

    if (size > PCI_CONVENTIONAL_BYTES - offset)
        return -ENOSPC;
    function->config[offset] = id;
    function->config[link] = (uint8_t)offset;
    function->config[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
    function->last_capability = offset;
    function->capabilities_end = (offset + size + 3) & ~3u;
    return (int)offset;
}

/*
 * Version 2 of the structure (PCIe 6.0, section 7.5.3), of which an integrated endpoint has no
 * link, slot or root registers: they are 0. There is no function level reset: a virtio device is
 * reset by its status.
 */
int pci_function_add_express(struct pci_function *function)
{
    int offset = pci_function_add_capability(function, PCI_CAP_ID_EXP, EXPRESS_BYTES);

    if (offset < 0)
        return offset;
    put_le16(function->config + offset + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_RC_END << 4);
    put_le32(function->config + offset + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_RBER);
    put_le16(function->config + offset + PCI_EXP_DEVCTL, DEVICE_CONTROL);
    put_le16(function->writable + offset + PCI_EXP_DEVCTL, DEVICE_CONTROL_WRITABLE);
    return 0;
}

void pci_function_add_pin(struct pci_function *function)
{
    function->config[PCI_INTERRUPT_PIN] = 1;
}

uint64_t pci_function_bar_address(const struct pci_function *function, unsigned bar)
{
    const uint8_t *at = function->config + PCI_BASE_ADDRESS_0 + 4 * bar;
    uint64_t address = get_le32(at) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;

    if (function->bars[bar].is_64bit)
        address |= (uint64_t)get_le32(at + 4) << 32;
    return address;
}

void pci_function_set_bar_address(struct pci_function *function, unsigned bar, uint64_t address)
{
    uint8_t *at = function->config + PCI_BASE_ADDRESS_0 + 4 * bar;

    put_le32(at, (get_le32(at) & ~(uint32_t)PCI_BASE_ADDRESS_MEM_MASK) | (uint32_t)address);
    if (function->bars[bar].is_64bit)
        put_le32(at + 4, (uint32_t)(address >> 32));
}

bool pci_function_decodes(const struct pci_function *function)
{
    return function->config[PCI_COMMAND] & PCI_COMMAND_MEMORY;
}

bool pci_function_masters(const struct pci_function *function)
{
    return function->config[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

static bool is_access(unsigned offset, unsigned size)
{
    return (size == 1 || size == 2 || size == 4) && is_aligned(offset, size);
}

void pci_function_config_read(struct pci_function *function, unsigned offset, void *data,
                              unsigned size)
{
    memset(data, 0xff, size);
    if (!is_access(offset, size) || offset >= PCI_CONFIG_BYTES)
        return;
    if (function->ops->config_read)
        function->ops->config_read(function, offset, size);
    memcpy(data, function->config + offset, size);
}

void pci_function_config_write(struct pci_function *function, unsigned offset, const void *data,
                               unsigned size)
{
    const uint8_t *bytes = data;

    if (!is_access(offset, size) || offset >= PCI_CONFIG_BYTES)
        return;
    for (unsigned i = 0; i < size; i++) {
        uint8_t mask = function->writable[offset + i];
        uint8_t *at = &function->config[offset + i];

        *at = (uint8_t)((*at & ~mask) | (bytes[i] & mask));
    }
    if (function->ops->config_written)
        function->ops->config_written(function, offset, data, size);
}
