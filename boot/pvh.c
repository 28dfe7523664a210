// SPDX-License-Identifier: Apache-2.0
/*
 * The PVH start info, version 1 (xen/include/public/arch-x86/hvm/start_info.h): one structure that
 * points to the command line, the initrd as the only module, the RSDP and the memory map. All of it
 * lies in the layout's boot_info area.
 */
#include "boot/internal.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"

/* Offsets in struct hvm_start_info. */
enum {
    MAGIC = 0,
    INFO_VERSION = 4,
    NR_MODULES = 12,
    MODLIST_PADDR = 16,
    CMDLINE_PADDR = 24,
    RSDP_PADDR = 32,
    MEMMAP_PADDR = 40,
    MEMMAP_ENTRIES = 48,
};

#define START_MAGIC   0x336ec578u
#define MODULE_AT     64u /* struct hvm_modlist_entry: address, size, command line, reserved */
#define MEMMAP_AT     128u
#define MEMMAP_BYTES  24u /* struct hvm_memmap_table_entry: address, size, type, reserved */
#define BOOT_INFO_MAX 8192u

int boot_setup_pvh(struct guest_memory *memory, const struct boot_layout *layout,
                   const struct boot_handover *handover)
{
    uint8_t *info = guest_memory_at(memory, layout->boot_info, BOOT_INFO_MAX);
    uint64_t base = layout->boot_info.value;

    if (!info || MEMMAP_AT + layout->range_count * MEMMAP_BYTES > BOOT_INFO_MAX)
        return -EFAULT;
    memset(info, 0, BOOT_INFO_MAX);
    put_le32(info + MAGIC, START_MAGIC);
    put_le32(info + INFO_VERSION, 1);
    put_le64(info + CMDLINE_PADDR, handover->command_line.value);
    put_le64(info + RSDP_PADDR, layout->rsdp.value);
    if (handover->initrd_bytes > 0) {
        put_le32(info + NR_MODULES, 1);
        put_le64(info + MODLIST_PADDR, base + MODULE_AT);
        put_le64(info + MODULE_AT, handover->initrd.value);
        put_le64(info + MODULE_AT + 8, handover->initrd_bytes);
    }
    put_le64(info + MEMMAP_PADDR, base + MEMMAP_AT);
    put_le32(info + MEMMAP_ENTRIES, layout->range_count);
    for (unsigned i = 0; i < layout->range_count; i++) {
        const struct boot_range *range = &layout->ranges[i];
        uint8_t *entry = info + MEMMAP_AT + i * MEMMAP_BYTES;

        /* enum boot_range_kind has the numbers of XEN_HVM_MEMMAP_TYPE_*. */
        put_le64(entry, range->base.value);
        put_le64(entry + 8, range->size);
        put_le32(entry + 16, range->kind);
    }
    return 0;
}
