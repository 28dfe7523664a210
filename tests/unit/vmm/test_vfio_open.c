// SPDX-License-Identifier: Apache-2.0
/* Devices of the host in a fake sysfs: what is said of each reason not to give one away, and what
 * is opened of those that can be given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "jail/seccomp.h"
#include "tests/harness/fake_pci.h"
#include "vmm/vfio_group.h"
#include "vmm/vfio_open.h"

#define OTHER  "0000:03:00.0"
#define MIB    (1ull << 20)
#define OPENED 8u

static struct {
    struct fake_pci fake;
    struct vfio_host host;
    struct machine_config config;
    struct husk_error err;
    const char *failing; /* opening a path that ends so gives `failure` */
    int failure;
    char opened[OPENED][128];
    unsigned count;
} t;

static int open_fake(void *opaque, const char *path)
{
    int fd;

    if (t.failing && strlen(path) > strlen(t.failing) &&
        !strcmp(path + strlen(path) - strlen(t.failing), t.failing))
        return t.failure;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    assert_true(t.count < OPENED);
    snprintf(t.opened[t.count++], sizeof(t.opened[0]), "%s", path + strlen(t.fake.dev));
    return fd;
}

static void make_file(const char *name)
{
    char path[256];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", t.fake.dev, name);
    for (char *at = path + strlen(t.fake.root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(path, 0755);
        *at = '/';
    }
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* A VF of group 10 that is bound to vfio-pci, on a host with groups but without iommufd. */
static int setup(void **state)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;

    memset(&t, 0, sizeof(t));
    fake_pci_make(&t.fake);
    t.host = (struct vfio_host){.sysfs = t.fake.sysfs, .dev = t.fake.dev, .open = open_fake};
    assert_int_equal(
        t.fake.host.store(&t.fake, "/sys/bus/pci/devices/" FAKE_PF "/sriov_numvfs", "2"), 0);
    fake_pci_set_driver(&t.fake, FAKE_VF, "vfio-pci");
    make_file("vfio/vfio");
    make_file("vfio/10");
    options.kernel_path = "kernel";
    return machine_config_init(&t.config, &options, &t.err);
}

static int teardown(void **state)
{
    machine_config_release(&t.config);
    fake_pci_remove(&t.fake);
    return 0;
}

static void add(const char *address, enum husk_vfio_iommu iommu)
{
    struct husk_vfio_options options = HUSK_VFIO_OPTIONS_INIT;

    options.address = address;
    options.iommu = iommu;
    assert_int_equal(machine_config_add_vfio(&t.config, &options, &t.err), 0);
}

static int open_devices(void)
{
    t.err = (struct husk_error){0};
    return vfio_open_devices(&t.host, &t.config, &t.err);
}

static void expect_error(int code, const char *text)
{
    char line[1024];

    assert_int_equal(open_devices(), -code);
    assert_string_equal(error_format(&t.err, line, sizeof(line)), text);
}

/* The host's second device, with iommufd's files. */
static void make_iommufd(const char *address, unsigned number)
{
    char name[64];

    fake_pci_directory(&t.fake, "bus/pci/devices/%s/vfio-dev/vfio%u", address, number);
    snprintf(name, sizeof(name), "vfio/devices/vfio%u", number);
    make_file(name);
    make_file("iommu");
}

/* ---- what is wrong with a device ---- */

static void test_no_device(void **state)
{
    add("0000:09:00.0", HUSK_VFIO_IOMMU_AUTO);
    expect_error(ENODEV, "0000:09:00.0: no such PCI device: lspci -D shows what there is, husk vf "
                         "list the virtual functions");
}

static void test_no_iommu(void **state)
{
    add("0000:02:00.0", HUSK_VFIO_IOMMU_AUTO);
    expect_error(ENODEV, "0000:02:00.0: cannot be given to the VM: the host's IOMMU is off: enable "
                         "VT-d or AMD-Vi in the firmware; then boot with intel_iommu=on on Intel, "
                         "without amd_iommu=off on AMD");
    fake_pci_directory(&t.fake, "class/iommu/dmar0");
    expect_error(ENODEV, "0000:02:00.0: cannot be given to the VM: the host's IOMMU is on, but not "
                         "for this device");
}

static void test_no_iommu_mode(void **state)
{
    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    fake_pci_file(&t.fake, "vfio-noiommu\n", "kernel/iommu_groups/10/name");
    expect_error(EINVAL, FAKE_VF ": cannot be given to the VM: its group is of VFIO's no-IOMMU "
                                 "mode, in which the guest could read and write all of the host's "
                                 "memory");
}

static void test_driver(void **state)
{
    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    fake_pci_set_driver(&t.fake, FAKE_VF, "igbvf");
    expect_error(EBUSY, FAKE_VF ": cannot be given to the VM: its driver is igbvf, not vfio-pci: "
                                "husk vf bind " FAKE_VF);
    fake_pci_set_driver(&t.fake, FAKE_VF, NULL);
    expect_error(EBUSY, FAKE_VF ": cannot be given to the VM: it has no driver: husk vf "
                                "bind " FAKE_VF);
    /* A driver of VFIO's for one kind of device. */
    fake_pci_set_driver(&t.fake, FAKE_VF, "mlx5_vfio_pci");
    assert_int_equal(open_devices(), 0);
}

static void test_no_vfio_driver(void **state)
{
    char path[256];

    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    fake_pci_set_driver(&t.fake, FAKE_VF, "igbvf");
    snprintf(path, sizeof(path), "%s/bus/pci/drivers/vfio-pci", t.fake.sysfs);
    assert_int_equal(rmdir(path), 0);
    expect_error(ENODEV, FAKE_VF ": cannot be given to the VM: the driver vfio-pci is missing: "
                                 "modprobe vfio-pci, then husk vf bind " FAKE_VF);
}

/* Each of them by its name, as far as there is room. */
static void test_not_viable(void **state)
{
    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    fake_pci_function(&t.fake, "0000:00:02.0", "0x060400\n", "pcieport", 10);
    fake_pci_function(&t.fake, "0000:00:03.0", "0x020000\n", NULL, 10);
    fake_pci_function(&t.fake, "0000:00:04.0", "0x020000\n", "pci-stub", 10);
    fake_pci_function(&t.fake, "0000:00:05.0", "0x020000\n", "vfio-pci", 10);
    assert_int_equal(open_devices(), 0);
    vfio_config_release(&t.config.vfios[0]);
    fake_pci_function(&t.fake, OTHER, "0x010802\n", "nvme", 10);
    expect_error(EBUSY, FAKE_VF ": cannot be given to the VM: its IOMMU group 10 is not viable, "
                                "bind all of it: " OTHER " (nvme)");
    for (unsigned i = 1; i < 5; i++) {
        char address[16];

        snprintf(address, sizeof(address), "0000:03:00.%u", i);
        fake_pci_function(&t.fake, address, "0x010802\n",
                          "a_driver_whose_name_is_longer_than_it_need_be", 10);
    }
    assert_int_equal(open_devices(), -EBUSY);
    assert_non_null(strstr(t.err.why, " and 2 more"));
    assert_true(strlen(t.err.why) < sizeof(t.err.why) - 1);
}

static void test_files(void **state)
{
    add(FAKE_VF, HUSK_VFIO_IOMMU_GROUP);
    t.failing = "vfio/vfio";
    t.failure = -ENOENT;
    assert_int_equal(open_devices(), -ENODEV);
    assert_non_null(strstr(t.err.why, "dev/vfio/vfio is missing: modprobe vfio-pci"));
    t.failing = "vfio/10";
    t.failure = -EACCES;
    assert_int_equal(open_devices(), -EACCES);
    assert_non_null(strstr(t.err.why, "no permission for"));
    assert_non_null(strstr(t.err.why, "dev/vfio/10: give it to your user (chown), or be root"));
    t.failure = -EBUSY;
    assert_int_equal(open_devices(), -EBUSY);
    assert_non_null(strstr(t.err.why, "dev/vfio/10 is in use: another VM or program has it open"));
    t.failure = -EMFILE;
    assert_int_equal(open_devices(), -EMFILE);
    assert_non_null(strstr(t.err.why, "dev/vfio/10: Too many open files"));
    assert_string_equal(t.err.where, FAKE_VF);
}

static void test_no_iommufd(void **state)
{
    add(FAKE_VF, HUSK_VFIO_IOMMU_IOMMUFD);
    assert_int_equal(open_devices(), -ENODEV);
    assert_non_null(strstr(t.err.why, "dev/iommu is missing: modprobe iommufd"));
    make_file("iommu");
    assert_int_equal(open_devices(), -ENODEV);
    assert_non_null(strstr(t.err.why, "no file for it below /dev/vfio/devices"));
    assert_non_null(strstr(t.err.why, "use iommu=group"));
}

/* ---- what is opened ---- */

static void test_group(void **state)
{
    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    assert_int_equal(open_devices(), 0);
    assert_int_equal(t.config.vfio_iommu, HUSK_VFIO_IOMMU_GROUP);
    assert_int_equal(t.config.vfios[0].iommu, HUSK_VFIO_IOMMU_GROUP);
    assert_int_equal(t.count, 2);
    assert_string_equal(t.opened[0], "/vfio/vfio");
    assert_string_equal(t.opened[1], "/vfio/10");
    assert_true(t.config.vfio_iommu_fd >= 0 && t.config.vfios[0].group_fd >= 0);
    assert_int_equal(t.config.vfios[0].device_fd, -1);
}

/* A second device of a group is reached by the same file, which opens once. */
static void test_two_of_a_group(void **state)
{
    struct stat one, two;

    fake_pci_function(&t.fake, OTHER, "0x010802\n", "vfio-pci", 10);
    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    add(OTHER, HUSK_VFIO_IOMMU_AUTO);
    assert_int_equal(open_devices(), 0);
    assert_int_equal(t.count, 2);
    assert_int_not_equal(t.config.vfios[0].group_fd, t.config.vfios[1].group_fd);
    assert_int_equal(fstat(t.config.vfios[0].group_fd, &one), 0);
    assert_int_equal(fstat(t.config.vfios[1].group_fd, &two), 0);
    assert_int_equal(one.st_ino, two.st_ino);
}

static void test_iommufd(void **state)
{
    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    make_iommufd(FAKE_VF, 3);
    assert_int_equal(open_devices(), 0);
    assert_int_equal(t.config.vfio_iommu, HUSK_VFIO_IOMMU_IOMMUFD);
    assert_int_equal(t.count, 2);
    assert_string_equal(t.opened[0], "/iommu");
    assert_string_equal(t.opened[1], "/vfio/devices/vfio3");
    assert_true(t.config.vfio_iommu_fd >= 0 && t.config.vfios[0].device_fd >= 0);
    assert_int_equal(t.config.vfios[0].group_fd, -1);
}

/* Only where all of them have it; and who asks for the other interface gets that. */
static void test_iommufd_for_all(void **state)
{
    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    make_iommufd(FAKE_VF, 3);
    fake_pci_function(&t.fake, OTHER, "0x010802\n", "vfio-pci", 21);
    make_file("vfio/21");
    add(OTHER, HUSK_VFIO_IOMMU_AUTO);
    assert_int_equal(open_devices(), 0);
    assert_int_equal(t.config.vfio_iommu, HUSK_VFIO_IOMMU_GROUP);
    assert_int_equal(t.count, 3);
}

static void test_asked_for_groups(void **state)
{
    add(FAKE_VF, HUSK_VFIO_IOMMU_GROUP);
    make_iommufd(FAKE_VF, 3);
    assert_int_equal(open_devices(), 0);
    assert_string_equal(t.opened[1], "/vfio/10");
}

/* What came as a descriptor is not looked for in sysfs; the IOMMU's file may still be ours. */
static void test_given(void **state)
{
    struct husk_vfio_options options = HUSK_VFIO_OPTIONS_INIT;

    make_file("iommu");
    options.device_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    options.address = "0000:09:00.0";
    assert_int_equal(machine_config_add_vfio(&t.config, &options, &t.err), 0);
    assert_int_equal(open_devices(), 0);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.opened[0], "/iommu");
    assert_int_equal(t.config.vfio_iommu, HUSK_VFIO_IOMMU_IOMMUFD);
    assert_int_equal(t.config.vfios[0].device_fd, options.device_fd);
}

