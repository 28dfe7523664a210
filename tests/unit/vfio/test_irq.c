// SPDX-License-Identifier: Apache-2.0
/* Interrupts of a passed-through device: devices/vfio/irq.c, irq_msi.c, irq_msix.c, irq_intx.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "tests/harness/vfio_fixture.h"

#define INTX    VFIO_PCI_INTX_IRQ_INDEX
#define MSI     VFIO_PCI_MSI_IRQ_INDEX
#define MSIX    VFIO_PCI_MSIX_IRQ_INDEX
#define VECTORS 5u
#define ADDRESS 0xfee01000ull

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

/* ---- MSI-X ---- */

static uint64_t entry(unsigned vector)
{
    return vfio_bar_address(&f, 3) + 0x2000 + 16 * vector;
}

static uint64_t pending(void)
{
    return vfio_memory_get(&f, vfio_bar_address(&f, 3) + 0x3000, 8);
}

static void set_msix(uint16_t flags)
{
    vfio_config_set(&f, FAKE_AT_MSIX + PCI_MSIX_FLAGS, 2, flags);
}

static void set_mask(unsigned vector, bool masked)
{
    vfio_memory_set(&f, entry(vector) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, masked);
}

static void set_message(unsigned vector, uint32_t data)
{
    vfio_memory_set(&f, entry(vector), 8, ADDRESS);
    vfio_memory_set(&f, entry(vector) + PCI_MSIX_ENTRY_DATA, 4, data);
}

static void test_msix(void **state)
{
    const struct fixture_line *line;

    plug();
    set_message(1, 0x41);
    assert_int_equal(vfio_lines_taken(&f), 0);
    set_msix(PCI_MSIX_FLAGS_ENABLE);
    assert_true(f.fake.irqs[MSIX].on);
    assert_int_equal(f.fake.irqs[MSIX].allocated, 1); /* no more than it takes */
    assert_false(fake_vfio_interrupt(&f.fake, MSIX, 1));
    set_mask(1, false);
    assert_int_equal(vfio_lines_taken(&f), 1);
    line = vfio_line_of(&f, ADDRESS, 0x41);
    assert_non_null(line);
    assert_true(fake_vfio_interrupt(&f.fake, MSIX, 1));
    assert_int_equal(eventfd_drain(line->fd), 1);
    set_msix(0);
    assert_false(f.fake.irqs[MSIX].on);
    assert_int_equal(vfio_lines_taken(&f), 0);
}

static void test_msix_mask(void **state)
{
    const struct fixture_line *line;

    plug();
    set_msix(PCI_MSIX_FLAGS_ENABLE);
    set_message(2, 0x42);
    set_mask(2, false);
    line = vfio_line_of(&f, ADDRESS, 0x42);
    assert_non_null(line);
    assert_int_equal(pending(), 0);
    set_mask(2, true);
    assert_true(line->held);
    assert_true(fake_vfio_interrupt(&f.fake, MSIX, 2));
    assert_int_equal(pending(), 1u << 2);
    assert_int_equal(pending(), 1u << 2); /* looking takes nothing away */
    /* The message changes meanwhile, as when an interrupt moves to another processor. */
    set_message(2, 0x52);
    set_mask(2, false);
    assert_false(line->held);
    assert_int_equal(line->data, 0x52);
    assert_int_equal(pending(), 0);
    assert_int_equal(eventfd_drain(line->fd), 1);
}

