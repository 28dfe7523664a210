// SPDX-License-Identifier: Apache-2.0
/* The life of a passed-through device and its address space: devices/vfio/device.c, iommu*.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "devices/vfio/iommu.h"
#include "tests/harness/vfio_fixture.h"

static struct vfio_fixture f;

static const enum vfio_mode modes[] = {VFIO_CONTAINER, VFIO_IOMMUFD};

static void begin(enum vfio_mode mode)
{
    vfio_fixture_init(&f);
    assert_int_equal(vfio_fixture_iommu(&f, mode, NULL), 0);
}

static void end(void)
{
    assert_int_equal(vfio_fixture_release(&f), 0);
}

static unsigned open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void refuses(enum vfio_mode mode, int code, const char *why)
{
    struct husk_error err = {0};

    assert_int_equal(vfio_fixture_plug(&f, mode, &err), -code);
    assert_string_equal(err.where, "vfio 1");
    assert_non_null(strstr(err.why, why));
}

static void test_life(void **state)
{
    for (unsigned m = 0; m < 2; m++) {
        struct vfio_pinned pinned;

        begin(modes[m]);
        for (unsigned again = 0; again < 3; again++) {
            unsigned resets = f.fake.resets;

            assert_int_equal(vfio_fixture_plug(&f, modes[m], NULL), 0);
            assert_int_equal(f.fake.resets, resets + 1);
            assert_int_equal(f.fake.mapped_count, guest_memory_region_count(f.around.memory));
            assert_int_equal(f.fake.mapped[0].first, 0);
            vfio_iommu_pinned(f.iommu, &pinned);
            assert_int_equal(pinned.bytes, guest_memory_size(f.around.memory));
            assert_true(guest_memory_is_pinned(f.around.memory));
            assert_int_equal(vfio_config_get(&f, PCI_VENDOR_ID, 2), 0x8086);

            vfio_fixture_unplug(&f);
            assert_int_equal(f.fake.resets, resets + 2);
            assert_int_equal(f.fake.mapped_count, 0);
            assert_int_equal(f.fake.files, 0);
            assert_false(guest_memory_is_pinned(f.around.memory));
            assert_int_equal(vfio_config_get(&f, PCI_VENDOR_ID, 2), 0xffff);
        }
        end();
    }
}

/* Whatever fails, nothing remains; and what need not work is done without. */
static void test_every_call_fails_once(void **state)
{
    for (unsigned m = 0; m < 2; m++) {
        unsigned failed = 0, at = 0, before = open_descriptors();
        bool reached = true;

        for (at = 1; reached && at < 200; at++) {
            struct husk_error err = {0};
            int ret;

            begin(modes[m]);
            f.fake.fail_at = at;
            f.fake.fail_errno = ENOMEM;
            ret = vfio_fixture_plug(&f, modes[m], &err);
            reached = f.fake.fail_at == 0;
            failed += ret != 0;
            assert_true(ret == 0 || (ret < 0 && err.what[0]));
            f.fake.fail_at = 0;
            end();
            assert_int_equal(open_descriptors(), before);
        }
        assert_false(reached);
        assert_true(failed > 15);
    }
}

static void test_hidden_until_the_guest_looks(void **state)
{
    struct vfio_device_config config = {
        .name = "vfio 1", .address = FAKE_VFIO_ADDRESS, .device_fd = -1, .number = 1};

    begin(VFIO_CONTAINER);
    f.env.iommu = f.iommu;
    config.group_fd = fake_vfio_group(&f.fake, 0);
    config.hotplugged = true;
    assert_int_equal(vfio_device_create(&f.env, &config, &f.device, NULL), 0);
    assert_int_equal(vfio_config_get(&f, PCI_COMMAND, 2), 0);
    assert_int_equal(vfio_slots_used(&f), 0);
    assert_int_equal(get_le16(f.fake.config + PCI_COMMAND), PCI_COMMAND_MEMORY);
    end();
}

static void test_group(void **state)
{
    begin(VFIO_CONTAINER);
    f.fake.group_flags = 0;
    refuses(VFIO_CONTAINER, EPERM, "has a driver of the host");
    f.fake.group_flags = VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET;
    refuses(VFIO_CONTAINER, EBUSY, "in a container already");
    end();
}

static void test_bind(void **state)
{
    static const struct {
        int code;
        const char *why;
    } refusals[] = {
        {EPERM, "does not remap interrupts"},
        {EBUSY, "has a driver of the host"},
        {EINVAL, "in use by another VM"},
        {ENOMEM, "cannot be bound"},
    };

    begin(VFIO_IOMMUFD);
    for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        f.fake.bind_errno = refusals[i].code;
        refuses(VFIO_IOMMUFD, refusals[i].code, refusals[i].why);
    }
    end();
}

