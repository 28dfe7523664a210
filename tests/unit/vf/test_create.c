// SPDX-License-Identifier: Apache-2.0
/* Finding PFs, making and removing VFs on a fake sysfs; what is refused, with which advice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "vf/change.h"
#include "tests/harness/fake_pci.h"

static void expect_refusal(int ret, int code, const struct husk_error *err, const char *text)
{
    assert_int_equal(ret, -code);
    if (!strstr(err->why, text))
        fail_msg("\"%s: %s\" does not say \"%s\"", err->what, err->why, text);
}

static unsigned count(struct fake_pci *fake)
{
    unsigned now, total;

    assert_int_equal(pci_vf_counts(&fake->host, FAKE_PF, &now, &total), 0);
    assert_int_equal(total, 7);
    return now;
}

static void test_find(void **state)
{
    struct fake_pci *fake = *state;
    const struct vf_host *host = &fake->host;
    char out[PCI_ADDRESS_SIZE];
    struct husk_error err = {0};

    assert_int_equal(pci_find_pf(host, "pf0", out, &err), 0);
    assert_string_equal(out, FAKE_PF);
    assert_int_equal(pci_find_pf(host, "01:00.0", out, &err), 0);
    assert_string_equal(out, FAKE_PF);
    expect_refusal(pci_find_pf(host, "pf1", out, &err), ENODEV, &err, "husk vf list");
    expect_refusal(pci_find_pf(host, "../pf0", out, &err), ENODEV, &err, "husk vf list");
    expect_refusal(pci_find_pf(host, "09:00.0", out, &err), ENODEV, &err, "husk vf list");
    expect_refusal(pci_find_pf(host, "02:00.0", out, &err), EOPNOTSUPP, &err, "firmware");
    assert_int_equal(vf_create(host, FAKE_PF, 1, &err), 0);
    expect_refusal(pci_find_pf(host, "vf0", out, &err), EINVAL, &err, FAKE_PF);
    fake_pci_directory(fake, "class/net/bond0/lower_pf0");
    expect_refusal(pci_find_pf(host, "bond0", out, &err), EINVAL, &err, "on top of pf0");
    fake_pci_directory(fake, "class/net/bond0/lower_pf1");
    expect_refusal(pci_find_pf(host, "bond0", out, &err), EINVAL, &err, "name one of");
    fake_pci_directory(fake, "class/net/lo");
    expect_refusal(pci_find_pf(host, "lo", out, &err), EINVAL, &err, "not of a PCI device");
}

static void test_representors(void **state)
{
    struct fake_pci *fake = *state;
    struct pci_function function;

    fake_pci_directory(fake, "bus/pci/devices/" FAKE_PF "/net/rep0");
    fake_pci_directory(fake, "class/net/rep0");
    fake_pci_file(fake, "pf0vf0\n", "class/net/rep0/phys_port_name");
    assert_int_equal(pci_function_read(&fake->host, FAKE_PF, &function), 0);
    assert_int_equal(function.interface_count, 1);
    assert_string_equal(function.interfaces[0], "pf0");
    assert_int_equal(function.iommu_group, 5);
}

static void test_create_remove(void **state)
{
    struct fake_pci *fake = *state;
    const struct vf_host *host = &fake->host;
    char vf[PCI_ADDRESS_SIZE];
    struct husk_error err = {0};

    assert_int_equal(vf_remove(host, FAKE_PF, &err), VF_ALREADY);
    assert_int_equal(vf_create(host, FAKE_PF, 2, &err), 0);
    assert_int_equal(count(fake), 2);
    assert_int_equal(pci_vf_address(host, FAKE_PF, 1, vf), 0);
    assert_string_equal(vf, "0000:01:10.1");
    assert_int_equal(pci_vf_address(host, FAKE_PF, 2, vf), -ENOENT);
    assert_int_equal(vf_create(host, FAKE_PF, 2, &err), VF_ALREADY);
    expect_refusal(vf_create(host, FAKE_PF, 3, &err), EBUSY, &err, "husk vf remove");
    assert_int_equal(vf_remove(host, FAKE_PF, &err), 0);
    assert_int_equal(count(fake), 0);
}

static void test_limits(void **state)
{
    struct fake_pci *fake = *state;
    const struct vf_host *host = &fake->host;
    struct husk_error err = {0};

    expect_refusal(vf_create(host, FAKE_PF, 8, &err), ERANGE, &err, "1 to 7");
    expect_refusal(vf_create(host, FAKE_PF, 0, &err), ERANGE, &err, "1 to 7");
    fake->create_result = -ENOMEM;
    expect_refusal(vf_create(host, FAKE_PF, 2, &err), ENOMEM, &err, "firmware");
    fake->create_result = -ENOENT;
    expect_refusal(vf_create(host, FAKE_PF, 2, &err), ENOENT, &err, "igb, does not support");
    fake->create_result = 0;
    fake->short_by = 1;
    expect_refusal(vf_create(host, FAKE_PF, 2, &err), EIO, &err, "1 of 2");
    assert_int_equal(count(fake), 0);
    fake->short_by = 0;
    fake->host.store(fake, "/unbind", FAKE_PF);
    expect_refusal(vf_create(host, FAKE_PF, 2, &err), ENODEV, &err, "load the module");
}

static void test_in_use(void **state)
{
    struct fake_pci *fake = *state;
    const struct vf_host *host = &fake->host;
    struct husk_error err = {0};

    assert_int_equal(vf_create(host, FAKE_PF, 2, &err), 0);
    assert_int_equal(vf_bind(host, "0000:01:10.1", &err), 0);
    expect_refusal(vf_remove(host, FAKE_PF, &err), EBUSY, &err, "husk vf unbind 0000:01:10.1");
    assert_int_equal(vf_unbind(host, "0000:01:10.1", &err), 0);
    fake_pci_file(fake, "0x1003\n", "class/net/vf1/flags");
    expect_refusal(vf_remove(host, FAKE_PF, &err), EBUSY, &err, "ip link set vf1 down");
    fake_pci_file(fake, "0x1002\n", "class/net/vf1/flags");
    assert_int_equal(vf_remove(host, FAKE_PF, &err), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fake_pci_set_up, fake_pci_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_find),   CASE(test_representors), CASE(test_create_remove),
        CASE(test_limits), CASE(test_in_use),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
