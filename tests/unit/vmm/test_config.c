// SPDX-License-Identifier: Apache-2.0
/* vmm/config.c: defaults, bounds, option structs of other releases, ownership of descriptors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "vmm/arch/arch.h"
#include "vmm/config.h"

static struct husk_vm_options good_vm(void)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;

    options.kernel_path = "vmlinux";
    return options;
}

static struct husk_drive_options good_drive(void)
{
    struct husk_drive_options options = HUSK_DRIVE_OPTIONS_INIT;

    options.path = "disk.img";
    return options;
}

static struct husk_net_options good_net(void)
{
    struct husk_net_options options = HUSK_NET_OPTIONS_INIT;

    options.tap_name = "tap0";
    return options;
}

static void test_defaults(void **state)
{
    struct husk_vm_options vm = good_vm();
    struct husk_drive_options drive = good_drive();
    struct husk_net_options net = good_net();
    struct machine_config config;

    assert_int_equal(machine_config_init(&config, &vm, NULL), 0);
    assert_int_equal(machine_config_add_drive(&config, &drive, NULL), 0);
    assert_int_equal(machine_config_add_net(&config, &net, NULL), 0);
    assert_string_equal(config.kernel.path, "vmlinux");
    assert_ptr_not_equal(config.kernel.path, vm.kernel_path);
    assert_null(config.initrd.path);
    assert_string_equal(config.command_line, husk_default_command_line(HUSK_CONSOLE_SERIAL));
    assert_int_equal(config.memory_bytes, 256 << 20);
    assert_int_equal(config.vcpus, 1);
    assert_true(config.rng);
    assert_int_equal(config.drive_count, 1);
    assert_int_equal(config.drives[0].queues, 1);
    assert_int_equal(config.drives[0].fd, -1);
    assert_int_equal(config.net_count, 1);
    assert_int_equal(config.nets[0].queue_pairs, 1);
    machine_config_release(&config);
}

#define VM_CASE(text, where_, code_, ...)                                    \
    {                                                                        \
        struct husk_vm_options vm = good_vm();                               \
        struct machine_config config;                                        \
        struct husk_error err = {0};                                         \
        __VA_ARGS__;                                                         \
        assert_int_equal(machine_config_init(&config, &vm, &err), -(code_)); \
        assert_int_equal(err.code, code_);                                   \
        assert_string_equal(err.where, where_);                              \
        assert_non_null(strstr(err.why, text));                              \
    }

static void test_bad_vm(void **state)
{
    static char long_line[5000];

    memset(long_line, 'x', sizeof(long_line) - 1);
    VM_CASE("no kernel", "kernel", EINVAL, vm.kernel_path = NULL)
    VM_CASE("empty", "kernel", EINVAL, vm.kernel_path = "")
    VM_CASE("empty", "initrd", EINVAL, vm.initrd_path = "")
    VM_CASE("between", "memory", ERANGE, vm.memory_bytes = 512)
    VM_CASE("multiple of 4096", "memory", EINVAL, vm.memory_bytes = (64 << 20) + 512)
    VM_CASE("between", "memory", ERANGE, vm.memory_bytes = 4096)
    VM_CASE("between", "memory", ERANGE, vm.memory_bytes = 1ull << 62)
    VM_CASE("between", "memory", ERANGE, vm.memory_bytes = UINT64_MAX - 4095)
    VM_CASE("more than", "vcpus", ERANGE, vm.vcpus = 100000)
    VM_CASE("multiple of 2 MiB", "memory", EINVAL, vm.memory_bytes = 65 << 20;
            vm.pages = HUSK_PAGES_2M)
    VM_CASE("no kind", "pages", EINVAL, vm.pages = (enum husk_pages)2)
    VM_CASE("no kind", "console", EINVAL, vm.console = (enum husk_console)9)
    VM_CASE("no level", "log level", EINVAL, vm.log_level = (enum husk_log_level) - 1)
    VM_CASE("longer", "command line", E2BIG, vm.command_line_append = long_line)
    /* Short enough, but not after the default words. */
    long_line[4090] = '\0';
    VM_CASE("longer", "command line", E2BIG, vm.command_line_append = long_line)
    VM_CASE("control character", "command line", EINVAL, vm.command_line_append = "a\nb")
}

static void test_command_line(void **state)
{
    struct husk_vm_options vm = good_vm();
    struct machine_config config;

    vm.command_line = "root=/dev/vda";
    vm.command_line_append = "ro";
    assert_int_equal(machine_config_init(&config, &vm, NULL), 0);
    assert_string_equal(config.command_line, "root=/dev/vda ro");
    machine_config_release(&config);
    vm.command_line = "";
    assert_int_equal(machine_config_init(&config, &vm, NULL), 0);
    assert_string_equal(config.command_line, "ro");
    machine_config_release(&config);
    vm.command_line = "a\tb";
    assert_int_equal(machine_config_init(&config, &vm, NULL), -EINVAL);
}

