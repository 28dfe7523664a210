// SPDX-License-Identifier: Apache-2.0
/*
 * What the 64-bit Linux boot protocol wants in memory (Documentation/arch/x86/boot.rst, "64-bit
 * Boot Protocol"; zero-page.rst): boot_params with the setup header and the memory map, identity
 * page tables for the first 4 GiB, a GDT with __BOOT_CS and __BOOT_DS.
 */
#include "boot/internal.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"

/* Offsets in boot_params (zero-page.rst); from 0x1f1 on they are those of the setup header. */
enum {
    ACPI_RSDP_ADDR = 0x070,
    E820_ENTRIES = 0x1e8,
    BOOT_FLAG = 0x1fe,
    HEADER_MAGIC = 0x202,
    VERSION = 0x206,
    TYPE_OF_LOADER = 0x210,
    LOADFLAGS = 0x211,
    RAMDISK_IMAGE = 0x218,
    RAMDISK_SIZE = 0x21c,
    CMD_LINE_PTR = 0x228,
    KERNEL_ALIGNMENT = 0x230,
    CMDLINE_SIZE = 0x238,
    E820_TABLE = 0x2d0,
};

#define ZERO_PAGE_BYTES  4096u
#define E820_ENTRY_BYTES 20u
#define E820_ENTRIES_MAX 128u
#define LOADER_UNDEFINED 0xffu /* a boot loader without an assigned number */
#define LOADED_HIGH      0x01u

#define PTE_PRESENT_WRITABLE 0x3u
#define PDE_LARGE            0x80u
#define LARGE_PAGE_BYTES     (2u * 1024 * 1024)
#define PAGE_DIRECTORIES     4u /* 1 GiB each */
#define TABLE_ENTRIES        512u

/* What an ELF vmlinux cannot bring along: enough of a header for it to trust the rest. */
static void make_setup_header(uint8_t *zero_page, const struct boot_kernel *kernel)
{
    put_le16(zero_page + BOOT_FLAG, 0xaa55);
    put_le32(zero_page + HEADER_MAGIC, 0x53726448); /* "HdrS" */
    put_le16(zero_page + VERSION, 0x020f);
    zero_page[LOADFLAGS] = LOADED_HIGH;
    put_le32(zero_page + KERNEL_ALIGNMENT, 16 * MIB);
    put_le32(zero_page + CMDLINE_SIZE, (uint32_t)kernel->command_line_max);
}

static void write_zero_page(uint8_t *zero_page, const struct boot_layout *layout,
                            const struct boot_kernel *kernel, const struct boot_handover *handover)
{
    unsigned count = layout->range_count;

    memset(zero_page, 0, ZERO_PAGE_BYTES);
    if (kernel->setup_header_bytes > 0)
        memcpy(zero_page + SETUP_HEADER_OFFSET, kernel->setup_header, kernel->setup_header_bytes);
    else
        make_setup_header(zero_page, kernel);
    zero_page[TYPE_OF_LOADER] = LOADER_UNDEFINED;
    put_le64(zero_page + ACPI_RSDP_ADDR, layout->rsdp.value);
    /* All of it lies below 4 GiB: the ext_ halves stay 0. */
    put_le32(zero_page + CMD_LINE_PTR, (uint32_t)handover->command_line.value);
    put_le32(zero_page + RAMDISK_IMAGE, (uint32_t)handover->initrd.value);
    put_le32(zero_page + RAMDISK_SIZE, (uint32_t)handover->initrd_bytes);

    if (count > E820_ENTRIES_MAX)
        count = E820_ENTRIES_MAX;
    zero_page[E820_ENTRIES] = (uint8_t)count;
    for (unsigned i = 0; i < count; i++) {
        const struct boot_range *range = &layout->ranges[i];
        uint8_t *entry = zero_page + E820_TABLE + i * E820_ENTRY_BYTES;

        /* enum boot_range_kind has the numbers of the e820 types. */
        put_le64(entry, range->base.value);
        put_le64(entry + 8, range->size);
        put_le32(entry + 16, range->kind);
    }
}

/* boot.rst: "the range with setup_header.init_size from the load address, the zero page and the
 * command line must be identity mapped": 4 GiB of 2 MiB pages cover all of them. */
static void write_page_tables(uint8_t *tables, uint64_t base)
{
    uint8_t *pdpt = tables + GUEST_PAGE_SIZE;
    uint8_t *directories = tables + 2 * GUEST_PAGE_SIZE;

    memset(tables, 0, 2 * GUEST_PAGE_SIZE);
    put_le64(tables, (base + GUEST_PAGE_SIZE) | PTE_PRESENT_WRITABLE);
    for (uint64_t i = 0; i < PAGE_DIRECTORIES; i++)
        put_le64(pdpt + i * 8, (base + (2 + i) * GUEST_PAGE_SIZE) | PTE_PRESENT_WRITABLE);
    for (uint64_t i = 0; i < PAGE_DIRECTORIES * TABLE_ENTRIES; i++)
        put_le64(directories + i * 8, i * LARGE_PAGE_BYTES | PDE_LARGE | PTE_PRESENT_WRITABLE);
}

/* Flat segments at the selectors that the protocol fixes (Intel SDM vol. 3, section 3.4.5). */
static void write_gdt(uint8_t *gdt)
{
    memset(gdt, 0, 64);
    put_le64(gdt + 0x10, 0x00af9b000000ffffull); /* __BOOT_CS: 64-bit code, execute/read */
    put_le64(gdt + 0x18, 0x00cf93000000ffffull); /* __BOOT_DS: data, read/write */
    put_le64(gdt + 0x20, 0x008f8b000000ffffull); /* a busy TSS, which VM entry wants in TR */
}

int boot_setup_linux64(struct guest_memory *memory, const struct boot_layout *layout,
                       const struct boot_kernel *kernel, const struct boot_handover *handover)
{
    uint8_t *zero_page = guest_memory_at(memory, layout->boot_info, ZERO_PAGE_BYTES);
    uint8_t *tables =
        guest_memory_at(memory, layout->page_tables, (2 + PAGE_DIRECTORIES) * GUEST_PAGE_SIZE);
    uint8_t *gdt = guest_memory_at(memory, layout->gdt, 64);

    if (!zero_page || !tables || !gdt)
        return -EFAULT;
    write_zero_page(zero_page, layout, kernel, handover);
    write_page_tables(tables, layout->page_tables.value);
    write_gdt(gdt);
    return 0;
}
