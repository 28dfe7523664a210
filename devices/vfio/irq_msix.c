// SPDX-License-Identifier: Apache-2.0
/*
 * MSI-X of a passed-through device (PCI 3.0, section 6.8.2). The table that the guest sees is in
 * this file; the device's own is the host's kernel's.
 *
 * A kernel before 6.5 gives the device all of its vectors when MSI-X is turned on, and can add none
 * later (VFIO_IRQ_INFO_NORESIZE); it is asked for all of the table then, with no eventfds. A later
 * one is asked for each vector when the guest first unmasks it.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "devices/vfio/device.h"

#define PAGE_BYTES 4096u

bool vfio_msix_covers(const struct vfio_device *vfio, unsigned offset, unsigned size)
{
    unsigned at = vfio->msix.at;

    return at && offset < at + PCI_CAP_MSIX_SIZEOF && offset + size > at;
}

static uint16_t flags_of(const struct vfio_device *vfio)
{
    return get_le16(vfio->function.config + vfio->msix.at + PCI_MSIX_FLAGS);
}

bool vfio_msix_wanted(const struct vfio_device *vfio)
{
    return vfio->msix.at && (flags_of(vfio) & PCI_MSIX_FLAGS_ENABLE);
}

/* ---- at the device ---- */

/* Turn it on. Returns whether it is. */
static bool enable(struct vfio_device *vfio)
{
    struct vfio_msix *msix = &vfio->msix;
    unsigned count = msix->resizable ? 1 : msix->count;
    int32_t *fds = calloc(count, sizeof(*fds));
    int ret = fds ? 0 : -ENOMEM;

    for (unsigned i = 0; i < count && fds; i++)
        fds[i] = -1;
    if (!ret)
        ret = vfio_irq_wire(vfio, VFIO_PCI_MSIX_IRQ_INDEX, 0, count, fds);
    /* The host has fewer to give than the table has entries. Guests seldom use all. */
    if (ret > 0 && (unsigned)ret < count) {
        count = (unsigned)ret;
        ret = vfio_irq_wire(vfio, VFIO_PCI_MSIX_IRQ_INDEX, 0, count, fds);
    }
    free(fds);
    msix->enabled = ret == 0;
    msix->available = msix->resizable ? msix->count : count;
    if (!msix->enabled)
        log_limited(vfio->env.env.log, &vfio->irq_limit, LOG_LEVEL_WARN, "vfio",
                    "%s: MSI-X cannot be turned on: %s", vfio->name,
                    error_text(ret < 0 ? -ret : ENOSPC));
    return msix->enabled;
}

static void wire(struct vfio_device *vfio, unsigned index)
{
    struct vfio_msix_vector *vector = &vfio->msix.vectors[index];
    int32_t fd = vector->vector.line.event_fd;
    int ret = index < vfio->msix.available
                  ? vfio_irq_wire(vfio, VFIO_PCI_MSIX_IRQ_INDEX, index, 1, &fd)
                  : -ENOSPC;

    vector->wired = ret == 0;
    if (ret)
        log_limited(vfio->env.env.log, &vfio->irq_limit, LOG_LEVEL_WARN, "vfio",
                    "%s: MSI-X vector %u does not work: %s", vfio->name, index,
                    error_text(ret < 0 ? -ret : ENOSPC));
}

