// SPDX-License-Identifier: Apache-2.0
/* Devices of the host as users write them; tests/e2e/errors.py has what is said of wrong ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/device_options.h"

static const struct option_place place = {&cmd_run, "--vfio"};

static struct option_texts texts;
static struct husk_vfio_options vfio;

static int parse(const char *text)
{
    option_texts_release(&texts);
    return vfio_option_parse(&place, text, &vfio, &texts);
}

static int teardown(void **state)
{
    option_texts_release(&texts);
    return 0;
}

static void test_address(void **state)
{
    assert_int_equal(parse("01:1F.7"), 0);
    assert_string_equal(vfio.address, "0000:01:1f.7");
    assert_null(vfio.id);
    assert_int_equal(vfio.iommu, HUSK_VFIO_IOMMU_AUTO);
    assert_int_equal(vfio.device_fd, -1);
    assert_int_equal(vfio.group_fd, -1);
    assert_int_equal(vfio.iommu_fd, -1);
}

static void test_words(void **state)
{
    assert_int_equal(parse("0001:01:10.0,iommu=iommufd,id=nic_1"), 0);
    assert_string_equal(vfio.address, "0001:01:10.0");
    assert_string_equal(vfio.id, "nic_1");
    assert_int_equal(vfio.iommu, HUSK_VFIO_IOMMU_IOMMUFD);
    assert_int_equal(parse("01:10.0,iommu=group"), 0);
    assert_int_equal(vfio.iommu, HUSK_VFIO_IOMMU_GROUP);
}

/* What the starting program left open for us does not go on to those that we start. */
static void test_descriptors(void **state)
{
    int device = open("/dev/null", O_RDWR), iommu = open("/dev/null", O_RDWR);
    char text[64];

    assert_true(device > 2 && iommu > 2);
    snprintf(text, sizeof(text), "01:10.0,fd=%d,iommu-fd=%d", device, iommu);
    assert_int_equal(parse(text), 0);
    assert_int_equal(vfio.device_fd, device);
    assert_int_equal(vfio.iommu_fd, iommu);
    assert_true(fcntl(device, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(iommu, F_GETFD) & FD_CLOEXEC);
    snprintf(text, sizeof(text), "01:10.0,group-fd=%d", device);
    assert_int_equal(parse(text), 0);
    assert_int_equal(vfio.group_fd, device);
    snprintf(text, sizeof(text), "01:10.0,fd=%d,fd=%d", device, iommu);
    assert_int_equal(parse(text), STATUS_USAGE);
    close(device);
    close(iommu);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "eth0",
                                      "address=01:10.0",
                                      "01:10.0,",
                                      "01:10.0,ro",
                                      "01:10.0,id=",
                                      "01:10.0,id=a,id=b",
                                      "01:10.0,iommu=",
                                      "01:10.0,fd=2",
                                      "01:10.0,fd=4294967296",
                                      "01:10.0,fd=1023",
                                      "01:10.0,group-fd=x",
                                      "01:10.0,bus=0"};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(bad[i]) != STATUS_USAGE)
            fail_msg("'%s' is accepted", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_address, teardown),
        cmocka_unit_test_teardown(test_words, teardown),
        cmocka_unit_test_teardown(test_descriptors, teardown),
        cmocka_unit_test_teardown(test_refused, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