static void test_good_vm_limits(void **state)
{
    struct husk_vm_options vm = good_vm();
    struct machine_config config;

    vm.memory_bytes = 1 << 20;
    vm.vcpus = 255;
    vm.console = HUSK_CONSOLE_NONE;
    vm.kernel_path = NULL;
    vm.kernel_fd = 0;
    assert_int_equal(machine_config_init(&config, &vm, NULL), 0);
    assert_int_equal(config.memory_bytes, 1 << 20);
    assert_int_equal(config.kernel.callers_fd, 0);
    machine_config_release(&config);
    assert_int_equal(fcntl(0, F_GETFD) >= 0 || errno == EBADF, 1);
}

#define DRIVE_CASE(text, where_, code_, ...)                                        \
    {                                                                               \
        struct husk_drive_options drive = good_drive();                             \
        struct husk_error err = {0};                                                \
        __VA_ARGS__;                                                                \
        assert_int_equal(machine_config_add_drive(config, &drive, &err), -(code_)); \
        assert_string_equal(err.where, where_);                                     \
        assert_non_null(strstr(err.why, text));                                     \
        assert_int_equal(config->drive_count, 0);                                   \
    }

#define NET_CASE(text, where_, code_, ...)                                      \
    {                                                                           \
        struct husk_net_options net = good_net();                               \
        struct husk_error err = {0};                                            \
        __VA_ARGS__;                                                            \
        assert_int_equal(machine_config_add_net(config, &net, &err), -(code_)); \
        assert_string_equal(err.where, where_);                                 \
        assert_non_null(strstr(err.why, text));                                 \
        assert_int_equal(config->net_count, 0);                                 \
    }

static int setup(void **state)
{
    struct husk_vm_options vm = good_vm();

    *state = calloc(1, sizeof(struct machine_config));
    return machine_config_init(*state, &vm, NULL);
}

static int teardown(void **state)
{
    machine_config_release(*state);
    free(*state);
    return 0;
}

static void test_bad_drive(void **state)
{
    static const int half[] = {0, -1};
    struct machine_config *config = *state;

    DRIVE_CASE("no file", "drive 1", EINVAL, drive.path = NULL)
    DRIVE_CASE("no file", "drive 1", EINVAL, drive.path = "")
    DRIVE_CASE("no engine", "drive 1", EINVAL, drive.engine = (enum husk_block_engine)7)
    DRIVE_CASE("between 1 and 16", "drive 1: queues", ERANGE, drive.queues = 17)
    DRIVE_CASE("no rate", "drive 1: operations", EINVAL, drive.operations.burst = 5)
    DRIVE_CASE("no rate", "drive 1: bandwidth", EINVAL, drive.bandwidth.burst = 5)
    DRIVE_CASE("read only", "drive 1", EINVAL, (drive.more_fds = half, drive.more_fd_count = 1))
    DRIVE_CASE("read only", "drive 1", EINVAL, (drive.read_only = 1, drive.more_fd_count = 1))
    DRIVE_CASE("file 3 is -1", "drive 1", EBADF,
               (drive.read_only = 1, drive.more_fds = half, drive.more_fd_count = 2))
    DRIVE_CASE("more than 128", "drive 1", E2BIG,
               (drive.read_only = 1, drive.more_fds = half, drive.more_fd_count = 128))
}

static void test_bad_net(void **state)
{
    static const int half[] = {0, -1}, whole[] = {0};
    struct machine_config *config = *state;

    NET_CASE("no tap", "net 1", EINVAL, net.tap_name = NULL)
    NET_CASE("15 characters", "net 1", ENAMETOOLONG, net.tap_name = "a234567890123456")
    NET_CASE("group", "net 1", EINVAL, net.mac[0] = 0x01)
    NET_CASE("less than 68", "net 1", ERANGE, net.mtu = 67)
    NET_CASE("between 1 and 16", "net 1: queue pairs", ERANGE, net.queue_pairs = 17)
    NET_CASE("queue pair 2 is -1", "net 1", EBADF, (net.tap_fds = half, net.queue_pairs = 2))
    NET_CASE("queue pair 2 is -1", "net 1", EBADF, (net.vhost_fds = half, net.queue_pairs = 2))
    NET_CASE("vhost is off", "net 1", EINVAL, (net.vhost_fds = whole, net.vhost = HUSK_VHOST_OFF))
    NET_CASE("no vhost mode", "net 1", EINVAL, net.vhost = (enum husk_vhost)5)
    NET_CASE("no rate limits", "net 1", EINVAL,
             (net.vhost = HUSK_VHOST_ON, net.tx_operations.per_second = 1))
    NET_CASE("no rate", "net 1: receive bandwidth", EINVAL, net.rx_bandwidth.burst = 1)
}

static void test_rates_exclude_vhost(void **state)
{
    struct machine_config *config = *state;
    struct husk_net_options net = good_net();

    net.rx_bandwidth.per_second = 1000;
    assert_int_equal(machine_config_add_net(config, &net, NULL), 0);
    assert_int_equal(config->nets[0].vhost, HUSK_VHOST_OFF);
}

