// SPDX-License-Identifier: Apache-2.0
/* vmm/arch/x86_64/layout.c: RAM around the hole, and what the guest is told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/checked.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/layout.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static bool inside_ram(const struct arch_layout *layout, uint64_t base, uint64_t size)
{
    for (unsigned i = 0; i < layout->ram_count; i++) {
        if (base >= layout->ram[i].base.value &&
            base + size <= layout->ram[i].base.value + layout->ram[i].size)
            return true;
    }
    return false;
}

/* What holds for every amount of memory. */
static void check_layout(const struct arch_layout *layout, uint64_t memory_bytes)
{
    uint64_t sum = 0, end = 0;

    for (unsigned i = 0; i < layout->ram_count; i++) {
        sum += layout->ram[i].size;
        assert_true(is_aligned(layout->ram[i].base.value, GUEST_PAGE_SIZE));
        assert_true(layout->ram[i].base.value + layout->ram[i].size <= HOLE_START ||
                    layout->ram[i].base.value >= HOLE_END);
    }
    assert_int_equal(sum, memory_bytes);
    assert_ptr_equal(layout->boot.ranges, layout->ranges);
    for (unsigned i = 0; i < layout->boot.range_count; i++) {
        const struct boot_range *range = &layout->ranges[i];

        assert_true(range->size > 0);
        assert_true(i == 0 || range->base.value >= end);
        end = range->base.value + range->size;
        assert_true(inside_ram(layout, range->base.value, range->size));
    }
    assert_true(inside_ram(layout, layout->tables.value, layout->tables_bytes));
    assert_true(inside_ram(layout, layout->boot.boot_info.value, 8192));
    assert_true(inside_ram(layout, layout->boot.page_tables.value, 24576));
    assert_true(inside_ram(layout, layout->boot.command_line.value, 4096));
    assert_true(layout->boot.boot_info.value + 8192 <= layout->boot.page_tables.value);
    assert_true(layout->boot.page_tables.value + 24576 <= layout->boot.command_line.value);
    assert_true(layout->boot.gdt.value + 64 <= layout->boot.boot_info.value);
}

static void test_sizes(void **state)
{
    static const struct {
        uint64_t bytes, low, high;
    } cases[] = {
        {1 * MIB, 1 * MIB, 0},
        {128 * MIB, 128 * MIB, 0},
        {3 * GIB - 4096, 3 * GIB - 4096, 0},
        {3 * GIB, 3 * GIB, 0},
        {3 * GIB + 4096, 3 * GIB, 4096},
        {6 * GIB, 3 * GIB, 3 * GIB},
        {MEMORY_MAX_BYTES, 3 * GIB, MEMORY_MAX_BYTES - 3 * GIB},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct arch_layout layout;

        arch_layout_init(&layout, cases[i].bytes);
        check_layout(&layout, cases[i].bytes);
        assert_int_equal(layout.ram[0].base.value, 0);
        assert_int_equal(layout.ram[0].size, cases[i].low);
        assert_int_equal(layout.ram_count, cases[i].high ? 2 : 1);
        assert_int_equal(layout.boot.initrd_limit.value, cases[i].low);
        if (cases[i].high) {
            assert_int_equal(layout.ram[1].base.value, 4 * GIB);
            assert_int_equal(layout.ram[1].size, cases[i].high);
            assert_int_equal(layout.address_end, 4 * GIB + cases[i].high);
        } else {
            assert_int_equal(layout.address_end, cases[i].low);
        }
    }
}

static void test_virtio_windows(void **state)
{
    assert_int_equal(arch_virtio_mmio_window(0).value, 0xd0000000);
    assert_int_equal(arch_virtio_mmio_window(3).value, 0xd0003000);
    assert_true(arch_virtio_mmio_window(arch_virtio_mmio_max).value < IOAPIC_ADDRESS);
    /* Nobody's by custom: not COM1, RTC or ACPI. */
    assert_int_equal(arch_free_gsis & (1u << 4 | 1u << 8 | 1u << 9), 0);
}

static void test_pci(void **state)
{
    struct arch_layout layout;

    arch_layout_init(&layout, 8 * GIB);
    assert_int_equal(layout.pci.ecam, 0);
    arch_layout_add_pci(&layout, 1ull << 39);
    assert_true(layout.pci.ecam >= 3 * GIB);
    assert_true(layout.pci.low_base + layout.pci.low_bytes <= IOAPIC_ADDRESS);
    assert_true(layout.pci.high_base >= layout.address_end);
    assert_true(layout.pci.high_bytes > 0);
    arch_layout_add_pci(&layout, 1ull << 36); /* no room above */
    assert_int_equal(layout.pci.high_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_virtio_windows),
        cmocka_unit_test(test_pci),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