static void test_msix_function_mask(void **state)
{
    plug();
    set_msix(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    set_message(0, 0x40);
    set_mask(0, false);
    assert_int_equal(vfio_lines_taken(&f), 0);
    set_msix(PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(vfio_lines_taken(&f), 1);
    set_msix(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    assert_true(vfio_line_of(&f, ADDRESS, 0x40)->held);
}

/* A kernel that can add no vectors later is asked for all of them at once. */
static void test_msix_without_resize(void **state)
{
    f.fake.irqs[MSIX].flags |= VFIO_IRQ_INFO_NORESIZE;
    plug();
    set_msix(PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(f.fake.irqs[MSIX].allocated, VECTORS);
    for (unsigned i = 0; i < VECTORS; i++) {
        set_message(i, 0x40 + i);
        set_mask(i, false);
        assert_true(fake_vfio_interrupt(&f.fake, MSIX, i));
    }
}

static void test_msix_with_fewer_vectors(void **state)
{
    f.fake.irqs[MSIX].flags |= VFIO_IRQ_INFO_NORESIZE;
    f.fake.irqs[MSIX].room = 2;
    plug();
    set_msix(PCI_MSIX_FLAGS_ENABLE);
    assert_true(f.fake.irqs[MSIX].on);
    set_mask(1, false);
    set_mask(2, false);
    assert_true(fake_vfio_interrupt(&f.fake, MSIX, 1));
    assert_false(fake_vfio_interrupt(&f.fake, MSIX, 2));
    assert_true(f.around.log_lines > 0);
}

/* Aligned accesses of 4 or 8 bytes; what is reserved stays 0. */
static void test_msix_accesses(void **state)
{
    uint64_t at, pba;

    plug();
    at = entry(0);
    pba = vfio_bar_address(&f, 3) + 0x3000;
    vfio_memory_set(&f, at, 8, UINT64_MAX);
    assert_int_equal(vfio_memory_get(&f, at, 8), UINT64_MAX - 3);
    vfio_memory_set(&f, at + 8, 8, UINT64_MAX);
    assert_int_equal(vfio_memory_get(&f, at + 8, 8), 0x1ffffffff);
    vfio_memory_set(&f, at, 8, 0);
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (unsigned offset = 0; offset < 8; offset++) {
            bool good = (size == 4 && offset % 4 == 0) || (size == 8 && offset == 0);

            vfio_memory_set(&f, at + offset, size, 0xfcfcfcfcfcfcfcfc);
            assert_int_equal(vfio_memory_get(&f, at, 8) != 0, good);
            vfio_memory_set(&f, at, 8, 0);
            if (!good)
                assert_int_equal(vfio_memory_get(&f, at + offset, size),
                                 UINT64_MAX >> (64 - 8 * size));
        }
    }
    /* Over the table's end, and over its beginning. */
    vfio_memory_set(&f, entry(VECTORS) - 4, 8, 0);
    assert_int_equal(vfio_memory_get(&f, entry(VECTORS) - 4, 4), 1);
    vfio_memory_set(&f, pba, 8, UINT64_MAX);
    assert_int_equal(vfio_memory_get(&f, pba, 4), 0);
    assert_int_equal(vfio_memory_get(&f, pba + 4, 4), 0);
    assert_int_equal(vfio_memory_get(&f, pba + 4, 8), UINT64_MAX);
    assert_int_equal(f.fake.bar_writes + f.fake.bar_reads, 0);
}

static void test_msix_without_lines(void **state)
{
    plug();
    for (unsigned i = 0; i < FIXTURE_LINES; i++)
        f.lines[i].fd = 1000;
    set_msix(PCI_MSIX_FLAGS_ENABLE);
    set_mask(0, false);
    assert_false(fake_vfio_interrupt(&f.fake, MSIX, 0));
    assert_true(f.around.log_lines > 0);
    for (unsigned i = 0; i < FIXTURE_LINES; i++)
        f.lines[i].fd = -1;
    set_mask(0, false); /* now there are some */
    assert_true(fake_vfio_interrupt(&f.fake, MSIX, 0));
}

static void msix_nonsense(unsigned flags, uint32_t table, uint32_t pba)
{
    struct husk_error err = {0};

    put_le16(f.fake.config + FAKE_AT_MSIX + PCI_MSIX_FLAGS, (uint16_t)flags);
    put_le32(f.fake.config + FAKE_AT_MSIX + PCI_MSIX_TABLE, table);
    put_le32(f.fake.config + FAKE_AT_MSIX + PCI_MSIX_PBA, pba);
    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, &err), -EPROTO);
    assert_non_null(strstr(err.why, "MSI-X"));
}

static void test_msix_nonsense(void **state)
{
    msix_nonsense(4, 0x2000 | 6, 0x3000 | 3);     /* no such BAR */
    msix_nonsense(4, 0x2000 | 4, 0x3000 | 3);     /* of ports */
    msix_nonsense(4, 0x7ff8 | 3, 0x3000 | 3);     /* over its end */
    msix_nonsense(4, 0xfffffff8 | 3, 0x3000 | 3); /* beyond it */
    msix_nonsense(4, 0x2000 | 3, 0x8000 | 3);     /* likewise */
    msix_nonsense(4, 0x2000 | 3, 0x2040 | 3);     /* in the table */
    msix_nonsense(0x7ff, 0x2000 | 3, 0x3000 | 3); /* more than the kernel knows */
}

/* ---- MSI ---- */

static void set_msi(unsigned vectors_log2, bool on)
{
    vfio_config_set(&f, FAKE_AT_MSI + PCI_MSI_ADDRESS_LO, 4, (uint32_t)ADDRESS);
    vfio_config_set(&f, FAKE_AT_MSI + PCI_MSI_DATA_64, 2, 0x67);
    vfio_config_set(&f, FAKE_AT_MSI + PCI_MSI_FLAGS, 2, vectors_log2 << 4 | on);
}

static void test_msi(void **state)
{
    plug();
    set_msi(2, true);
    assert_true(f.fake.irqs[MSI].on);
    assert_int_equal(vfio_lines_taken(&f), 4);
    for (unsigned i = 0; i < 4; i++) {
        const struct fixture_line *line = vfio_line_of(&f, ADDRESS, 0x64 + i);

        assert_non_null(line);
        assert_true(fake_vfio_interrupt(&f.fake, MSI, i));
        assert_int_equal(eventfd_drain(line->fd), 1);
    }
    /* Another message while it is on. */
    vfio_config_set(&f, FAKE_AT_MSI + PCI_MSI_DATA_64, 2, 0x78);
    assert_non_null(vfio_line_of(&f, ADDRESS, 0x7b));
    set_msi(2, false);
    assert_false(f.fake.irqs[MSI].on);
    assert_int_equal(vfio_lines_taken(&f), 0);
}

static void test_msi_mask(void **state)
{
    plug();
    vfio_config_set(&f, FAKE_AT_MSI + PCI_MSI_MASK_64, 4, 0xffffffff);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_MSI + PCI_MSI_MASK_64, 4), 0xff);
    set_msi(1, true);
    assert_true(fake_vfio_interrupt(&f.fake, MSI, 1));
    assert_int_equal(vfio_config_get(&f, FAKE_AT_MSI + PCI_MSI_MASK_64 + 4, 4), 2);
    vfio_config_set(&f, FAKE_AT_MSI + PCI_MSI_MASK_64, 4, 0);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_MSI + PCI_MSI_MASK_64 + 4, 4), 0);
    assert_false(vfio_line_of(&f, ADDRESS, 0x67)->held);
    assert_int_equal(eventfd_drain(vfio_line_of(&f, ADDRESS, 0x67)->fd), 1);
}