/* ---- one more, of a VM that is built ---- */

static int open_another(const char *address, enum husk_vfio_iommu iommu, struct vfio_config *vfio,
                        int *iommu_fd)
{
    struct husk_vfio_options options = HUSK_VFIO_OPTIONS_INIT;

    options.address = address;
    options.iommu = iommu;
    assert_int_equal(config_make_vfio(&t.config, &options, vfio, iommu_fd, &t.err), 0);
    t.err = (struct husk_error){0};
    return vfio_open_another(&t.host, &t.config, vfio, iommu_fd, &t.err);
}

static void test_another_first(void **state)
{
    struct vfio_config vfio;
    int iommu_fd;

    assert_int_equal(open_another(FAKE_VF, HUSK_VFIO_IOMMU_AUTO, &vfio, &iommu_fd), 0);
    assert_int_equal(vfio.iommu, HUSK_VFIO_IOMMU_GROUP);
    assert_true(iommu_fd >= 0 && vfio.group_fd >= 0 && vfio.device_fd == -1);
    vfio_config_release(&vfio);
    close(iommu_fd);
    make_iommufd(FAKE_VF, 3);
    assert_int_equal(open_another(FAKE_VF, HUSK_VFIO_IOMMU_AUTO, &vfio, &iommu_fd), 0);
    assert_int_equal(vfio.iommu, HUSK_VFIO_IOMMU_IOMMUFD);
    assert_true(iommu_fd >= 0 && vfio.device_fd >= 0 && vfio.group_fd == -1);
    vfio_config_release(&vfio);
    close(iommu_fd);
    assert_int_equal(open_another(FAKE_VF, HUSK_VFIO_IOMMU_GROUP, &vfio, &iommu_fd), 0);
    assert_true(vfio.group_fd >= 0);
    vfio_config_release(&vfio);
    close(iommu_fd);
    assert_int_equal(open_another("0000:09:00.0", HUSK_VFIO_IOMMU_AUTO, &vfio, &iommu_fd), -ENODEV);
}

