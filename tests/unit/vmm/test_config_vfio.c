// SPDX-License-Identifier: Apache-2.0
/* Devices of the host in a configuration: what is accepted, and whose descriptors are whose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vmm/config.h"

static struct {
    struct machine_config config;
    struct husk_error err;
} t;

static void begin(enum husk_transport transport)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;

    options.kernel_path = "kernel";
    options.transport = transport;
    assert_int_equal(machine_config_init(&t.config, &options, &t.err), 0);
}

static int setup(void **state)
{
    begin(HUSK_TRANSPORT_AUTO);
    return 0;
}

static int teardown(void **state)
{
    machine_config_release(&t.config);
    return 0;
}

static struct husk_vfio_options good(const char *address)
{
    struct husk_vfio_options options = HUSK_VFIO_OPTIONS_INIT;

    options.address = address;
    return options;
}

static int add(const char *address)
{
    struct husk_vfio_options options = good(address);

    return machine_config_add_vfio(&t.config, &options, &t.err);
}

static int null_fd(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void test_add(void **state)
{
    assert_int_equal(add("01:1F.7"), 0);
    assert_int_equal(t.config.vfio_count, 1);
    assert_string_equal(t.config.vfios[0].address, "0000:01:1f.7");
    assert_string_equal(t.config.vfios[0].id, "vfio1");
    assert_int_equal(t.config.vfios[0].iommu, HUSK_VFIO_IOMMU_AUTO);
    assert_int_equal(t.config.vfios[0].device_fd, -1);
    assert_int_equal(t.config.vfios[0].group_fd, -1);
    assert_int_equal(add("0000:01:1f.7"), -EEXIST);
    assert_non_null(strstr(t.err.why, "given to vfio 1 already"));
    assert_int_equal(add("0000:02:00.0"), 0);
    assert_string_equal(t.config.vfios[1].id, "vfio2");
}

#define REFUSED(text, code, ...)                                                         \
    {                                                                                    \
        struct husk_vfio_options options = good("0000:01:10.0");                         \
        __VA_ARGS__;                                                                     \
        assert_int_equal(machine_config_add_vfio(&t.config, &options, &t.err), -(code)); \
        assert_string_equal(t.err.where, "vfio 1");                                      \
        if (!strstr(t.err.why, text))                                                    \
            fail_msg("\"%s\" is not in \"%s\"", text, t.err.why);                        \
        assert_int_equal(t.config.vfio_count, 0);                                        \
    }

static void test_refused(void **state)
{
    REFUSED("like 0000:01:10.0", EINVAL, options.address = "eth0")
    REFUSED("like 0000:01:10.0", EINVAL, options.address = "")
    REFUSED("no device", EINVAL, options.address = NULL)
    REFUSED("no interface 3", EINVAL, options.iommu = (enum husk_vfio_iommu)3)
    REFUSED("both", EINVAL, options.device_fd = 0; options.group_fd = 0)
    REFUSED("none of a device", EINVAL, options.iommu_fd = 0)
    REFUSED("no address", EINVAL, options.group_fd = 0; options.address = NULL)
    REFUSED("groups are asked for", EINVAL, options.device_fd = 0;
            options.iommu = HUSK_VFIO_IOMMU_GROUP)
    REFUSED("iommufd is asked for", EINVAL, options.group_fd = 0;
            options.iommu = HUSK_VFIO_IOMMU_IOMMUFD)
    REFUSED("their size", EINVAL, options.size = 0)
}

static void test_one_interface(void **state)
{
    struct husk_vfio_options group = good("0000:01:10.0"), iommufd = good("0000:02:10.0");

    group.iommu = HUSK_VFIO_IOMMU_GROUP;
    iommufd.iommu = HUSK_VFIO_IOMMU_IOMMUFD;
    assert_int_equal(machine_config_add_vfio(&t.config, &group, &t.err), 0);
    assert_int_equal(machine_config_add_vfio(&t.config, &iommufd, &t.err), -EINVAL);
    assert_non_null(strstr(t.err.why, "vfio 1 uses groups"));
    assert_int_equal(add("0000:02:10.0"), 0);
}

/* They become the configuration's with success, and are closed with the device. */
static void test_descriptors(void **state)
{
    struct husk_vfio_options options = good(NULL);
    int device = null_fd(), iommu = null_fd(), other = null_fd(), second = null_fd();

    options.device_fd = device;
    options.iommu_fd = iommu;
    options.id = "not good";
    assert_int_equal(machine_config_add_vfio(&t.config, &options, &t.err), -EINVAL);
    assert_true(is_open(device) && is_open(iommu));
    options.id = "nic";
    assert_int_equal(machine_config_add_vfio(&t.config, &options, &t.err), 0);
    assert_int_equal(t.config.vfios[0].device_fd, device);
    assert_int_equal(t.config.vfios[0].iommu, HUSK_VFIO_IOMMU_IOMMUFD);
    assert_string_equal(t.config.vfios[0].address, "");
    assert_int_equal(t.config.vfio_iommu_fd, iommu);
    /* One context for all. */
    options.id = "second";
    options.device_fd = second;
    options.iommu_fd = other;
    assert_int_equal(machine_config_add_vfio(&t.config, &options, &t.err), 0);
    assert_int_equal(t.config.vfio_iommu_fd, iommu);
    assert_false(is_open(other));
    assert_int_equal(machine_config_remove_vfio(&t.config, "nic", &t.err), 0);
    assert_false(is_open(device));
    assert_true(is_open(iommu) && is_open(second));
    assert_int_equal(machine_config_remove_vfio(&t.config, "nic", &t.err), -ENOENT);
    assert_int_equal(machine_config_remove_vfio(&t.config, "second", &t.err), 0);
    assert_false(is_open(iommu));
    assert_int_equal(t.config.vfio_count, 0);
}

