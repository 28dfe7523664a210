// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/checked.h"
#include "cli/vm_options.h"

static int parse(struct vm_options *options, char *const *words)
{
    char *argv[8] = {"vm"};
    int argc = 1;

    for (; words[argc - 1]; argc++)
        argv[argc] = words[argc - 1];
    return vm_options_parse(options, argc, argv);
}

#define PARSE(...) parse(&o, (char *[]){__VA_ARGS__, NULL})

static void test_verbs(void **state)
{
    struct vm_options o;

    assert_int_equal(PARSE("info", "s", "--json"), 0);
    assert_int_equal(o.action, VM_INFO);
    assert_string_equal(o.socket, "s");
    assert_true(o.json);
    assert_int_equal(PARSE("pause", "s"), 0);
    assert_int_equal(o.action, VM_PAUSE);
    assert_int_equal(PARSE("resume", "s"), 0);
    assert_int_equal(o.action, VM_RESUME);
    assert_int_equal(PARSE("ctrl-alt-del", "--", "-s"), 0);
    assert_int_equal(o.action, VM_CTRL_ALT_DEL);
    assert_string_equal(o.socket, "-s");
    assert_int_equal(PARSE("drive", "remove", "s", "d1"), 0);
    assert_int_equal(o.action, VM_DRIVE_REMOVE);
    assert_string_equal(o.id, "d1");
    assert_int_equal(PARSE("net", "remove", "s", "n1"), 0);
    assert_int_equal(o.action, VM_NET_REMOVE);
    assert_int_equal(PARSE("vfio", "remove", "s", "v1"), 0);
    assert_int_equal(o.action, VM_VFIO_REMOVE);
    assert_int_equal(PARSE("--help"), 0);
    assert_true(o.help);
}

static void test_devices(void **state)
{
    struct vm_options o;

    assert_int_equal(PARSE("drive", "add", "s", "f,id=x,ro,bw=1M"), 0);
    assert_int_equal(o.action, VM_DRIVE_ADD);
    assert_string_equal(o.drive.path, "f");
    assert_string_equal(o.drive.id, "x");
    assert_true(o.drive.read_only);
    vm_options_release(&o);
    assert_int_equal(PARSE("net", "add", "s", "tap=t,mtu=1400"), 0);
    assert_int_equal(o.action, VM_NET_ADD);
    assert_string_equal(o.net.tap_name, "t");
    vm_options_release(&o);
    assert_int_equal(PARSE("vfio", "add", "s", "01:10.0,id=v,iommu=group"), 0);
    assert_int_equal(o.action, VM_VFIO_ADD);
    assert_string_equal(o.vfio.address, "0000:01:10.0");
    assert_string_equal(o.vfio.id, "v");
    assert_int_equal(o.vfio.iommu, HUSK_VFIO_IOMMU_GROUP);
    vm_options_release(&o);
}

static void test_refused(void **state)
{
    static char *const bad[][6] = {
        {NULL},
        {"info"},
        {"info", "s", "more"},
        {"stop", "s"},
        {"drive"},
        {"drive", "s"},
        {"drive", "add"},
        {"drive", "add", "s"},
        {"drive", "add", "s", "f", "g"},
        {"drive", "rm", "s", "x"},
        {"drive", "remove", "s"},
        {"drive", "remove", "s", ""},
        {"drive", "add", "s", "f,queues=2"},
        {"drive", "add", "s", "f,z=1"},
        {"drive", "add", "s", ""},
        {"net", "add", "s", "t"},
        {"net", "add", "s", "tap=t,queues=2"},
        {"net", "add", "s", "tap=t,vhost=on"},
        {"vfio", "s"},
        {"vfio", "add", "s"},
        {"vfio", "add", "s", "card"},
        {"vfio", "add", "s", "01:10.0,iommu=x"},
        {"vfio", "add", "s", "01:10.0,fd=0"},
        {"pause", "s", "--json"},
        {"pause", "s", "-x"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        struct vm_options o;
        int status = parse(&o, bad[i]);

        vm_options_release(&o);
        if (status != STATUS_USAGE)
            fail_msg("number %u: status %d", i, status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
