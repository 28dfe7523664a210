// SPDX-License-Identifier: Apache-2.0
/* Configuration space of a passed-through device: devices/vfio/config.c and capabilities.c. */
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
    assert_string_equal(err.where, "vfio 1");
    assert_non_null(strstr(err.why, why));
    assert_int_equal(f.fake.mapped_count, 0);
}

/* Where the guest finds a capability, or 0. */
static unsigned find(uint8_t id)
{
    unsigned at = vfio_config_get(&f, PCI_CAPABILITY_LIST, 1);

    for (unsigned left = 64; at && left; left--) {
        if (vfio_config_get(&f, at, 1) == id)
            return at;
        at = vfio_config_get(&f, at + 1, 1);
    }
    assert_int_equal(at, 0);
    return 0;
}

static unsigned find_extended(uint16_t id)
{
    unsigned at = 0x100;

    for (unsigned left = 1024; at && left; left--) {
        uint32_t header = vfio_config_get(&f, at, 4);

        if (header && PCI_EXT_CAP_ID(header) == id)
            return at;
        at = PCI_EXT_CAP_NEXT(header);
    }
    assert_int_equal(at, 0);
    return 0;
}

static void test_header(void **state)
{
    plug();
    assert_int_equal(vfio_config_get(&f, PCI_VENDOR_ID, 4), 0x10ca8086);
    assert_int_equal(vfio_config_get(&f, PCI_CLASS_REVISION, 4), 0x02000001);
    assert_int_equal(vfio_config_get(&f, PCI_HEADER_TYPE, 1), 0); /* one function */
    assert_int_equal(vfio_config_get(&f, PCI_INTERRUPT_PIN, 1), 1);
    assert_int_equal(vfio_config_get(&f, PCI_ROM_ADDRESS, 4), 0);
    vfio_config_set(&f, PCI_ROM_ADDRESS, 4, 0xffffffff);
    assert_int_equal(vfio_config_get(&f, PCI_ROM_ADDRESS, 4), 0);
    assert_int_equal(vfio_config_get(&f, PCI_BASE_ADDRESS_4, 4), 0); /* ports */
    assert_int_equal(vfio_config_get(&f, PCI_BASE_ADDRESS_0, 4) & 0xf,
                     PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
}

/* Decoding stays on at the device whatever the guest says; the rest of its command goes there. */
static void test_command(void **state)
{
    plug();
    assert_int_equal(get_le16(f.fake.config + PCI_COMMAND), PCI_COMMAND_MEMORY);
    vfio_config_set(&f, PCI_COMMAND, 2, 0xffff);
    assert_int_equal(get_le16(f.fake.config + PCI_COMMAND),
                     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
                         PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
    vfio_config_set(&f, PCI_COMMAND, 2, 0);
    assert_int_equal(get_le16(f.fake.config + PCI_COMMAND), PCI_COMMAND_MEMORY);
    assert_int_equal(vfio_config_get(&f, PCI_COMMAND, 2), 0);
    vfio_config_set(&f, PCI_COMMAND, 1, PCI_COMMAND_MASTER);
    assert_int_equal(get_le16(f.fake.config + PCI_COMMAND),
                     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    vfio_fixture_unplug(&f);
    assert_int_equal(get_le16(f.fake.config + PCI_COMMAND), 0);
}

static void test_addresses_stay_here(void **state)
{
    unsigned writes;

    plug();
    writes = f.fake.config_writes;
    for (unsigned bar = 0; bar < 6; bar++)
        vfio_config_set(&f, PCI_BASE_ADDRESS_0 + 4 * bar, 4, 0xffffffff);
    vfio_config_set(&f, PCI_INTERRUPT_LINE, 1, 11);
    vfio_config_set(&f, PCI_CACHE_LINE_SIZE, 1, 16);
    assert_int_equal(f.fake.config_writes, writes);
    assert_int_equal(vfio_config_get(&f, PCI_INTERRUPT_LINE, 1), 11);
}

static void test_what_is_the_devices_own(void **state)
{
    plug();
    put_le32(f.fake.config + FAKE_AT_VENDOR + 4, 0x01020304); /* it changes by itself */
    assert_int_equal(vfio_config_get(&f, FAKE_AT_VENDOR + 4, 4), 0x01020304);
    vfio_config_set(&f, FAKE_AT_VENDOR + 6, 2, 0xbeef);
    assert_int_equal(f.fake.last_config_write.offset, FAKE_AT_VENDOR + 6);
    assert_int_equal(f.fake.last_config_write.size, 2);
    assert_int_equal(f.fake.last_config_write.value, 0xbeef);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_VENDOR + 4, 4), 0xbeef0304);
    /* Status: error bits are cleared by writing 1. */
    vfio_config_set(&f, PCI_STATUS, 2, PCI_STATUS_PARITY | PCI_STATUS_CAP_LIST);
    assert_int_equal(f.fake.last_config_write.offset, PCI_STATUS);
    assert_int_equal(f.fake.last_config_write.value, PCI_STATUS_PARITY);
    assert_true(vfio_config_get(&f, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
}

/* A write that is half the device's: the header of the capability is not. */
static void test_split_write(void **state)
{
    unsigned writes;

    plug();
    writes = f.fake.config_writes;
    vfio_config_set(&f, FAKE_AT_VENDOR, 4, 0x11223344);
    assert_int_equal(f.fake.config_writes, writes + 1);
    assert_int_equal(f.fake.last_config_write.offset, FAKE_AT_VENDOR + 2);
    assert_int_equal(f.fake.last_config_write.size, 2);
    assert_int_equal(f.fake.last_config_write.value, 0x1122);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_VENDOR, 1), PCI_CAP_ID_VNDR);
}

static void test_list(void **state)
{
    plug();
    assert_int_equal(find(PCI_CAP_ID_PM), FAKE_AT_PM);
    assert_int_equal(find(PCI_CAP_ID_MSI), FAKE_AT_MSI);
    assert_int_equal(find(PCI_CAP_ID_MSIX), FAKE_AT_MSIX);
    assert_int_equal(find(PCI_CAP_ID_EXP), FAKE_AT_EXP);
    assert_int_equal(find(PCI_CAP_ID_VNDR), FAKE_AT_VENDOR);
    assert_int_equal(find(PCI_CAP_ID_VPD), FAKE_AT_VPD);
    assert_int_equal(find(PCI_CAP_ID_EA), 0);
    /* All of what is hidden reads 0, and is not written. */
    assert_int_equal(vfio_config_get(&f, FAKE_AT_HIDDEN + 4, 4), 0);
    vfio_config_set(&f, FAKE_AT_HIDDEN + 4, 4, 0);
    assert_int_equal(get_le32(f.fake.config + FAKE_AT_HIDDEN + 4), 0xdeadbeef);
}

static void test_extended_list(void **state)
{
    plug();
    assert_int_equal(find_extended(PCI_EXT_CAP_ID_DSN), 0x140);
    assert_int_equal(find_extended(PCI_EXT_CAP_ID_VNDR), 0x1a0);
    assert_int_equal(find_extended(PCI_EXT_CAP_ID_ARI), 0);
    assert_int_equal(find_extended(PCI_EXT_CAP_ID_SRIOV), 0);
    assert_int_equal(find_extended(PCI_EXT_CAP_ID_ERR), 0);
    assert_int_equal(vfio_config_get(&f, 0x148, 4), 0x5eed0001);
    assert_int_equal(vfio_config_get(&f, 0x158, 4), 0); /* of ARI */
    vfio_config_set(&f, 0x168, 4, 0xffffffff);          /* of SR-IOV */
    assert_int_equal(get_le32(f.fake.config + 0x168), 0x5eed0003);
    assert_int_equal(vfio_config_get(&f, 0xffc, 4), 0);
}

static void test_plain_space_only(void **state)
{
    f.fake.regions[VFIO_PCI_CONFIG_REGION_INDEX].size = 256;
    plug();
    assert_int_equal(find(PCI_CAP_ID_VNDR), FAKE_AT_VENDOR);
    assert_int_equal(vfio_config_get(&f, 0x100, 4), 0);
}

static void test_power(void **state)
{
    unsigned writes;

    plug();
    writes = f.fake.config_writes;
    assert_int_equal(vfio_config_get(&f, FAKE_AT_PM + PCI_PM_PMC, 2), 3); /* no PME */
    vfio_config_set(&f, FAKE_AT_PM + PCI_PM_CTRL, 2, 0xffff);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_PM + PCI_PM_CTRL, 2),
                     PCI_PM_CTRL_NO_SOFT_RESET | 3);
    assert_int_equal(f.fake.config_writes, writes); /* it stays in D0 */
}

