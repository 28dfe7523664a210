// SPDX-License-Identifier: Apache-2.0
/*
 * Memory BARs of a passed-through device.
 *
 * What the kernel lets us map of a BAR is mapped here, and shown to the guest as a memory slot
 * while the BAR has an address: the guest then reaches the device without an exit. Cut out of that
 * are the pages of the MSI-X table and its pending bits, which are made here (irq_msix.c). Every
 * other access, in those pages or wherever a slot could not be had, is carried out one by one.
 *
 * A BAR of less than a page is shown as one of a page. When registers share a page with the MSI-X
 * table, each access to them would exit; so the BAR is shown twice as big, or more, with the table
 * and the pending bits behind what the device has, where nothing else is.
 *
 * BARs of ports are not shown: the bus has no ports, and PCI Express wants a device to work without
 * (PCIe 6.0, section 7.5.1.2.1).
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "devices/vfio/device.h"

#define PAGE_BYTES    4096u
#define BAR_BYTES_MAX (1ull << 52) /* more cannot be addressed */

/* ---- what there is ---- */

static int read_bar_register(const struct vfio_device *vfio, const struct vfio_region *config,
                             unsigned bar, uint32_t *out)
{
    uint8_t bytes[4];
    ssize_t n = vfio->kernel->pread(vfio->kernel->arg, vfio->attachment.device_fd, bytes,
                                    sizeof(bytes), config->offset + PCI_BASE_ADDRESS_0 + 4 * bar);

    *out = get_le32(bytes);
    return n == sizeof(bytes) ? 0 : n < 0 ? (int)n : -EPROTO;
}

static int check_bar(const struct vfio_device *vfio, unsigned index, struct husk_error *err)
{
    const struct vfio_bar *bar = &vfio->bars[index];
    uint64_t max = bar->is_64bit ? BAR_BYTES_MAX : 1ull << 31;

    if ((bar->region.size & (bar->region.size - 1)) || bar->region.size > max ||
        (bar->is_64bit && index + 1 == PCI_BARS))
        return error_set(err, EPROTO, vfio->name, VFIO_CANNOT_ATTACH,
                         "the kernel says that BAR %u has %llu bytes", index,
                         (unsigned long long)bar->region.size);
    return 0;
}

static int read_bar(struct vfio_device *vfio, const struct vfio_region *config, unsigned index,
                    struct husk_error *err)
{
    struct vfio_bar *bar = &vfio->bars[index];
    uint32_t flags;
    int ret = vfio_region_read(vfio->kernel, vfio->attachment.device_fd,
                               VFIO_PCI_BAR0_REGION_INDEX + index, &bar->region);

    if (!ret)
        ret = read_bar_register(vfio, config, index, &flags);
    if (ret)
        return error_set(err, -ret, vfio->name, VFIO_CANNOT_ATTACH,
                         "the kernel does not describe BAR %u: %s", index, error_text(-ret));
    if (flags & PCI_BASE_ADDRESS_SPACE_IO)
        bar->region.size = 0;
    if (bar->region.size == 0)
        return 0;
    bar->is_64bit = (flags & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
    bar->prefetchable = flags & PCI_BASE_ADDRESS_MEM_PREFETCH;
    bar->guest_size = max_u64(bar->region.size, PAGE_BYTES);
    return check_bar(vfio, index, err);
}

int vfio_bars_read(struct vfio_device *vfio, struct husk_error *err)
{
    struct vfio_region config;
    int ret = vfio_region_read(vfio->kernel, vfio->attachment.device_fd,
                               VFIO_PCI_CONFIG_REGION_INDEX, &config);

    if (ret)
        return error_set(err, -ret, vfio->name, VFIO_CANNOT_ATTACH,
                         "the kernel does not describe its configuration space: %s",
                         error_text(-ret));
    for (unsigned i = 0; i < PCI_BARS; i++) {
        ret = read_bar(vfio, &config, i, err);
        if (ret)
            return ret;
        /* The upper half of an address is no BAR (PCI 3.0, section 6.2.5.1). */
        i += vfio->bars[i].is_64bit;
    }
    return 0;
}

/* ---- mapping ---- */

/* Add [from, to) of the BAR to what is mapped, if there is anything in it. */
static void add_window(struct vfio_device *vfio, struct vfio_bar *bar, uint64_t from, uint64_t to)
{
    struct vfio_window *window = &bar->windows[bar->window_count];
    void *hva;

    if (from >= to || bar->window_count == VFIO_WINDOWS_MAX)
        return;
    hva = vfio->kernel->map(vfio->kernel->arg, vfio->attachment.device_fd, to - from,
                            bar->region.offset + from, PROT_READ | PROT_WRITE);
    if (!hva) {
        log_warn(vfio->env.env.log, "vfio",
                 "%s: BAR %u cannot be mapped at %#llx: the guest's accesses will be slow",
                 vfio->name, (unsigned)(bar - vfio->bars), (unsigned long long)from);
        return;
    }
    *window = (struct vfio_window){.area = {.offset = from, .size = to - from}, .hva = hva};
    bar->window_count++;
}

/* The pages of `place`, if it is in this BAR; else an empty range at the end. */
static struct vfio_area cut_of(const struct vfio_bar *bars, unsigned index,
                               const struct vfio_place *place)
{
    struct vfio_area cut = {.offset = UINT64_MAX};
    uint64_t end;

    if (place->size == 0 || place->bar != index ||
        !checked_align_up(place->offset + place->size, PAGE_BYTES, &end))
        return cut;
    cut.offset = align_down(place->offset, PAGE_BYTES);
    cut.size = end - cut.offset;
    return cut;
}

/* An area without the two ranges that are cut out, in ascending order. */
static void map_area(struct vfio_device *vfio, struct vfio_bar *bar, const struct vfio_area *area,
                     struct vfio_area first, struct vfio_area second)
{
    uint64_t from = area->offset, to = area->offset + area->size;

