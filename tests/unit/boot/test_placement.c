// SPDX-License-Identifier: Apache-2.0
/* boot/placement.c: claims stay inside RAM and apart; the two searches. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "boot/internal.h"
#include "tests/harness/boot_fixture.h"

#define MEMORY_BYTES (4u << 20)
#define PAGE         0x1000u

static struct boot_fixture fixture;

static int setup(void **state)
{
    static struct boot_placement placement;

    boot_fixture_setup(&fixture, MEMORY_BYTES, GUEST_MEMORY_PRIVATE);
    boot_placement_init(&placement, fixture.memory, &fixture.options.layout);
    *state = &placement;
    return 0;
}

static int teardown(void **state)
{
    boot_fixture_teardown(&fixture);
    return 0;
}

static void test_claims_inside_ram(void **state)
{
    struct boot_placement *placement = *state;

    assert_int_equal(boot_placement_claim(placement, 0, 0xa0000), 0);
    assert_int_equal(boot_placement_claim(placement, MEMORY_BYTES - 1, 1), 0);
    assert_int_equal(boot_placement_claim(placement, 0xa0000, 1), -EFAULT);
    assert_int_equal(boot_placement_claim(placement, 0xe0000, PAGE), -EFAULT);
    assert_int_equal(boot_placement_claim(placement, 0xfffff, 2), -EFAULT);
    assert_int_equal(boot_placement_claim(placement, MEMORY_BYTES - PAGE, PAGE + 1), -EFAULT);
    assert_int_equal(boot_placement_claim(placement, UINT64_MAX, 2), -EFAULT);
    assert_int_equal(boot_placement_claim(placement, 0x100000, 0), -EFAULT);
}

/* A range of the map that promises more than there is does not lead outside. */
static void test_map_larger_than_memory(void **state)
{
    struct boot_placement *placement = *state;
    uint64_t base;

    fixture.ranges[2].size = 1ull << 40;
    assert_int_equal(boot_placement_claim(placement, MEMORY_BYTES, PAGE), -EFAULT);
    assert_false(boot_placement_lowest(placement, MEMORY_BYTES, PAGE, PAGE, &base));
    fixture.ranges[2].size = UINT64_MAX;
    assert_int_equal(boot_placement_claim(placement, 0x100000, PAGE), -EFAULT);
}

static void test_overlaps(void **state)
{
    struct boot_placement *placement = *state;

    assert_int_equal(boot_placement_claim(placement, 0x2000, 0x2000), 0);
    assert_int_equal(boot_placement_claim(placement, 0x3fff, 1), -EBUSY);
    assert_int_equal(boot_placement_claim(placement, 0x1000, 0x1001), -EBUSY);
    assert_int_equal(boot_placement_claim(placement, 0x1000, 0x4000), -EBUSY);
    assert_int_equal(boot_placement_claim(placement, 0x2800, 0x10), -EBUSY);
    assert_int_equal(boot_placement_claim(placement, 0x1000, 0x1000), 0);
    assert_int_equal(boot_placement_claim(placement, 0x4000, 0x1000), 0);
    assert_int_equal(boot_placement_end(placement), 0x5000);
    assert_int_equal(boot_placement_ram_end(placement), MEMORY_BYTES);
}

static void test_too_many(void **state)
{
    struct boot_placement *placement = *state;

    for (unsigned i = 0; i < BOOT_CLAIMS_MAX; i++)
        assert_int_equal(boot_placement_claim(placement, i * 16, 16), 0);
    assert_int_equal(boot_placement_claim(placement, 0x90000, 16), -ENOSPC);
}

static void test_lowest(void **state)
{
    struct boot_placement *placement = *state;
    uint64_t base;

    assert_true(boot_placement_lowest(placement, 1, PAGE, PAGE, &base));
    assert_int_equal(base, PAGE);
    assert_int_equal(boot_placement_claim(placement, 0x1800, 0x1000), 0);
    assert_true(boot_placement_lowest(placement, 1, PAGE, PAGE, &base));
    assert_int_equal(base, 0x3000);
    /* over the hole, then behind what is taken there */
    assert_int_equal(boot_placement_claim(placement, 0x100000, 1), 0);
    assert_true(boot_placement_lowest(placement, 1, 0x10000, 0xa0000, &base));
    assert_int_equal(base, 0x110000);
    assert_false(boot_placement_lowest(placement, 1, PAGE, MEMORY_BYTES, &base));
    assert_false(boot_placement_lowest(placement, UINT64_MAX, PAGE, PAGE, &base));
    assert_false(boot_placement_lowest(placement, 0, PAGE, UINT64_MAX, &base));
}

static void test_highest(void **state)
{
    struct boot_placement *placement = *state;
    uint64_t base;

    assert_true(boot_placement_highest(placement, UINT64_MAX, PAGE, 1, &base));
    assert_int_equal(base, MEMORY_BYTES - PAGE);
    assert_true(boot_placement_highest(placement, MEMORY_BYTES - 1, PAGE, PAGE, &base));
    assert_int_equal(base, MEMORY_BYTES - 2 * PAGE);
    assert_int_equal(boot_placement_claim(placement, MEMORY_BYTES - 0x5800, 0x1000), 0);
    assert_true(boot_placement_highest(placement, MEMORY_BYTES, PAGE, 0x5000, &base));
    assert_int_equal(base, MEMORY_BYTES - 0xb000);
    /* nothing above the hole is free: below it */
    assert_int_equal(boot_placement_claim(placement, 0x110000, PAGE), 0);
    assert_true(boot_placement_highest(placement, 0x110000, PAGE, 0x20000, &base));
    assert_int_equal(base, 0x80000);
    assert_false(boot_placement_highest(placement, PAGE - 1, PAGE, PAGE, &base));
    assert_false(boot_placement_highest(placement, MEMORY_BYTES, PAGE, UINT64_MAX, &base));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claims_inside_ram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_map_larger_than_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overlaps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lowest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_highest, setup, teardown),
    };

    return cmocka_run_group_tests_name("boot/placement", tests, NULL, NULL);
}