static void test_vpd_is_only_read(void **state)
{
    unsigned writes;

    plug();
    vfio_config_set(&f, FAKE_AT_VPD + PCI_VPD_ADDR, 2, 0x8010); /* "write" */
    assert_int_equal(f.fake.last_config_write.value, 0x0010);
    put_le16(f.fake.config + FAKE_AT_VPD + PCI_VPD_ADDR, 0x8010);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_VPD + PCI_VPD_ADDR, 2), 0x8010);
    vfio_config_set(&f, FAKE_AT_VPD + PCI_VPD_ADDR, 2, 0x0020);
    assert_int_equal(f.fake.last_config_write.value, 0x0020);
    writes = f.fake.config_writes;
    vfio_config_set(&f, FAKE_AT_VPD + PCI_VPD_DATA, 4, 0x12345678);
    assert_int_equal(f.fake.config_writes, writes);
}

/* It is integrated into the root complex, and has no link. */
static void test_express(void **state)
{
    plug();
    assert_int_equal(vfio_config_get(&f, FAKE_AT_EXP + PCI_EXP_FLAGS, 2),
                     2 | PCI_EXP_TYPE_RC_END << 4);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_EXP + PCI_EXP_LNKCAP, 4), 0);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_EXP + PCI_EXP_LNKCAP2, 4), 0);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_EXP + PCI_EXP_DEVCAP2, 4), 0x1f);
    assert_true(vfio_config_get(&f, FAKE_AT_EXP + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
    vfio_config_set(&f, FAKE_AT_EXP + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
    assert_int_equal(f.fake.last_config_write.value, PCI_EXP_DEVCTL_BCR_FLR);
}

static void test_list_that_loops(void **state)
{
    f.fake.config[FAKE_AT_VPD + 1] = FAKE_AT_MSI;
    plug();
    assert_int_equal(find(PCI_CAP_ID_VPD), FAKE_AT_VPD);
}

static void test_list_into_the_header(void **state)
{
    f.fake.config[FAKE_AT_PM + 1] = 0x10;
    plug();
    assert_int_equal(find(PCI_CAP_ID_PM), FAKE_AT_PM);
    assert_int_equal(find(PCI_CAP_ID_MSI), 0);
}

static void test_extended_list_that_loops(void **state)
{
    put_le32(f.fake.config + 0x1a0, PCI_EXT_CAP_ID_VNDR | 1u << 16 | 0x140u << 20);
    plug();
    assert_int_equal(find_extended(PCI_EXT_CAP_ID_VNDR), 0x1a0);
}

static void test_overlap(void **state)
{
    f.fake.config[FAKE_AT_PM + 1] = FAKE_AT_PM + 4; /* inside it */
    f.fake.config[FAKE_AT_PM + 4] = PCI_CAP_ID_VNDR;
    f.fake.config[FAKE_AT_PM + 5] = 0;
    f.fake.config[FAKE_AT_PM + 6] = 0xff; /* longer than there is */
    plug();
    assert_int_equal(find(PCI_CAP_ID_PM), 0);
    assert_int_equal(find(PCI_CAP_ID_VNDR), 0);
}

static void test_twice(void **state)
{
    f.fake.config[FAKE_AT_VPD] = PCI_CAP_ID_MSIX;
    put_le16(f.fake.config + FAKE_AT_VPD + PCI_MSIX_FLAGS, 4);
    plug();
    assert_int_equal(find(PCI_CAP_ID_MSIX), FAKE_AT_MSIX);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_VENDOR + 1, 1), 0); /* the end of the list */
}

