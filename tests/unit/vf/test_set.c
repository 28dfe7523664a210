// SPDX-License-Identifier: Apache-2.0
/* What is said of VFs whose settings cannot be reached; talking to drivers is test_link.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/harness/fake_pci.h"
#include "vf/change.h"
#include "vf/set.h"

static void refused(const struct fake_pci *fake, const char *name, unsigned number, int code,
                    const char *says)
{
    const struct vf_settings wanted = {.known = VF_TRUST};
    struct vf_settings found;
    struct husk_error err = {0};

    assert_int_equal(vf_get(&fake->host, FAKE_PF, name, number, &found, &err), -code);
    assert_string_equal(err.where, name);
    assert_non_null(strstr(err.why, says));
    memset(&err, 0, sizeof(err));
    assert_int_equal(vf_set(&fake->host, FAKE_PF, name, number, &wanted, &err), -code);
    assert_non_null(strstr(err.why, says));
}

static void test_no_such_vf(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};

    refused(fake, "pf0", 0, ERANGE, "husk vf create pf0 N");
    assert_int_equal(vf_create(&fake->host, FAKE_PF, 2, &err), 0);
    refused(fake, "pf0", 2, ERANGE, "2 is not in 0 to 1");
    refused(fake, FAKE_PF, UINT32_MAX, ERANGE, "is not in 0 to 1");
}

static void test_several_interfaces(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};

    assert_int_equal(vf_create(&fake->host, FAKE_PF, 1, &err), 0);
    fake_pci_directory(fake, "bus/pci/devices/" FAKE_PF "/net/pf1");
    refused(fake, FAKE_PF, 0, EINVAL, "pf0, pf1");
}

static void test_no_interface(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};
    char path[256];

    assert_int_equal(vf_create(&fake->host, FAKE_PF, 1, &err), 0);
    snprintf(path, sizeof(path), "%s/bus/pci/devices/" FAKE_PF "/net/pf0", fake->sysfs);
    assert_int_equal(remove(path), 0);
    refused(fake, FAKE_PF, 0, ENODEV, "another network namespace");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fake_pci_set_up, fake_pci_tear_down)
    const struct CMUnitTest tests[] = {CASE(test_no_such_vf), CASE(test_several_interfaces),
                                       CASE(test_no_interface)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
