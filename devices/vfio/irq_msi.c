// SPDX-License-Identifier: Apache-2.0
/*
 * MSI of a passed-through device (PCI 3.0, section 6.8.1): up to 32 vectors, which are one message
 * whose lowest bits are the vector's number. All of the capability's registers are made here.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "devices/vfio/device.h"

/* 6.8.1: where registers are depends on the width of the address. */
static unsigned data_at(const struct vfio_msi *msi)
{
    return msi->at + (msi->is_64bit ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32);
}

static unsigned mask_at(const struct vfio_msi *msi)
{
    return msi->at + (msi->is_64bit ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);
}

static unsigned size_of(const struct vfio_msi *msi)
{
    if (msi->maskable)
        return mask_at(msi) + 8 - msi->at; /* the pending bits are behind the mask */
    return data_at(msi) + 2 - msi->at;
}

bool vfio_msi_covers(const struct vfio_device *vfio, unsigned offset, unsigned size)
{
    const struct vfio_msi *msi = &vfio->msi;

    return msi->at && offset < msi->at + size_of(msi) && offset + size > msi->at;
}

static uint16_t flags_of(const struct vfio_device *vfio)
{
    return get_le16(vfio->function.config + vfio->msi.at + PCI_MSI_FLAGS);
}

bool vfio_msi_wanted(const struct vfio_device *vfio)
{
    return vfio->msi.at && (flags_of(vfio) & PCI_MSI_FLAGS_ENABLE);
}

/* As many as the guest asks for, and there are. */
static unsigned wanted_count(const struct vfio_device *vfio)
{
    unsigned count = 1u << ((flags_of(vfio) & PCI_MSI_FLAGS_QSIZE) >> 4);

    return count < vfio->msi.max ? count : vfio->msi.max;
}

static uint64_t address_of(const struct vfio_device *vfio)
{
    const uint8_t *at = vfio->function.config + vfio->msi.at;
    uint64_t address = get_le32(at + PCI_MSI_ADDRESS_LO);

    if (vfio->msi.is_64bit)
        address |= (uint64_t)get_le32(at + PCI_MSI_ADDRESS_HI) << 32;
    return address;
}

/* The eventfds exist, and send what the registers say, or hold it. */
static void update_vectors(struct vfio_device *vfio, unsigned count)
{
    struct vfio_msi *msi = &vfio->msi;
    const uint8_t *config = vfio->function.config;
    uint32_t masked = msi->maskable ? get_le32(config + mask_at(msi)) : 0;
    uint32_t data = get_le16(config + data_at(msi));

    for (unsigned i = 0; i < count; i++) {
        struct vfio_vector *vector = &msi->vectors[i];

        /* 6.8.1.6: the device changes the lowest bits. A vector needs its line even while it is
         * masked, for what comes to be pending. */
        if (!(masked & 1u << i) || vector->line.event_fd < 0)
            vfio_vector_send(vfio, vector, address_of(vfio), (data & ~(count - 1)) | i);
        if (masked & 1u << i)
            vfio_vector_hold(vfio, vector);
    }
}

static void wire(struct vfio_device *vfio, unsigned count)
{
    int32_t fds[VFIO_MSI_VECTORS_MAX];
    int ret;

    for (unsigned i = 0; i < count; i++)
        fds[i] = vfio->msi.vectors[i].line.event_fd;
    ret = vfio_irq_wire(vfio, VFIO_PCI_MSI_IRQ_INDEX, 0, count, fds);
    /* The host has fewer to give: the guest gets those, and misses the others. */
    if (ret > 0 && (unsigned)ret < count) {
        log_limited(vfio->env.env.log, &vfio->irq_limit, LOG_LEVEL_WARN, "vfio",
                    "%s: the host gives it %d of %u MSI vectors", vfio->name, ret, count);
        ret = vfio_irq_wire(vfio, VFIO_PCI_MSI_IRQ_INDEX, 0, (unsigned)ret, fds);
    }
    if (ret)
        log_limited(vfio->env.env.log, &vfio->irq_limit, LOG_LEVEL_WARN, "vfio",
                    "%s: MSI cannot be turned on: %s", vfio->name,
                    error_text(ret < 0 ? -ret : ENOSPC));
}

