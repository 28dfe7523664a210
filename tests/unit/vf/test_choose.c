// SPDX-License-Identifier: Apache-2.0
/* Which VF is taken, on a fake sysfs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/fake_pci.h"
#include "vf/change.h"
#include "vf/choose.h"

/* Accepts none before the one whose address ends so. */
static int take(void *opaque, const char *address)
{
    const char *end = opaque;

    return strcmp(address + strlen(address) - strlen(end), end) ? -EEXIST : 0;
}

static int full(void *opaque, const char *address)
{
    return -ENOSPC;
}

static int choose(const struct fake_pci *fake, const char *end, unsigned *index)
{
    struct pci_function function;
    struct husk_error err = {0};
    int ret = vf_choose(&fake->host, FAKE_PF, "pf0", take, (void *)end, index, &function, &err);

    if (ret)
        assert_string_equal(err.where, "pf0");
    else
        assert_int_equal(take((void *)end, function.address), 0);
    return ret;
}

static void test_none_made(void **state)
{
    unsigned index;

    assert_int_equal(choose(*state, "", &index), -ENODEV);
}

static void test_first_that_is_accepted(void **state)
{
    struct fake_pci *fake = *state;
    struct pci_function function;
    struct husk_error err = {0};
    unsigned index = 9;

    assert_int_equal(vf_create(&fake->host, FAKE_PF, 3, &err), 0);
    assert_int_equal(choose(fake, "", &index), 0);
    assert_int_equal(index, 0);
    assert_int_equal(choose(fake, ".2", &index), 0);
    assert_int_equal(index, 2);
    assert_int_equal(choose(fake, "none", &index), -EBUSY);
    assert_int_equal(vf_choose(&fake->host, FAKE_PF, "pf0", full, NULL, &index, &function, &err),
                     -ENOSPC);
    assert_string_equal(err.where, FAKE_VF);
}

static void test_used_ones(void **state)
{
    struct fake_pci *fake = *state;
    struct husk_error err = {0};
    char path[256];
    unsigned index = 9;

    assert_int_equal(vf_create(&fake->host, FAKE_PF, 4, &err), 0);
    assert_int_equal(vf_bind(&fake->host, FAKE_VF, &err), 0);
    fake_pci_file(fake, "0x1003\n", "class/net/vf1/flags"); /* IFF_UP */
    snprintf(path, sizeof(path), "%s/bus/pci/devices/0000:01:10.2/net/vf2", fake->sysfs);
    assert_int_equal(rmdir(path), 0); /* as seen when it is in another network namespace */
    assert_int_equal(choose(fake, "", &index), 0);
    assert_int_equal(index, 3);
    /* One without a driver is nobody's. */
    fake_pci_set_driver(fake, "0000:01:10.2", NULL);
    assert_int_equal(choose(fake, "", &index), 0);
    assert_int_equal(index, 2);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, fake_pci_set_up, fake_pci_tear_down)
    const struct CMUnitTest tests[] = {CASE(test_none_made), CASE(test_first_that_is_accepted),
                                       CASE(test_used_ones)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
