// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/pci_address.h"

static void test_addresses(void **state)
{
    static const char *const bad[] = {"",
                                      "1:2",
                                      "0000:01:10",
                                      "0000:01:20.0",
                                      "0000:1:0.8",
                                      "0000:01:00.0x",
                                      " 0000:01:00.0",
                                      "0x1:01:00.0",
                                      "eth0",
                                      "0000:01:00.0/..",
                                      "-1:01:00.0"};
    char out[PCI_ADDRESS_SIZE];

    assert_int_equal(pci_address_parse("0000:01:1F.7", out), 0);
    assert_string_equal(out, "0000:01:1f.7");
    assert_int_equal(pci_address_parse("1:2.3", out), 0);
    assert_string_equal(out, "0000:01:02.3");
    assert_int_equal(pci_address_parse("10000:01:02.3", out), 0);
    assert_string_equal(out, "10000:01:02.3");
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(pci_address_parse(bad[i], out), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