static bool is_masked(const struct vfio_device *vfio, const struct vfio_msix_vector *vector)
{
    return vfio->msix.masked ||
           (get_le32(vector->entry + PCI_MSIX_ENTRY_VECTOR_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* MSI-X is on. */
static void update_vector(struct vfio_device *vfio, unsigned index)
{
    struct vfio_msix_vector *vector = &vfio->msix.vectors[index];

    if (is_masked(vfio, vector)) {
        vfio_vector_hold(vfio, &vector->vector);
        return;
    }
    if (vfio_vector_send(vfio, &vector->vector, get_le64(vector->entry),
                         get_le32(vector->entry + PCI_MSIX_ENTRY_DATA)))
        return;
    if (!vector->wired)
        wire(vfio, index);
}

void vfio_msix_update(struct vfio_device *vfio)
{
    struct vfio_msix *msix = &vfio->msix;

    msix->masked = flags_of(vfio) & PCI_MSIX_FLAGS_MASKALL;
    if (!msix->enabled && !enable(vfio))
        return;
    for (unsigned i = 0; i < msix->count; i++)
        update_vector(vfio, i);
}

void vfio_msix_off(struct vfio_device *vfio)
{
    struct vfio_msix *msix = &vfio->msix;

    if (!msix->enabled)
        return;
    vfio_irq_off(vfio, VFIO_PCI_MSIX_IRQ_INDEX);
    for (unsigned i = 0; i < msix->count; i++) {
        vfio_vector_release(vfio, &msix->vectors[i].vector);
        msix->vectors[i].wired = false;
    }
    msix->enabled = false;
}

/* ---- the table and the pending bits ---- */

static bool touches(const struct vfio_place *place, unsigned bar, uint64_t offset, unsigned size)
{
    /* Nothing wraps: both are inside a BAR. */
    return place->bar == bar && offset < place->offset + place->size &&
           offset + size > place->offset;
}

/* 6.8.2: aligned accesses of 4 or 8 bytes, wholly inside; an entry's end is never crossed then. */
static bool is_access(const struct vfio_place *place, uint64_t offset, unsigned size)
{
    return (size == 4 || size == 8) && is_aligned(offset, size) && offset >= place->offset &&
           offset + size <= place->offset + place->size;
}

/* Pending bits of the 64 vectors from `first`. */
static uint64_t pending_from(const struct vfio_device *vfio, unsigned first)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < 64 && first + i < vfio->msix.count; i++) {
        if (vfio_vector_pending(&vfio->msix.vectors[first + i].vector))
            bits |= 1ull << i;
    }
    return bits;
}

static void read_pending(struct vfio_device *vfio, uint64_t at, void *data, unsigned size)
{
    pthread_mutex_lock(&vfio->irq_lock);
    put_le_sized(data, size, pending_from(vfio, (unsigned)(at / 8 * 64)) >> (8 * (at % 8)));
    pthread_mutex_unlock(&vfio->irq_lock);
}

bool vfio_msix_read(struct vfio_device *vfio, unsigned bar, uint64_t offset, void *data,
                    unsigned size)
{
    const struct vfio_msix *msix = &vfio->msix;

    if (!msix->at)
        return false;
    if (touches(&msix->table, bar, offset, size)) {
        uint64_t at = offset - msix->table.offset;

        if (is_access(&msix->table, offset, size)) {
            pthread_mutex_lock(&vfio->irq_lock);
            memcpy(data,
                   msix->vectors[at / VFIO_MSIX_ENTRY_BYTES].entry + at % VFIO_MSIX_ENTRY_BYTES,
                   size);
            pthread_mutex_unlock(&vfio->irq_lock);
        }
        return true;
    }
    if (touches(&msix->pba, bar, offset, size)) {
        if (is_access(&msix->pba, offset, size))
            read_pending(vfio, offset - msix->pba.offset, data, size);
        return true;
    }
    return false;
}

static void write_table(struct vfio_device *vfio, uint64_t at, const void *data, unsigned size)
{
    unsigned index = (unsigned)(at / VFIO_MSIX_ENTRY_BYTES);
    uint8_t *entry = vfio->msix.vectors[index].entry;

    pthread_mutex_lock(&vfio->irq_lock);
    memcpy(entry + at % VFIO_MSIX_ENTRY_BYTES, data, size);
    /* 6.8.2.6 and .9: the two lowest bits of the address, and all of vector control but the mask,
     * are 0. */
    entry[PCI_MSIX_ENTRY_LOWER_ADDR] &= 0xfc;
    put_le32(entry + PCI_MSIX_ENTRY_VECTOR_CTRL,
             get_le32(entry + PCI_MSIX_ENTRY_VECTOR_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
    if (vfio->msix.enabled && !atomic_load(&vfio->dead))
        update_vector(vfio, index);
    pthread_mutex_unlock(&vfio->irq_lock);
}

bool vfio_msix_write(struct vfio_device *vfio, unsigned bar, uint64_t offset, const void *data,
                     unsigned size)
{
    const struct vfio_msix *msix = &vfio->msix;

    if (!msix->at)
        return false;
    if (touches(&msix->table, bar, offset, size)) {
        if (is_access(&msix->table, offset, size))
            write_table(vfio, offset - msix->table.offset, data, size);
        return true;
    }
    return touches(&msix->pba, bar, offset, size); /* which are only read */
}

/* ---- what there is ---- */

static bool place_fits(const struct vfio_device *vfio, const struct vfio_place *place)
{
    uint64_t end;

    return place->bar < PCI_BARS && checked_add(place->offset, place->size, &end) &&
           end <= vfio->bars[place->bar].region.size;
}

/* Whether registers share pages with the table or the pending bits, which they would not behind
 * everything else in the BAR. */
static bool is_worth_moving(const struct vfio_device *vfio)
{
    const struct vfio_place *table = &vfio->msix.table, *pba = &vfio->msix.pba;
    const struct vfio_region *region = &vfio->bars[table->bar].region;
    uint64_t table_end = (table->offset + table->size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1ull);
    bool pba_is_beside = pba->bar == table->bar && pba->offset >= table->offset &&
                         pba->offset + pba->size <= table_end;

    return region->msix_mappable && region->area_count > 0 &&
           (!is_aligned(table->offset, PAGE_BYTES) ||
            (!pba_is_beside && !is_aligned(pba->offset, PAGE_BYTES)));
}

static void move(struct vfio_device *vfio)
{
    struct vfio_place *table = &vfio->msix.table, *pba = &vfio->msix.pba;
    struct vfio_bar *bar = &vfio->bars[table->bar];
    uint64_t max = bar->is_64bit ? 1ull << 40 : 1u << 31;
    uint64_t at = bar->guest_size, size = bar->guest_size;
    uint64_t pba_at = (at + table->size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1ull);

    while (size < pba_at + pba->size)
        size *= 2;
    if (size > max || pba_at > UINT32_MAX)
        return; /* no such BAR, or the capability cannot say where it is */
    bar->guest_size = size;
    table->offset = at;
    pba->bar = table->bar;
    pba->offset = pba_at;
}

static int read_places(struct vfio_device *vfio, const uint8_t *capability, struct husk_error *err)
{
    struct vfio_msix *msix = &vfio->msix;
    uint32_t table = get_le32(capability + PCI_MSIX_TABLE);
    uint32_t pba = get_le32(capability + PCI_MSIX_PBA);

    msix->table = (struct vfio_place){
        .bar = table & PCI_MSIX_TABLE_BIR,
        .offset = table & PCI_MSIX_TABLE_OFFSET,
        .size = (uint64_t)msix->count * VFIO_MSIX_ENTRY_BYTES,
    };
    msix->pba = (struct vfio_place){
        .bar = pba & PCI_MSIX_PBA_BIR,
        .offset = pba & PCI_MSIX_PBA_OFFSET,
        .size = (msix->count + 63) / 64 * 8,
    };
    if (!place_fits(vfio, &msix->table) || !place_fits(vfio, &msix->pba) ||
        touches(&msix->table, msix->pba.bar, msix->pba.offset, (unsigned)msix->pba.size))
        return error_set(err, EPROTO, vfio->name, VFIO_CANNOT_ATTACH,
                         "its MSI-X capability cannot be: %u vectors, table at %#x, pending bits "
                         "at %#x",
                         msix->count, table, pba);
    return 0;
}

int vfio_msix_init(struct vfio_device *vfio, const uint8_t *bytes, unsigned at,
                   struct husk_error *err)
{
    struct pci_function *function = &vfio->function;
    struct vfio_msix *msix = &vfio->msix;
    unsigned entries = (get_le16(bytes + at + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1;
    uint32_t count, flags;
    int ret = vfio_irq_count(vfio, VFIO_PCI_MSIX_IRQ_INDEX, &count, &flags);

    if (ret || count < entries)
        return error_set(err, ret ? -ret : EPROTO, vfio->name, VFIO_CANNOT_ATTACH,
                         "the kernel says that it has %u vectors of MSI-X, the device %u", count,
                         entries);
    msix->count = entries;
    msix->resizable = !(flags & VFIO_IRQ_INFO_NORESIZE);
    ret = read_places(vfio, bytes + at, err);
    if (ret)
        return ret;
    msix->vectors = calloc(msix->count, sizeof(*msix->vectors));
    if (!msix->vectors)
        return error_set(err, ENOMEM, vfio->name, VFIO_CANNOT_ATTACH, NULL);
    for (unsigned i = 0; i < msix->count; i++) {
        msix->vectors[i].vector.line.event_fd = -1;
        /* 6.8.2.9: masked after reset. */
        put_le32(msix->vectors[i].entry + PCI_MSIX_ENTRY_VECTOR_CTRL, PCI_MSIX_ENTRY_CTRL_MASKBIT);
    }
    msix->at = at;
    if (is_worth_moving(vfio))
        move(vfio);
    memset(vfio->through + at, 0, PCI_CAP_MSIX_SIZEOF);
    memset(function->writable + at, 0, PCI_CAP_MSIX_SIZEOF);
    put_le16(function->config + at + PCI_MSIX_FLAGS, (uint16_t)(msix->count - 1));
    put_le32(function->config + at + PCI_MSIX_TABLE,
             (uint32_t)msix->table.offset | msix->table.bar);
    put_le32(function->config + at + PCI_MSIX_PBA, (uint32_t)msix->pba.offset | msix->pba.bar);
    put_le16(function->writable + at + PCI_MSIX_FLAGS,
             PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    return 0;
}

void vfio_msix_release(struct vfio_device *vfio)
{
    free(vfio->msix.vectors);
    vfio->msix.vectors = NULL;
    vfio->msix.at = 0;
}