/* By the interface of the others; a group that is in use may be the VM's. */
static void test_another_second(void **state)
{
    struct vfio_config vfio;
    int iommu_fd;

    add(OTHER, HUSK_VFIO_IOMMU_GROUP);
    t.config.vfio_iommu = HUSK_VFIO_IOMMU_GROUP;
    make_iommufd(FAKE_VF, 3);
    assert_int_equal(open_another(FAKE_VF, HUSK_VFIO_IOMMU_AUTO, &vfio, &iommu_fd), 0);
    assert_true(iommu_fd == -1 && vfio.group_fd >= 0);
    vfio_config_release(&vfio);
    t.failing = "/vfio/10";
    t.failure = -EBUSY;
    assert_int_equal(open_another(FAKE_VF, HUSK_VFIO_IOMMU_AUTO, &vfio, &iommu_fd), 0);
    assert_true(iommu_fd == -1 && vfio.group_fd == -1 && vfio.device_fd == -1);
    t.config.vfio_count = 0;
    assert_int_equal(open_another(FAKE_VF, HUSK_VFIO_IOMMU_GROUP, &vfio, &iommu_fd), -EBUSY);
    assert_non_null(strstr(t.err.why, "is in use"));
    close(iommu_fd);
}

static void test_none(void **state)
{
    assert_int_equal(open_devices(), 0);
    assert_int_equal(t.count, 0);
    assert_int_equal(t.config.vfio_iommu_fd, -1);
}

