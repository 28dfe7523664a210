// SPDX-License-Identifier: Apache-2.0
/* Places for BARs: devices/pci/assign.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/checked.h"
#include "devices/pci/assign.h"

static const struct pci_window window = {0x10000, 0x10000};

static void test_holds(void **state)
{
    assert_true(pci_window_holds(&window, 0x10000, 0x10000));
    assert_true(pci_window_holds(&window, 0x1f000, 0x1000));
    assert_false(pci_window_holds(&window, 0xf000, 0x2000));
    assert_false(pci_window_holds(&window, 0x1f000, 0x2000));
    assert_false(pci_window_holds(&window, 0x20000, 0x1000));
    assert_false(pci_window_holds(&window, UINT64_MAX - 0xfff, 0x1000));
    assert_false(pci_window_holds(&window, 0x18000, UINT64_MAX));
}

static void test_lowest_free(void **state)
{
    const struct pci_window taken[] = {
        {0x14000, 0x1000}, {0x10000, 0x1000}, {0x12000, 0x2000}, {0x90000, 0x1000}, {0x8000, 0}};
    uint64_t base;

    assert_true(pci_window_assign(&window, 0x1000, taken, ARRAY_SIZE(taken), &base));
    assert_int_equal(base, 0x11000);
    assert_true(pci_window_assign(&window, 0x2000, taken, ARRAY_SIZE(taken), &base));
    assert_int_equal(base, 0x16000);
    assert_true(pci_window_assign(&window, 0x8000, taken, ARRAY_SIZE(taken), &base));
    assert_int_equal(base, 0x18000);
    assert_false(pci_window_assign(&window, 0x10000, taken, ARRAY_SIZE(taken), &base));
    assert_true(pci_window_assign(&window, 0x10000, taken, 0, &base));
    assert_int_equal(base, 0x10000);
}

static void test_impossible(void **state)
{
    const struct pci_window none = {0}, top = {UINT64_MAX - 0xfff, 0x1000};
    const struct pci_window all = {0, UINT64_MAX};
    uint64_t base;

    assert_false(pci_window_assign(&none, 0x1000, NULL, 0, &base));
    assert_false(pci_window_assign(&window, 0x20000, NULL, 0, &base));
    assert_false(pci_window_assign(&top, 0x2000, NULL, 0, &base));
    assert_false(pci_window_assign(&window, 0x1000, &all, 1, &base));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_lowest_free),
        cmocka_unit_test(test_impossible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