    if (second.offset < first.offset) {
        struct vfio_area swap = first;

        first = second;
        second = swap;
    }
    add_window(vfio, bar, from, min_u64(to, first.offset));
    if (first.offset == UINT64_MAX)
        return;
    from = max_u64(from, first.offset + first.size);
    add_window(vfio, bar, from, min_u64(to, second.offset));
    if (second.offset != UINT64_MAX)
        add_window(vfio, bar, max_u64(from, second.offset + second.size), to);
}

static int init_bar(struct vfio_device *vfio, unsigned index, struct husk_error *err)
{
    struct vfio_bar *bar = &vfio->bars[index];
    unsigned flags =
        (bar->is_64bit ? PCI_BAR_64BIT : 0) | (bar->prefetchable ? PCI_BAR_PREFETCHABLE : 0);

    for (unsigned i = 0; i < bar->region.area_count; i++)
        map_area(vfio, bar, &bar->region.areas[i], cut_of(vfio->bars, index, &vfio->msix.table),
                 cut_of(vfio->bars, index, &vfio->msix.pba));
    if (pci_function_add_bar(&vfio->function, index, bar->guest_size, flags))
        return error_set(err, EPROTO, vfio->name, VFIO_CANNOT_ATTACH,
                         "BAR %u of %llu bytes cannot be", index,
                         (unsigned long long)bar->guest_size);
    return 0;
}

int vfio_bars_init(struct vfio_device *vfio, struct husk_error *err)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        int ret = vfio->bars[i].region.size ? init_bar(vfio, i, err) : 0;

        if (ret)
            return ret;
    }
    return 0;
}

/* ---- access by access ---- */

static bool inside(const struct vfio_device *vfio, unsigned bar, uint64_t offset, unsigned size)
{
    const struct vfio_region *region = &vfio->bars[bar].region;

    return !atomic_load(&vfio->dead) && offset < region->size && size <= region->size - offset;
}

void vfio_bar_read(struct pci_function *function, unsigned bar, uint64_t offset, void *data,
                   unsigned size)
{
    struct vfio_device *vfio = vfio_of_function(function);
    uint8_t bytes[8];

    if (vfio_msix_read(vfio, bar, offset, data, size) || !inside(vfio, bar, offset, size))
        return;
    if (vfio->kernel->pread(vfio->kernel->arg, vfio->attachment.device_fd, bytes, size,
                            vfio->bars[bar].region.offset + offset) == (ssize_t)size)
        memcpy(data, bytes, size);
}

void vfio_bar_write(struct pci_function *function, unsigned bar, uint64_t offset, const void *data,
                    unsigned size)
{
    struct vfio_device *vfio = vfio_of_function(function);

    if (vfio_msix_write(vfio, bar, offset, data, size) || !inside(vfio, bar, offset, size))
        return;
    vfio->kernel->pwrite(vfio->kernel->arg, vfio->attachment.device_fd, data, size,
                         vfio->bars[bar].region.offset + offset);
}

/* ---- slots ---- */

/* bar_lock held. */
static void take_slots_away(struct vfio_device *vfio, struct vfio_bar *bar)
{
    for (unsigned i = 0; i < bar->window_count; i++) {
        if (bar->windows[i].has_slot)
            vfio->vm.unmap(vfio->vm.arg, bar->windows[i].slot);
        bar->windows[i].has_slot = false;
    }
}

/* bar_lock held. */
static void give_slots(struct vfio_device *vfio, struct vfio_bar *bar, uint64_t at)
{
    for (unsigned i = 0; i < bar->window_count; i++) {
        struct vfio_window *window = &bar->windows[i];
        int ret = vfio->vm.map(vfio->vm.arg, at + window->area.offset, window->hva,
                               window->area.size, &window->slot);

        window->has_slot = ret == 0;
        if (ret)
            log_limited(vfio->env.env.log, &vfio->bar_limit, LOG_LEVEL_WARN, "vfio",
                        "%s: BAR %u is not mapped for the guest, whose accesses will be slow: %s",
                        vfio->name, (unsigned)(bar - vfio->bars), error_text(-ret));
    }
}

void vfio_bar_moved(struct pci_function *function, unsigned bar, uint64_t from, uint64_t to)
{
    struct vfio_device *vfio = vfio_of_function(function);

    pthread_mutex_lock(&vfio->bar_lock);
    take_slots_away(vfio, &vfio->bars[bar]);
    if (to != PCI_NOWHERE && !atomic_load(&vfio->dead))
        give_slots(vfio, &vfio->bars[bar], to);
    pthread_mutex_unlock(&vfio->bar_lock);
}

void vfio_bars_hide(struct vfio_device *vfio)
{
    pthread_mutex_lock(&vfio->bar_lock);
    for (unsigned i = 0; i < PCI_BARS; i++)
        take_slots_away(vfio, &vfio->bars[i]);
    pthread_mutex_unlock(&vfio->bar_lock);
}

void vfio_bars_release(struct vfio_device *vfio)
{
    vfio_bars_hide(vfio);
    for (unsigned i = 0; i < PCI_BARS; i++) {
        struct vfio_bar *bar = &vfio->bars[i];

        while (bar->window_count > 0) {
            const struct vfio_window *window = &bar->windows[--bar->window_count];

            vfio->kernel->unmap(vfio->kernel->arg, window->hva, window->area.size);
        }
    }
}