static void test_device_numbers(void **state)
{
    struct machine_config *config = *state;
    struct husk_drive_options drive = good_drive();
    struct husk_net_options net = good_net();
    struct husk_error err = {0};

    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(machine_config_add_drive(config, &drive, NULL), 0);
    /* The entropy device takes a place as well. */
    for (unsigned i = 0; i < arch_virtio_mmio_max - 1 - 10; i++) {
        char tap_name[16];

        snprintf(tap_name, sizeof(tap_name), "tap%u", i);
        net.tap_name = tap_name;
        assert_int_equal(machine_config_add_net(config, &net, NULL), 0);
    }
    assert_int_equal(machine_config_add_drive(config, &drive, &err), -ENOSPC);
    assert_string_equal(err.where, "drive 11");
    assert_int_equal(machine_config_add_net(config, &net, &err), -ENOSPC);
    assert_int_equal(config->drive_count, 10);
    assert_int_equal(config->net_count, arch_virtio_mmio_max - 1 - 10);
}

static void test_tap_given_twice(void **state)
{
    struct machine_config *config = *state;
    struct husk_net_options net = good_net();
    struct husk_error err = {0};

    assert_int_equal(machine_config_add_net(config, &net, NULL), 0);
    assert_int_equal(machine_config_add_net(config, &net, &err), -EINVAL);
    assert_string_equal(err.where, "net 2");
    assert_non_null(strstr(err.why, "given to net 1"));
    assert_int_equal(config->net_count, 1);
}

/* Taken on success only, and closed by the release. */
static void test_owned_descriptors(void **state)
{
    struct husk_vm_options vm = good_vm();
    struct husk_drive_options drive = good_drive();
    struct machine_config config;
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_int_equal(machine_config_init(&config, &vm, NULL), 0);
    drive.path = NULL;
    drive.fd = fd;
    drive.queues = 99;
    assert_int_equal(machine_config_add_drive(&config, &drive, NULL), -ERANGE);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    drive.queues = 1;
    assert_int_equal(machine_config_add_drive(&config, &drive, NULL), 0);
    machine_config_release(&config);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
}

/* What goes back to the host must be nobody else's, and no part of a huge page. */
static void test_free_page_reporting(void **state)
{
    struct husk_vm_options vm = good_vm();
    struct machine_config config;
    struct husk_error err;

    vm.free_page_reporting = 1;
    assert_int_equal(machine_config_init(&config, &vm, NULL), 0);
    assert_true(config.free_page_reporting);
    machine_config_release(&config);
    vm.memory_shared = 1;
    assert_int_equal(machine_config_init(&config, &vm, &err), -EINVAL);
    assert_string_equal(err.where, "free page reporting");
    vm.memory_shared = 0;
    vm.pages = HUSK_PAGES_2M;
    assert_int_equal(machine_config_init(&config, &vm, &err), -EINVAL);
}

/* A caller built against a release whose struct ended before `rng` and the log. */
static void test_older_struct(void **state)
{
    struct husk_vm_options vm = good_vm();
    struct machine_config config;

    vm.size = offsetof(struct husk_vm_options, no_rng);
    vm.vcpus = 3;
    vm.no_rng = 1;                            /* beyond the caller's struct: not looked at */
    vm.log_level = (enum husk_log_level)1000; /* the same */
    assert_int_equal(machine_config_init(&config, &vm, NULL), 0);
    assert_int_equal(config.vcpus, 3);
    assert_true(config.rng);
    machine_config_release(&config);
}

static void test_newer_struct(void **state)
{
    struct {
        struct husk_vm_options known;
        uint64_t unknown;
    } vm = {.known = good_vm()};
    struct machine_config config;
    struct husk_error err = {0};

    vm.known.size = sizeof(vm);
    assert_int_equal(machine_config_init(&config, &vm.known, NULL), 0);
    machine_config_release(&config);
    vm.unknown = 1;
    assert_int_equal(machine_config_init(&config, &vm.known, &err), -E2BIG);
    assert_non_null(strstr(err.why, "newer release"));
}

static void test_struct_without_size(void **state)
{
    struct husk_vm_options vm = good_vm();
    struct machine_config config;
    struct husk_error err = {0};

    vm.size = 0;
    assert_int_equal(machine_config_init(&config, &vm, &err), -EINVAL);
    assert_non_null(strstr(err.why, "_INIT"));
    memset(&vm.size, 0xa5, sizeof(vm.size)); /* as a forgotten initialiser leaves it */
    assert_int_equal(machine_config_init(&config, &vm, &err), -EINVAL);
    assert_int_equal(machine_config_init(&config, NULL, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_bad_vm),
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_good_vm_limits),
        cmocka_unit_test_setup_teardown(test_bad_drive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_net, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rates_exclude_vhost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_device_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tap_given_twice, setup, teardown),
        cmocka_unit_test(test_owned_descriptors),
        cmocka_unit_test(test_older_struct),
        cmocka_unit_test(test_free_page_reporting),
        cmocka_unit_test(test_newer_struct),
        cmocka_unit_test(test_struct_without_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