static void test_msi_with_too_many_asked_for(void **state)
{
    plug();
    set_msi(5, true); /* 32 of 8 */
    assert_int_equal(vfio_lines_taken(&f), 8);
}

static void test_msi_nonsense(void **state)
{
    struct husk_error err = {0};

    put_le16(f.fake.config + FAKE_AT_MSI + PCI_MSI_FLAGS, 7 << 1);
    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, &err), -EPROTO);
    assert_non_null(strstr(err.why, "MSI"));
}

/* ---- the pin, and which is on ---- */

static void test_pin(void **state)
{
    plug();
    assert_true(f.fake.irqs[INTX].on);
    assert_int_equal(f.pins_taken, 1);
    assert_int_equal(f.pin.gsi, FIXTURE_FIRST_GSI + 1); /* device 1 */
    assert_int_equal(f.fake.irqs[INTX].fds[0], f.pin.trigger_fd);
    assert_int_equal(f.fake.irqs[INTX].unmask_fd, f.pin.resample_fd);
}

static void test_one_kind_at_a_time(void **state)
{
    plug();
    set_msi(0, true);
    assert_false(f.fake.irqs[INTX].on);
    assert_int_equal(f.pins_taken, 0);
    set_msix(PCI_MSIX_FLAGS_ENABLE);
    assert_false(f.fake.irqs[MSI].on);
    assert_true(f.fake.irqs[MSIX].on);
    set_msix(0);
    assert_true(f.fake.irqs[MSI].on); /* the guest still has that on */
    set_msi(0, false);
    assert_true(f.fake.irqs[INTX].on);
    assert_int_equal(f.pins_taken, 1);
}

static void test_no_pin(void **state)
{
    f.fake.config[PCI_INTERRUPT_PIN] = 0;
    plug();
    assert_int_equal(vfio_config_get(&f, PCI_INTERRUPT_PIN, 1), 0);
    assert_int_equal(f.pins_taken, 0);
    vfio_fixture_unplug(&f);
    f.fake.config[PCI_INTERRUPT_PIN] = 1;
    f.env.levels = NULL; /* a bus without pins */
    plug();
    assert_int_equal(vfio_config_get(&f, PCI_INTERRUPT_PIN, 1), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_msix),
        TEST(test_msix_mask),
        TEST(test_msix_function_mask),
        TEST(test_msix_without_resize),
        TEST(test_msix_with_fewer_vectors),
        TEST(test_msix_accesses),
        TEST(test_msix_without_lines),
        TEST(test_msix_nonsense),
        TEST(test_msi),
        TEST(test_msi_mask),
        TEST(test_msi_with_too_many_asked_for),
        TEST(test_msi_nonsense),
        TEST(test_pin),
        TEST(test_one_kind_at_a_time),
        TEST(test_no_pin),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