/* The bus comes and goes with the devices that need it. */
static void test_transport(void **state)
{
    assert_int_equal(add("0000:01:10.0"), 0);
    assert_int_equal(machine_config_remove_vfio(&t.config, "vfio1", &t.err), 0);
    assert_non_null(strstr(t.config.command_line, "pci=off"));
    assert_int_equal(machine_config_settle(&t.config, &t.err), 0);
    assert_int_equal(t.config.transport, HUSK_TRANSPORT_MMIO);
    assert_non_null(strstr(t.config.command_line, "pci=off"));
    machine_config_release(&t.config);

    begin(HUSK_TRANSPORT_AUTO);
    assert_int_equal(add("0000:01:10.0"), 0);
    assert_int_equal(machine_config_settle(&t.config, &t.err), 0);
    assert_int_equal(t.config.transport, HUSK_TRANSPORT_PCI);
    assert_null(strstr(t.config.command_line, "pci=off"));
    machine_config_release(&t.config);

    begin(HUSK_TRANSPORT_MMIO);
    assert_int_equal(add("0000:01:10.0"), -EINVAL);
    assert_non_null(strstr(t.err.why, "needs a PCI bus"));
}

/* With them there is the room of a PCI bus, which goes with them, too. */
static void test_room(void **state)
{
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    unsigned count = 0;

    drive.path = "disk.img";
    while (machine_config_add_drive(&t.config, &drive, &t.err) == 0)
        count++;
    assert_int_equal(count, 16); /* and an entropy device */
    assert_non_null(strstr(t.err.why, "at most 17 devices fit: drives, networks, vsock"));
    assert_int_equal(add("0000:01:10.0"), 0);
    while (machine_config_add_drive(&t.config, &drive, &t.err) == 0)
        count++;
    assert_int_equal(count, 29);
    assert_non_null(strstr(t.err.why, "at most 31 devices fit: drives, networks, devices of"));
    assert_int_equal(add("0000:02:10.0"), -ENOSPC);
    assert_int_equal(machine_config_settle(&t.config, &t.err), 0);
    t.config.transport = HUSK_TRANSPORT_AUTO;
    assert_int_equal(machine_config_remove_vfio(&t.config, "vfio1", &t.err), 0);
    assert_int_equal(machine_config_settle(&t.config, &t.err), -ENOSPC);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_add),         CASE(test_refused),   CASE(test_one_interface),
        CASE(test_descriptors), CASE(test_transport), CASE(test_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
