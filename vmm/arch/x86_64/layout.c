// SPDX-License-Identifier: Apache-2.0
/* The memory map for a given amount of memory: see layout.h for the picture. Pure functions. */
#include "vmm/arch/x86_64/layout.h"

#include <string.h>

#include "base/checked.h"
#include "vmm/arch/arch.h"

const uint64_t arch_memory_min_bytes = MEMORY_MIN_BYTES;
const uint64_t arch_memory_max_bytes = MEMORY_MAX_BYTES;
const unsigned arch_virtio_mmio_max = FREE_GSI_COUNT;
const unsigned arch_virtio_pci_max = PCI_VIRTIO_MAX;
const uint64_t arch_free_gsis = FREE_GSIS;

_Static_assert(__builtin_popcountll(FREE_GSIS) == FREE_GSI_COUNT, "one GSI for each device");
_Static_assert((FREE_GSIS >> PCI_FIRST_GSI & 0xf) == 0xf, "the pins of PCI are nobody else's");
_Static_assert(FREE_GSIS < 1ull << IOAPIC_PINS, "every free GSI is a pin of the IOAPIC");

gpa_t arch_virtio_mmio_window(unsigned n)
{
    return gpa(VIRTIO_MMIO_ADDRESS + (uint64_t)n * VIRTIO_MMIO_BYTES);
}

static void add_range(struct arch_layout *layout, uint64_t base, uint64_t end,
                      enum boot_range_kind kind)
{
    if (end > base)
        layout->ranges[layout->boot.range_count++] =
            (struct boot_range){.base = gpa(base), .size = end - base, .kind = kind};
}

void arch_layout_init(struct arch_layout *out, uint64_t memory_bytes)
{
    uint64_t low_bytes = min_u64(memory_bytes, HOLE_START);
    uint64_t high_bytes = memory_bytes - low_bytes;

    memset(out, 0, sizeof(*out));
    out->ram[out->ram_count++] = (struct guest_region_spec){.base = gpa(0), .size = low_bytes};
    out->address_end = low_bytes;
    if (high_bytes) {
        out->ram[out->ram_count++] =
            (struct guest_region_spec){.base = gpa(HOLE_END), .size = high_bytes};
        out->address_end = HOLE_END + high_bytes;
    }

    add_range(out, 0, LOW_RAM_END, BOOT_RANGE_RAM);
    add_range(out, ACPI_TABLES_ADDRESS, ACPI_TABLES_ADDRESS + ACPI_TABLES_BYTES, BOOT_RANGE_ACPI);
    add_range(out, KERNEL_MIN_ADDRESS, low_bytes, BOOT_RANGE_RAM);
    add_range(out, HOLE_END, HOLE_END + high_bytes, BOOT_RANGE_RAM);

    out->tables = gpa(ACPI_TABLES_ADDRESS);
    out->tables_bytes = ACPI_TABLES_BYTES;
    out->boot.ranges = out->ranges;
    out->boot.boot_info = gpa(BOOT_INFO_ADDRESS);
    out->boot.command_line = gpa(BOOT_COMMAND_LINE);
    out->boot.page_tables = gpa(BOOT_PAGE_TABLES_ADDRESS);
    out->boot.gdt = gpa(BOOT_GDT_ADDRESS);
    out->boot.kernel_min = gpa(KERNEL_MIN_ADDRESS);
    out->boot.initrd_limit = gpa(low_bytes);
}

void arch_layout_add_pci(struct arch_layout *layout, uint64_t address_end)
{
    uint64_t high, end;

    layout->pci = (struct arch_pci_layout){
        .ecam = PCI_ECAM_ADDRESS,
        .low_base = PCI_LOW_ADDRESS,
        .low_bytes = PCI_LOW_BYTES,
        .first_gsi = PCI_FIRST_GSI,
    };
    /* Without room above the RAM there is only the low window. */
    if (!checked_align_up(max_u64(layout->address_end, HOLE_END), PCI_HIGH_ALIGN, &high) ||
        !checked_add(high, PCI_HIGH_BYTES, &end) || end > address_end)
        return;
    layout->pci.high_base = high;
    layout->pci.high_bytes = PCI_HIGH_BYTES;
}