static void test_refused(void **state)
{
    f.fake.config[PCI_HEADER_TYPE] = 1;
    refuses(ENODEV, "bridge");
    f.fake.config[PCI_HEADER_TYPE] = 0;
    f.fake.reads_all_ones = true;
    refuses(ENODEV, "all-ones");
    f.fake.reads_all_ones = false;
    f.fake.regions[VFIO_PCI_CONFIG_REGION_INDEX].size = 255;
    refuses(EPROTO, "configuration space");
    f.fake.regions[VFIO_PCI_CONFIG_REGION_INDEX].size = UINT64_MAX;
    refuses(EPROTO, "configuration space");
}

static void test_device_that_goes_silent(void **state)
{
    plug();
    f.fake.fail_at = 1;
    f.fake.fail_errno = EIO;
    assert_int_equal(vfio_config_get(&f, FAKE_AT_VENDOR + 4, 4), 0xffffffff);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_header),
        TEST(test_command),
        TEST(test_addresses_stay_here),
        TEST(test_what_is_the_devices_own),
        TEST(test_split_write),
        TEST(test_list),
        TEST(test_extended_list),
        TEST(test_plain_space_only),
        TEST(test_power),
        TEST(test_vpd_is_only_read),
        TEST(test_express),
        TEST(test_list_that_loops),
        TEST(test_list_into_the_header),
        TEST(test_extended_list_that_loops),
        TEST(test_overlap),
        TEST(test_twice),
        TEST(test_refused),
        TEST(test_device_that_goes_silent),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
