// SPDX-License-Identifier: Apache-2.0
/* BARs of a passed-through device: devices/vfio/bars.c, and the info behind them (info.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/harness/vfio_fixture.h"

static struct vfio_fixture f;

static int setup(void **state)
{
    vfio_fixture_init(&f);
    assert_int_equal(vfio_fixture_iommu(&f, VFIO_CONTAINER, NULL), 0);
    return 0;
}

static int teardown(void **state)
{
    assert_int_equal(vfio_fixture_release(&f), 0);
    return 0;
}

static void plug(void)
{
    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, NULL), 0);
}

static void refuses(int code, const char *why)
{
    struct husk_error err = {0};

    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, &err), -code);
    assert_non_null(strstr(err.why, why));
}

/* What the device has at an offset of a BAR. */
static uint32_t in_device(unsigned bar, uint64_t offset)
{
    uint8_t bytes[4];

    assert_int_equal(
        pread(f.fake.device_file, bytes, 4, (off_t)(f.fake.regions[bar].offset + offset)), 4);
    return get_le32(bytes);
}

static uint64_t size_of_bar(unsigned bar)
{
    unsigned at = PCI_BASE_ADDRESS_0 + 4 * bar;
    uint32_t before = vfio_config_get(&f, at, 4), mask;

    vfio_config_set(&f, at, 4, 0xffffffff);
    mask = vfio_config_get(&f, at, 4) & (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
    vfio_config_set(&f, at, 4, before);
    return (uint32_t)(~mask + 1);
}

static void test_mapped(void **state)
{
    uint64_t at;
    unsigned accesses;

    plug();
    at = vfio_bar_address(&f, 0);
    assert_int_equal(size_of_bar(0), 0x10000);
    assert_int_equal(f.fake.maps, 4); /* none twice; BAR 3 is cut in two */
    assert_non_null(vfio_slot_at(&f, at));
    assert_int_equal(vfio_slot_at(&f, at)->size, 0x10000);
    accesses = f.fake.bar_writes + f.fake.bar_reads;
    vfio_memory_set(&f, at + 0x123c, 4, 0xabcd0123);
    assert_int_equal(in_device(0, 0x123c), 0xabcd0123);
    assert_int_equal(f.fake.bar_writes + f.fake.bar_reads, accesses);
}

/* All but the pages of the table and of the pending bits. */
static void test_table_is_cut_out(void **state)
{
    uint64_t at;

    plug();
    at = vfio_bar_address(&f, 3);
    assert_int_equal(vfio_slot_at(&f, at)->size, 0x2000);
    assert_null(vfio_slot_at(&f, at + 0x2000));
    assert_null(vfio_slot_at(&f, at + 0x3fff));
    assert_int_equal(vfio_slot_at(&f, at + 0x4000)->gpa, at + 0x4000);
    assert_int_equal(vfio_slot_at(&f, at + 0x4000)->size, 0x4000);
    /* The rest of those pages is the device's. */
    vfio_memory_set(&f, at + 0x2800, 4, 0x1234);
    assert_int_equal(in_device(3, 0x2800), 0x1234);
    assert_int_equal(vfio_memory_get(&f, at + 0x2800, 4), 0x1234);
    for (unsigned size = 1; size <= 8; size *= 2) {
        vfio_memory_set(&f, at + 0x2900, size, 0x1122334455667788);
        assert_int_equal(vfio_memory_get(&f, at + 0x2900, size),
                         0x1122334455667788 & (UINT64_MAX >> (64 - 8 * size)));
    }
}

static void test_less_than_a_page(void **state)
{
    uint64_t at;

    plug();
    at = vfio_bar_address(&f, 2);
    assert_int_equal(size_of_bar(2), 0x1000);
    assert_int_equal(at & 0xfff, 0);
    assert_int_equal(vfio_slot_at(&f, at)->size, 0x1000);
}

/* The same, where the page has another device in it and cannot be mapped. */
static void test_less_than_a_page_unmapped(void **state)
{
    uint64_t at;

    f.fake.regions[2].flags &= ~(uint32_t)VFIO_REGION_INFO_FLAG_MMAP;
    plug();
    at = vfio_bar_address(&f, 2);
    assert_null(vfio_slot_at(&f, at));
    vfio_memory_set(&f, at + 0xfc, 4, 0x5555);
    assert_int_equal(in_device(2, 0xfc), 0x5555);
    vfio_memory_set(&f, at + 0x100, 4, 0x6666); /* behind what it has */
    assert_int_equal(in_device(2, 0x100), 0);
    assert_int_equal(vfio_memory_get(&f, at + 0x100, 4), 0xffffffff);
    assert_int_equal(vfio_memory_get(&f, at + 0xfc, 8), UINT64_MAX); /* half of it */
}

static void test_move(void **state)
{
    const uint64_t to = FIXTURE_HIGH + 0x100000;
    uint64_t from;

    plug();
    from = vfio_bar_address(&f, 0);
    /* Between the two writes it is nowhere: neither half is an address of a window with the other.
     */
    vfio_config_set(&f, PCI_BASE_ADDRESS_0, 4, (uint32_t)to);
    assert_null(vfio_slot_at(&f, from));
    vfio_config_set(&f, PCI_BASE_ADDRESS_1, 4, (uint32_t)(to >> 32));
    assert_non_null(vfio_slot_at(&f, to));
    vfio_memory_set(&f, to, 4, 77);
    assert_int_equal(in_device(0, 0), 77);
}

static void test_decoding_off(void **state)
{
    plug();
    assert_int_equal(vfio_slots_used(&f), 4);
    vfio_config_set(&f, PCI_COMMAND, 2, 0);
    assert_int_equal(vfio_slots_used(&f), 0);
    assert_int_equal(vfio_memory_get(&f, vfio_bar_address(&f, 0), 4), 0xffffffff);
    vfio_config_set(&f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(vfio_slots_used(&f), 4);
}

static void test_overlapping_bars(void **state)
{
    uint64_t at;

    plug();
    at = vfio_bar_address(&f, 3);
    vfio_config_set(&f, PCI_BASE_ADDRESS_2, 4, (uint32_t)at);
    assert_null(vfio_slot_at(&f, at));
    vfio_config_set(&f, PCI_BASE_ADDRESS_2, 4, (uint32_t)at + 0x8000);
    assert_non_null(vfio_slot_at(&f, at));
    assert_non_null(vfio_slot_at(&f, at + 0x8000));
}

/* Slow, but right. */
static void test_no_slot_left(void **state)
{
    uint64_t at;

    f.slots_left = 0;
    plug();
    at = vfio_bar_address(&f, 0);
    assert_null(vfio_slot_at(&f, at));
    vfio_memory_set(&f, at + 8, 4, 99);
    assert_int_equal(in_device(0, 8), 99);
    assert_int_equal(vfio_memory_get(&f, at + 8, 4), 99);
    assert_true(f.around.log_lines > 0);
}

static void test_sparse(void **state)
{
    const struct fake_range areas[] = {{0x1000, 0x2000}, {0x8000, 0x1000}, {0x9000, 0}};
    uint64_t at;

    fake_vfio_sparse(&f.fake.regions[0], areas, 3);
    plug();
    at = vfio_bar_address(&f, 0);
    assert_null(vfio_slot_at(&f, at));
    assert_int_equal(vfio_slot_at(&f, at + 0x1000)->size, 0x2000);
    assert_null(vfio_slot_at(&f, at + 0x3000));
    assert_int_equal(vfio_slot_at(&f, at + 0x8fff)->size, 0x1000);
    assert_null(vfio_slot_at(&f, at + 0x9000));
    vfio_memory_set(&f, at + 0x9000, 4, 3);
    assert_int_equal(in_device(0, 0x9000), 3);
}

static void test_sparse_around_the_table(void **state)
{
    const struct fake_range areas[] = {{0x1000, 0x3000}};
    uint64_t at;

    fake_vfio_sparse(&f.fake.regions[3], areas, 1);
    plug();
    at = vfio_bar_address(&f, 3);
    assert_int_equal(vfio_slot_at(&f, at + 0x1000)->size, 0x1000);
    assert_null(vfio_slot_at(&f, at + 0x2000));
    assert_null(vfio_slot_at(&f, at + 0x3000));
}

static void test_sparse_nonsense(void **state)
{
    static const struct fake_range wrong[] = {{0x1000, 0x10000},
                                              {0x800, 0x1000},
                                              {0x1000, 0x800},
                                              {UINT64_MAX - 0xfff, 0x1000},
                                              {0x1000, UINT64_MAX - 0xfff}};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        fake_vfio_no_caps(&f.fake.regions[0]);
        fake_vfio_sparse(&f.fake.regions[0], &wrong[i], 1);
        refuses(EPROTO, "BAR 0");
    }
}

static struct vfio_region_info_cap_sparse_mmap *sparse_cap(void)
{
    const struct fake_range area = {0x1000, 0x1000};

    fake_vfio_no_caps(&f.fake.regions[0]);
    fake_vfio_sparse(&f.fake.regions[0], &area, 1);
    return (void *)f.fake.regions[0].caps;
}

static void test_info_nonsense(void **state)
{
    sparse_cap()->nr_areas = UINT32_MAX;
    refuses(EPROTO, "BAR 0");
    sparse_cap()->nr_areas = 2; /* one is there */
    refuses(EPROTO, "BAR 0");
    sparse_cap()->header.next =
        sizeof(struct vfio_region_info); /* a loop, for who looks for another */
    refuses(EPROTO, "BAR 0");
    sparse_cap()->header.next = UINT32_MAX;
    refuses(EPROTO, "BAR 0");
    f.fake.regions[0].caps_bytes = 4; /* less than a header */
    refuses(EPROTO, "BAR 0");
}

static void test_sizes_that_cannot_be(void **state)
{
    fake_vfio_no_caps(&f.fake.regions[0]);
    f.fake.regions[0].size = 0x3000;
    refuses(EPROTO, "BAR 0");
    f.fake.regions[0].size = 1ull << 60;
    refuses(EPROTO, "BAR 0");
    f.fake.regions[0].size = UINT64_MAX;
    refuses(EPROTO, "BAR 0");
    f.fake.regions[0].size = 0x1000;
    f.fake.regions[2].size = 1ull << 32; /* of 32 bits */
    refuses(EPROTO, "BAR 2");
    f.fake.regions[2].size = 0x1000;
    put_le32(f.fake.config + PCI_BASE_ADDRESS_5, PCI_BASE_ADDRESS_MEM_TYPE_64);
    f.fake.regions[5].size = 0x1000;
    refuses(EPROTO, "BAR 5");
}

static void test_too_big_for_the_bus(void **state)
{
    f.fake.regions[2].size = 0x4000000;
    refuses(ENOSPC, "65568 KiB below 4 GiB");
}

/* Registers that share pages with the table: it moves behind them, and they are mapped. */
static void test_table_moves(void **state)
{
    uint64_t at;

    put_le32(f.fake.config + FAKE_AT_MSIX + PCI_MSIX_TABLE, 0x2100 | 3);
    plug();
    at = vfio_bar_address(&f, 3);
    assert_int_equal(size_of_bar(3), 0x10000);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_MSIX + PCI_MSIX_TABLE, 4), 0x8000 | 3);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_MSIX + PCI_MSIX_PBA, 4), 0x9000 | 3);
    assert_int_equal(vfio_slot_at(&f, at)->size, 0x8000);
    assert_null(vfio_slot_at(&f, at + 0x8000));
    vfio_memory_set(&f, at + 0x8000, 4, 0xfee00000);
    assert_int_equal(vfio_memory_get(&f, at + 0x8000, 4), 0xfee00000);
    assert_int_equal(vfio_memory_get(&f, at + 0x9000, 4), 0);
    assert_int_equal(vfio_memory_get(&f, at + 0xa000, 4), 0xffffffff); /* nothing */
}

/* Where the kernel does not map the table's page anyway, nothing is won. */
static void test_table_stays(void **state)
{
    fake_vfio_no_caps(&f.fake.regions[3]);
    put_le32(f.fake.config + FAKE_AT_MSIX + PCI_MSIX_TABLE, 0x2100 | 3);
    plug();
    assert_int_equal(vfio_config_get(&f, FAKE_AT_MSIX + PCI_MSIX_TABLE, 4), 0x2100 | 3);
    assert_null(vfio_slot_at(&f, vfio_bar_address(&f, 3) + 0x2000));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_mapped),
        TEST(test_table_is_cut_out),
        TEST(test_less_than_a_page),
        TEST(test_less_than_a_page_unmapped),
        TEST(test_move),
        TEST(test_decoding_off),
        TEST(test_overlapping_bars),
        TEST(test_no_slot_left),
        TEST(test_sparse),
        TEST(test_sparse_around_the_table),
        TEST(test_sparse_nonsense),
        TEST(test_info_nonsense),
        TEST(test_sizes_that_cannot_be),
        TEST(test_too_big_for_the_bus),
        TEST(test_table_moves),
        TEST(test_table_stays),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