static void test_two_devices(void **state)
{
    struct device *second = NULL;
    struct vfio_device_config config = {
        .name = "vfio 2", .address = FAKE_VFIO_ADDRESS, .device_fd = -1};

    begin(VFIO_CONTAINER);
    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, NULL), 0);
    /* Another of the same group, and one of another. */
    for (unsigned group = 0; group < 2; group++) {
        config.group_fd = fake_vfio_group(&f.fake, group);
        f.env.event = NULL;
        assert_int_equal(vfio_device_create(&f.env, &config, &second, NULL), 0);
        assert_int_equal(f.fake.groups_inside, 1 + group);
        assert_int_equal(f.fake.files, 1 + group);
        assert_int_equal(f.fake.mapped_count, guest_memory_region_count(f.around.memory));
        device_destroy(second);
        assert_int_equal(f.fake.groups_inside, 1);
        assert_int_equal(f.fake.mapped_count, guest_memory_region_count(f.around.memory));
    }
    end();
}

/* The group's file opens once: its second device is found by the file's number. */
static void test_group_by_number(void **state)
{
    struct husk_error err = {0};
    struct device *second = NULL;
    struct vfio_device_config config = {
        .name = "vfio 2", .address = FAKE_VFIO_ADDRESS, .group_fd = -1, .device_fd = -1};
    int group = -1;
    struct stat st;

    begin(VFIO_CONTAINER);
    group = fake_vfio_group(&f.fake, 0);
    assert_int_equal(fstat(group, &st), 0);
    close(group);
    config.group_rdev = st.st_rdev;
    f.env.iommu = f.iommu;
    assert_int_equal(vfio_device_create(&f.env, &config, &second, &err), -EBUSY);
    assert_non_null(strstr(err.why, "another VM or program"));
    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, NULL), 0);
    f.env.event = NULL;
    assert_int_equal(vfio_device_create(&f.env, &config, &second, NULL), 0);
    assert_int_equal(vfio_device_slot(f.device), 1);
    assert_int_equal(vfio_device_slot(second), 2);
    assert_int_equal(f.fake.groups_inside, 1);
    assert_int_equal(f.fake.files, 1);
    vfio_fixture_unplug(&f); /* the one that brought it */
    assert_int_equal(f.fake.groups_inside, 1);
    assert_int_equal(f.fake.mapped_count, guest_memory_region_count(f.around.memory));
    device_destroy(second);
    assert_int_equal(f.fake.groups_inside, 0);
    assert_int_equal(f.fake.mapped_count, 0);
    end();
}

static void test_wrong_device(void **state)
{
    struct husk_error err = {0};
    struct vfio_device_config config = {
        .name = "vfio 1", .address = "0000:01:10.1", .device_fd = -1};

    begin(VFIO_CONTAINER);
    f.env.iommu = f.iommu;
    config.group_fd = fake_vfio_group(&f.fake, 0);
    assert_int_equal(vfio_device_create(&f.env, &config, &f.device, &err), -ENODEV);
    assert_non_null(strstr(err.why, "0000:01:10.1"));
    f.fake.device_flags = VFIO_DEVICE_FLAGS_PLATFORM;
    refuses(VFIO_CONTAINER, ENODEV, "no PCI device");
    f.fake.device_flags = VFIO_DEVICE_FLAGS_PCI;
    f.fake.num_regions = 3;
    refuses(VFIO_CONTAINER, EPROTO, "3 regions");
    end();
}

static void test_without_reset(void **state)
{
    begin(VFIO_CONTAINER);
    f.fake.device_flags = VFIO_DEVICE_FLAGS_PCI;
    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, NULL), 0);
    assert_true(f.around.log_lines > 0);
    assert_int_equal(f.fake.resets, 0);
    end();
}

/* Guest memory must be where the IOMMU reaches; the error says where it is not. */
static void test_reserved_addresses(void **state)
{
    for (unsigned m = 0; m < 2; m++) {
        begin(modes[m]);
        f.fake.usable[0] = (struct fake_range){0, 0xfee00000};
        f.fake.usable[1] = (struct fake_range){0xfef00000, (1ull << 48) - 0xfef00000};
        f.fake.usable_count = 2;
        assert_int_equal(vfio_fixture_plug(&f, modes[m], NULL), 0);
        vfio_fixture_unplug(&f);
        f.fake.usable[0].size = 0x8000;
        refuses(modes[m], ERANGE, "cannot use 0x8000");
        end();
    }
}

