// SPDX-License-Identifier: Apache-2.0
/* MSI-X: devices/pci/msix.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"
#include "devices/pci/msix.h"

#define VECTORS 70u
#define ENABLE  PCI_MSIX_FLAGS_ENABLE
#define MASKALL PCI_MSIX_FLAGS_MASKALL

static const struct pci_function_ops no_ops;

static struct test {
    struct pci_function function;
    struct msix *msix;
    int fds[VECTORS];
    unsigned given, taken, routed;
    int take_result, route_result;
    uint64_t address[VECTORS];
    uint32_t data[VECTORS];
} t;

static int take(void *arg, struct irq_line *out)
{
    if (t.take_result && t.taken == 3)
        return t.take_result;
    t.fds[t.taken] = eventfd_open();
    *out = (struct irq_line){.event_fd = t.fds[t.taken], .gsi = t.taken};
    t.taken++;
    return 0;
}

static int route(void *arg, const struct irq_line *line, uint64_t address, uint32_t data)
{
    t.routed++;
    t.address[line->gsi] = address;
    t.data[line->gsi] = data;
    return t.route_result;
}

static void give(void *arg, struct irq_line *line)
{
    t.given += line->event_fd >= 0;
    line->event_fd = -1;
}

static const struct msi_controller controller = {.take = take, .give = give, .route = route};

static int setup(void **state)
{
    const struct pci_identity identity = {.vendor = 1};

    memset(&t, 0, sizeof(t));
    pci_function_init(&t.function, &no_ops, "probe", &identity);
    t.function.config[PCI_COMMAND] = PCI_COMMAND_MASTER;
    assert_int_equal(msix_create(&t.function, &controller, VECTORS, 2, 0x1000, 0x2000, &t.msix), 0);
    return 0;
}

static int teardown(void **state)
{
    msix_destroy(t.msix);
    for (unsigned i = 0; i < t.taken; i++)
        close_fd(&t.fds[i]);
    return 0;
}

static void control(uint16_t value)
{
    unsigned offset = 0x40 + PCI_MSIX_FLAGS;
    uint8_t bytes[2];

    put_le16(bytes, value);
    pci_function_config_write(&t.function, offset, bytes, 2);
    msix_config_written(t.msix, offset, 2);
}

static void set(uint64_t offset, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    put_le64(bytes, value);
    msix_table_write(t.msix, offset, bytes, size);
}

static uint64_t get(uint64_t offset, unsigned size, bool pending)
{
    uint8_t bytes[8];

    memset(bytes, 0xff, sizeof(bytes));
    if (pending)
        msix_pba_read(t.msix, offset, bytes, size);
    else
        msix_table_read(t.msix, offset, bytes, size);
    return get_le_sized(bytes, size);
}

static void arm(unsigned vector)
{
    set(16 * vector, 8, 0xfee00000);
    set(16 * vector + 8, 4, 0x30 + vector);
    set(16 * vector + 12, 4, 0);
}

static bool raised(unsigned vector)
{
    return eventfd_drain(t.fds[vector]) > 0;
}

static void test_capability(void **state)
{
    const uint8_t *capability = t.function.config + 0x40;

    assert_int_equal(capability[0], PCI_CAP_ID_MSIX);
    assert_int_equal(get_le16(capability + PCI_MSIX_FLAGS), VECTORS - 1);
    assert_int_equal(get_le32(capability + PCI_MSIX_TABLE), 0x1002);
    assert_int_equal(get_le32(capability + PCI_MSIX_PBA), 0x2002);
    control(0xffff);
    assert_int_equal(get_le16(capability + PCI_MSIX_FLAGS), ENABLE | MASKALL | (VECTORS - 1));
}

static void test_delivery(void **state)
{
    arm(1);
    msix_raise(t.msix, 1);
    assert_false(raised(1)); /* disabled: forgotten */
    assert_int_equal(t.routed, 0);
    control(ENABLE);
    assert_true(msix_enabled(t.msix));
    assert_int_equal(t.routed, 1);
    assert_int_equal(t.address[1], 0xfee00000);
    assert_int_equal(t.data[1], 0x31);
    assert_false(raised(1));
    msix_raise(t.msix, 1);
    assert_true(raised(1));
    msix_raise(t.msix, VECTORS);
    msix_raise(t.msix, 0xffff);
    set(16 + 8, 4, 0x55); /* another message, while it is live */
    assert_int_equal(t.data[1], 0x55);
}