void vfio_msi_update(struct vfio_device *vfio)
{
    unsigned count = wanted_count(vfio);

    if (vfio->msi.enabled && vfio->msi.enabled != count)
        vfio_msi_off(vfio);
    update_vectors(vfio, count);
    if (!vfio->msi.enabled)
        wire(vfio, count);
    vfio->msi.enabled = count;
}

void vfio_msi_off(struct vfio_device *vfio)
{
    if (!vfio->msi.enabled)
        return;
    vfio_irq_off(vfio, VFIO_PCI_MSI_IRQ_INDEX);
    for (unsigned i = 0; i < vfio->msi.enabled; i++)
        vfio_vector_release(vfio, &vfio->msi.vectors[i]);
    vfio->msi.enabled = 0;
}

void vfio_msi_show_pending(struct vfio_device *vfio)
{
    uint32_t pending = 0;

    if (!vfio->msi.maskable)
        return;
    for (unsigned i = 0; i < vfio->msi.enabled; i++) {
        if (vfio_vector_pending(&vfio->msi.vectors[i]))
            pending |= 1u << i;
    }
    put_le32(vfio->function.config + mask_at(&vfio->msi) + 4, pending);
}

int vfio_msi_init(struct vfio_device *vfio, const uint8_t *bytes, unsigned at, unsigned room,
                  struct husk_error *err)
{
    struct pci_function *function = &vfio->function;
    struct vfio_msi *msi = &vfio->msi;
    uint16_t flags = get_le16(bytes + at + PCI_MSI_FLAGS);
    unsigned log2 = (flags & PCI_MSI_FLAGS_QMASK) >> 1;
    uint32_t count;
    int ret = vfio_irq_count(vfio, VFIO_PCI_MSI_IRQ_INDEX, &count, NULL);

    if (ret)
        return error_set(err, -ret, vfio->name, VFIO_CANNOT_ATTACH,
                         "the kernel does not describe its MSI: %s", error_text(-ret));
    *msi = (struct vfio_msi){
        .at = at,
        .is_64bit = flags & PCI_MSI_FLAGS_64BIT,
        .maskable = flags & PCI_MSI_FLAGS_MASKBIT,
    };
    for (unsigned i = 0; i < VFIO_MSI_VECTORS_MAX; i++)
        msi->vectors[i].line.event_fd = -1;
    /* 6.8.1.3: a power of two of at most 32. */
    if (size_of(msi) > room || log2 > 5 || count == 0)
        return error_set(err, EPROTO, vfio->name, VFIO_CANNOT_ATTACH,
                         "its MSI capability cannot be: flags %#x, %u vectors", flags, count);
    while (log2 > 0 && 1u << log2 > count)
        log2--;
    msi->max = 1u << log2;
    memset(vfio->through + at, 0, size_of(msi));
    memset(function->config + at, 0, size_of(msi));
    memset(function->writable + at, 0, size_of(msi));
    put_le16(function->config + at + PCI_MSI_FLAGS,
             (uint16_t)((flags & (PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT)) | log2 << 1));
    put_le16(function->writable + at + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
    put_le32(function->writable + at + PCI_MSI_ADDRESS_LO, 0xfffffffcu);
    if (msi->is_64bit)
        put_le32(function->writable + at + PCI_MSI_ADDRESS_HI, UINT32_MAX);
    put_le16(function->writable + data_at(msi), 0xffff);
    if (msi->maskable)
        put_le32(function->writable + mask_at(msi), UINT32_MAX >> (32 - msi->max));
    return 0;
}