/* ---- under the filter of husk serve ---- */

static bool open_all_ways(void)
{
    const enum husk_vfio_iommu ways[] = {HUSK_VFIO_IOMMU_GROUP, HUSK_VFIO_IOMMU_IOMMUFD};
    struct vfio_config vfio;
    int iommu_fd, ret;

    for (unsigned i = 0; i < ARRAY_SIZE(ways); i++) {
        if (open_another(FAKE_VF, ways[i], &vfio, &iommu_fd))
            return false;
        vfio_config_release(&vfio);
        close(iommu_fd);
    }
    ret = open_another("0000:02:00.0", HUSK_VFIO_IOMMU_AUTO, &vfio, &iommu_fd);
    if (ret != -ENODEV || !strstr(t.err.why, "IOMMU is off"))
        return false;
    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    if (open_devices() || t.config.vfio_iommu != HUSK_VFIO_IOMMU_IOMMUFD)
        return false;
    t.config.memory_bytes = MIB; /* the limit may be too low, which is an answer, too */
    ret = vfio_check_locked(&t.config, false, &t.err);
    return ret == 0 || ret == -ENOMEM;
}

/* Its thread that serves the API opens devices before the start and while the VM runs. */
static void test_filtered(void **state)
{
    int status = -1;
    pid_t pid;

    if (!seccomp_built_in()) {
        print_message(
            "skipped: seccomp: this build has sanitizers or coverage, hence no filters\n");
        skip();
    }
    fake_pci_function(&t.fake, OTHER, "0x010802\n", "vfio-pci", 10);
    make_iommufd(FAKE_VF, 3);
    pid = fork();
    if (pid == 0)
        _exit(seccomp_install(SECCOMP_API) == 0 && open_all_ways() ? EXIT_SUCCESS : EXIT_FAILURE);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- locked memory ---- */

static void test_limit(void **state)
{
    char line[1024];

    t.config.memory_bytes = 256 * MIB;
    assert_int_equal(vfio_locked_bytes(&t.config), 264 * MIB);
    assert_int_equal(vfio_check_limit(&t.config, 264 * MIB, &t.err), 0);
    assert_int_equal(vfio_check_limit(&t.config, UINT64_MAX, &t.err), 0);
    assert_int_equal(vfio_check_limit(&t.config, 264 * MIB - 1, &t.err), -ENOMEM);
    assert_int_equal(vfio_check_limit(&t.config, 8 * MIB, &t.err), -ENOMEM);
    assert_string_equal(error_format(&t.err, line, sizeof(line)),
                        "memory: cannot lock the guest's memory: devices of the host take 270336 "
                        "KiB of locked memory, and the limit is 8192 KiB: raise it (ulimit -l, "
                        "LimitMEMLOCK=, limits.conf)");
    /* Without such devices nothing is locked. */
    assert_int_equal(vfio_check_locked(&t.config, true, &t.err), 0);
}

static void test_cgroup(void **state)
{
    t.config.memory_bytes = 256 * MIB;
    assert_int_equal(vfio_check_cgroup(&t.config, MIB, &t.err), 0); /* nothing is locked */
    add(FAKE_VF, HUSK_VFIO_IOMMU_AUTO);
    assert_int_equal(vfio_check_cgroup(&t.config, 0, &t.err), 0);
    assert_int_equal(vfio_check_cgroup(&t.config, 264 * MIB, &t.err), 0);
    assert_int_equal(vfio_check_cgroup(&t.config, 264 * MIB - 1, &t.err), -ENOMEM);
    assert_string_equal(t.err.where, "jail: memory max");
    t.config.pages = HUSK_PAGES_2M;
    assert_int_equal(vfio_check_cgroup(&t.config, MIB, &t.err), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_device),
        CASE(test_no_iommu),
        CASE(test_no_iommu_mode),
        CASE(test_driver),
        CASE(test_no_vfio_driver),
        CASE(test_not_viable),
        CASE(test_files),
        CASE(test_no_iommufd),
        CASE(test_group),
        CASE(test_two_of_a_group),
        CASE(test_iommufd),
        CASE(test_iommufd_for_all),
        CASE(test_asked_for_groups),
        CASE(test_given),
        CASE(test_another_first),
        CASE(test_another_second),
        CASE(test_none),
        CASE(test_filtered),
        CASE(test_limit),
        CASE(test_cgroup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