static void test_ranges(void **state)
{
    const struct iova_ranges all = {.count = 0};
    const struct iova_ranges some = {
        .count = 4, .range = {{0x5000, 0x7fff}, {0, 0xfff}, {0x1000, 0x4fff}, {9, 3}}};
    uint64_t hole;

    assert_true(iova_ranges_hold(&all, 0, UINT64_MAX, &hole));
    assert_true(iova_ranges_hold(&some, 0, 0x8000, &hole));
    assert_true(iova_ranges_hold(&some, 0xfff, 2, &hole));
    assert_false(iova_ranges_hold(&some, 0x6000, 0x2001, &hole));
    assert_int_equal(hole, 0x8000);
    assert_false(iova_ranges_hold(&some, 0x9000, 1, &hole));
    assert_int_equal(hole, 0x9000);
}

static void test_wrong_kernel(void **state)
{
    struct husk_error err = {0};

    vfio_fixture_init(&f);
    f.fake.api_version = 1;
    assert_int_equal(vfio_fixture_iommu(&f, VFIO_CONTAINER, &err), -ENOTSUP);
    assert_non_null(strstr(err.why, "version is 1"));
    f.fake.api_version = VFIO_API_VERSION;
    f.fake.has_type1 = 0;
    assert_int_equal(vfio_fixture_iommu(&f, VFIO_CONTAINER, &err), -ENOTSUP);
    assert_non_null(strstr(err.why, "vfio_iommu_type1"));
    end();
}

static void test_request(void **state)
{
    begin(VFIO_CONTAINER);
    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, NULL), 0);
    for (unsigned i = 1; i <= 2; i++) {
        assert_true(fake_vfio_interrupt(&f.fake, VFIO_PCI_REQ_IRQ_INDEX, 0));
        surroundings_settle(&f.around);
        assert_int_equal(f.requests, i);
    }
    assert_int_equal(vfio_config_get(&f, PCI_VENDOR_ID, 2), 0x8086); /* it works on */
    end();
}

/* After an error nothing of it is reached, and all of it reads all-ones. */
static void test_error(void **state)
{
    uint64_t at;
    unsigned writes;

    begin(VFIO_CONTAINER);
    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, NULL), 0);
    at = vfio_bar_address(&f, 0);
    vfio_config_set(&f, FAKE_AT_MSIX + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    assert_true(fake_vfio_interrupt(&f.fake, VFIO_PCI_ERR_IRQ_INDEX, 0));
    surroundings_settle(&f.around);
    assert_int_equal(f.errors, 1);
    assert_int_equal(vfio_slots_used(&f), 0);
    assert_false(f.fake.irqs[VFIO_PCI_MSIX_IRQ_INDEX].on);
    assert_int_equal(vfio_memory_get(&f, at, 4), 0xffffffff);
    assert_int_equal(vfio_config_get(&f, FAKE_AT_VENDOR + 4, 4), 0xffffffff);
    writes = f.fake.config_writes + f.fake.bar_writes;
    vfio_memory_set(&f, at, 4, 0);
    vfio_config_set(&f, FAKE_AT_VENDOR + 4, 4, 0);
    vfio_config_set(&f, PCI_COMMAND, 2, 0);
    vfio_config_set(&f, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    vfio_config_set(&f, FAKE_AT_MSIX + PCI_MSIX_FLAGS, 2, 0);
    vfio_config_set(&f, FAKE_AT_MSIX + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    assert_int_equal(vfio_slots_used(&f), 0);
    assert_int_equal(f.fake.config_writes + f.fake.bar_writes, writes);
    assert_false(f.fake.irqs[VFIO_PCI_MSIX_IRQ_INDEX].on);
    end();
}

/* An older kernel knows neither of the two signals. */
static void test_without_signals(void **state)
{
    begin(VFIO_CONTAINER);
    f.fake.num_irqs = VFIO_PCI_MSIX_IRQ_INDEX + 1;
    assert_int_equal(vfio_fixture_plug(&f, VFIO_CONTAINER, NULL), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_every_call_fails_once),
        cmocka_unit_test(test_hidden_until_the_guest_looks),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_bind),
        cmocka_unit_test(test_group_by_number),
        cmocka_unit_test(test_two_devices),
        cmocka_unit_test(test_wrong_device),
        cmocka_unit_test(test_without_reset),
        cmocka_unit_test(test_reserved_addresses),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_wrong_kernel),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_without_signals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
