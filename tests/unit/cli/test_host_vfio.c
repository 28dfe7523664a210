// SPDX-License-Identifier: Apache-2.0
/* What doctor sees of IOMMU and VFIO, in trees of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>

#include "cli/host_vfio.h"
#include "tests/harness/fake_pci.h"

static struct {
    struct fake_pci fake;
    char proc[80];
    struct host_vfio seen;
} t;

static int setup(void **state)
{
    fake_pci_make(&t.fake);
    snprintf(t.proc, sizeof(t.proc), "%s/proc", t.fake.root);
    return mkdir(t.proc, 0700) || mkdir(t.fake.dev, 0700);
}

static int teardown(void **state)
{
    fake_pci_remove(&t.fake);
    return 0;
}

static void look(void)
{
    host_look_at_vfio(t.fake.sysfs, t.fake.dev, t.proc, &t.seen);
}

static void write_interrupts(const char *text)
{
    char path[96];
    FILE *file;

    snprintf(path, sizeof(path), "%s/interrupts", t.proc);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void make_device(const char *name)
{
    char path[96];

    snprintf(path, sizeof(path), "%s/%s", t.fake.dev, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void test_nothing(void **state)
{
    host_look_at_vfio("/nowhere", "/nowhere", "/nowhere", &t.seen);
    assert_int_equal(t.seen.groups, 0);
    assert_false(t.seen.has_driver || t.seen.has_groups || t.seen.has_iommufd || t.seen.has_cdevs);
    assert_int_equal(t.seen.bound, 0);
    assert_int_equal(t.seen.remapping, HOST_REMAPPING_OFF);
}

static void test_groups_and_files(void **state)
{
    look();
    assert_int_equal(t.seen.groups, 2); /* of the fake card and bridge */
    assert_true(t.seen.has_driver);
    assert_int_equal(t.seen.bound, 0);
    assert_false(t.seen.has_groups || t.seen.has_iommufd || t.seen.has_cdevs);
    fake_pci_directory(&t.fake, "bus/pci/drivers/vfio-pci/" FAKE_PF);
    fake_pci_file(&t.fake, "", "bus/pci/drivers/vfio-pci/new_id");
    make_device("vfio");
    make_device("vfio/vfio");
    make_device("iommu");
    look();
    assert_false(t.seen.has_groups);
    fake_pci_directory(&t.fake, "module/vfio_iommu_type1");
    look();
    assert_int_equal(t.seen.bound, 1);
    assert_true(t.seen.has_groups && t.seen.has_iommufd);
    assert_false(t.seen.has_cdevs);
    make_device("vfio/devices");
    look();
    assert_true(t.seen.has_cdevs);
}

static void test_remapping(void **state)
{
    write_interrupts(
        "           CPU0\n  24:          3  PCI-MSI-0000:00:1f.2    0-edge      ahci\n");
    look();
    assert_int_equal(t.seen.remapping, HOST_REMAPPING_OFF);
    fake_pci_directory(&t.fake, "module/vfio_iommu_type1/parameters");
    fake_pci_file(&t.fake, "N\n", "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
    look();
    assert_int_equal(t.seen.remapping, HOST_REMAPPING_OFF);
    fake_pci_file(&t.fake, "Y\n", "module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
    look();
    assert_int_equal(t.seen.remapping, HOST_REMAPPING_UNSAFE);
    write_interrupts(
        "           CPU0\n  24:          3  IR-PCI-MSI-0000:00:1f.2    0-edge  ahci\n");
    look();
    assert_int_equal(t.seen.remapping, HOST_REMAPPING_ON);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_nothing),
        CASE(test_groups_and_files),
        CASE(test_remapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