static void test_masks(void **state)
{
    arm(65);
    control(ENABLE);
    set(16 * 65 + 12, 4, 1);
    msix_raise(t.msix, 65);
    assert_false(raised(65));
    assert_int_equal(get(8, 8, true), 2);
    assert_int_equal(get(8, 4, true), 2);
    assert_int_equal(get(12, 4, true), 0);
    assert_int_equal(get(0, 8, true), 0);
    set(16 * 65 + 12, 4, 0);
    assert_true(raised(65));
    assert_int_equal(get(8, 8, true), 0);
    control(ENABLE | MASKALL);
    msix_raise(t.msix, 65);
    assert_false(raised(65));
    control(ENABLE);
    assert_true(raised(65));
    control(ENABLE | MASKALL);
    msix_raise(t.msix, 65);
    control(MASKALL); /* disabled: what was pending is forgotten */
    control(ENABLE);
    assert_false(raised(65));
}

/* 6.8.2: aligned, of 4 or 8 bytes. */
static void test_accesses(void **state)
{
    set(0, 8, 0x1122334455667789);
    assert_int_equal(get(0, 8, false), 0x1122334455667788);
    assert_int_equal(get(4, 4, false), 0x11223344);
    set(8, 8, UINT64_MAX);
    assert_int_equal(get(8, 8, false), 0x1ffffffff);
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned offset = 0; offset < 32; offset++) {
            if ((size < 4 || offset % size) && get(offset, size, false) != UINT64_MAX)
                assert_int_equal(get(offset, size, false), UINT64_MAX >> (64 - 8 * size));
            if (size < 4 || offset % size)
                set(offset, size, 0);
        }
    }
    assert_int_equal(get(0, 8, false), 0x1122334455667788);
    assert_int_equal(get(16 * VECTORS, 8, false), UINT64_MAX);
    assert_int_equal(get(16ull << 40, 8, false), UINT64_MAX);
    set(16 * VECTORS, 8, 0);
    assert_int_equal(get(16, 8, true), UINT64_MAX);
    assert_int_equal(get(0, 2, true), 0xffff);
    assert_int_equal(get(1ull << 60, 8, true), UINT64_MAX);
}

static void test_route_fails(void **state)
{
    t.route_result = -EINVAL;
    control(ENABLE);
    arm(0);
    msix_raise(t.msix, 0);
    assert_false(raised(0));
    assert_int_equal(get(0, 8, true), 1);
    t.route_result = 0;
    set(12, 4, 0);
    assert_true(raised(0));
}

static void test_impossible(void **state)
{
    struct msix *none;

    assert_int_equal(msix_create(&t.function, &controller, 0, 0, 0, 0, &none), -EINVAL);
    assert_int_equal(msix_create(&t.function, &controller, MSIX_VECTORS_MAX + 1, 0, 0, 0, &none),
                     -EINVAL);
    for (unsigned i = 0; i < t.taken; i++)
        close_fd(&t.fds[i]);
    t.taken = 0;
    t.take_result = -ENOSPC;
    assert_int_equal(msix_create(&t.function, &controller, 5, 0, 0, 0, &none), -ENOSPC);
    msix_destroy(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_capability), TEST(test_delivery),    TEST(test_masks),
        TEST(test_accesses),   TEST(test_route_fails), TEST(test_impossible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
