// SPDX-License-Identifier: Apache-2.0
/* From settings to libhusk's options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>

#include "api_fixture.h"
#include "vmm/api/start.h"

#define FILE_PATH "/proc/self/exe" /* exists, and can only be read */

static int set_up(void **state)
{
    *state = fixture_api();
    return 0;
}

static int tear_down(void **state)
{
    api_destroy(*state);
    return 0;
}

static void put_drive(struct api *api, const char *id, bool root, const char *more)
{
    char path[96], body[512];

    snprintf(path, sizeof(path), "/drives/%s", id);
    snprintf(body, sizeof(body),
             "{\"drive_id\":\"%s\",\"path_on_host\":\"" FILE_PATH "\",\"is_read_only\":true,"
             "\"is_root_device\":%s%s}",
             id, root ? "true" : "false", more);
    DONE(PUT, path, body);
}

static void expect_drives(const struct api *api, const char *ids)
{
    char found[256] = "";

    for (unsigned i = 0; i < api->drive_count; i++) {
        strcat(found, i ? " " : "");
        strcat(found, api->drives[i].drive_id);
    }
    assert_string_equal(found, ids);
}

static void test_root_drive_comes_first(void **state)
{
    struct api *api = *state;

    put_drive(api, "2", false, "");
    put_drive(api, "3", false, "");
    put_drive(api, "1", true, "");
    expect_drives(api, "1 2 3");
    put_drive(api, "4", false, "");
    put_drive(api, "2", false, ",\"cache_type\":\"Writeback\"");
    expect_drives(api, "1 2 3 4");
    put_drive(api, "1", true, "");
    expect_drives(api, "1 2 3 4");
}

static void test_one_root_drive(void **state)
{
    struct api *api = *state;

    put_drive(api, "a", true, "");
    REFUSED(PUT, "/drives/b",
            "{\"drive_id\":\"b\",\"path_on_host\":\"" FILE_PATH "\",\"is_read_only\":true,"
            "\"is_root_device\":true}",
            "A root block device already exists!");
    expect_drives(api, "a");
    put_drive(api, "a", false, "");
    put_drive(api, "c", false, "");
    put_drive(api, "c", true, "");
    expect_drives(api, "c a");
}

static void test_refused_drives(void **state)
{
    struct api *api = *state;

    REFUSED(PUT, "/drives/a", "{\"drive_id\":\"a\",\"is_root_device\":true}", "path_on_host");
    REFUSED(PUT, "/drives/a", "{\"drive_id\":\"a\",\"is_root_device\":true,\"socket\":\"/s\"}",
            "socket");
    REFUSED(PUT, "/drives/a",
            "{\"drive_id\":\"a\",\"is_root_device\":true,\"path_on_host\":\"/no/such\"}",
            "/no/such");
    expect_drives(api, "");
}

static void test_too_many_drives(void **state)
{
    struct api *api = *state;
    char id[16];

    for (unsigned i = 0; i < API_DEVICES_MAX; i++) {
        snprintf(id, sizeof(id), "d%u", i);
        put_drive(api, id, false, "");
    }
    REFUSED(PUT, "/drives/more",
            "{\"drive_id\":\"more\",\"path_on_host\":\"" FILE_PATH "\",\"is_read_only\":true,"
            "\"is_root_device\":true}",
            "32 drives");
    put_drive(api, "d31", true, "");
    assert_string_equal(api->drives[0].drive_id, "d31");
    assert_string_equal(api->drives[31].drive_id, "d30");
}

static void test_drive_options(void **state)
{
    struct api *api = *state;
    struct husk_drive_options options;

    put_drive(api, "a", false,
              ",\"io_engine\":\"Async\",\"rate_limiter\":{\"ops\":{\"size\":10,"
              "\"refill_time\":100},\"bandwidth\":null}");
    drive_options_of(&api->drives[0], &options);
    assert_string_equal(options.id, "a");
    assert_string_equal(options.path, FILE_PATH);
    assert_true(options.read_only);
    assert_int_equal(options.engine, HUSK_BLOCK_ENGINE_URING);
    assert_int_equal(options.operations.per_second, 100);
    assert_int_equal(options.operations.burst, 10);
    assert_int_equal(options.bandwidth.per_second, 0);
    put_drive(api, "a", false, ",\"io_engine\":\"Sync\"");
    drive_options_of(&api->drives[0], &options);
    assert_int_equal(options.engine, HUSK_BLOCK_ENGINE_THREADS);
    put_drive(api, "a", false, "");
    drive_options_of(&api->drives[0], &options);
    assert_int_equal(options.engine, HUSK_BLOCK_ENGINE_AUTO);
}

static void expect_line(const struct api *api, const char *line)
{
    char *found = command_line_of(api);

    assert_string_equal(found, line);
    free(found);
}

static void test_command_line(void **state)
{
    struct api *api = *state;

    DONE(PUT, "/boot-source", "{\"kernel_image_path\":\"" FILE_PATH "\"}");
    expect_line(api, "reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux "
                     "i8042.dumbkbd swiotlb=noforce pci=off");
    DONE(PUT, "/boot-source", "{\"kernel_image_path\":\"" FILE_PATH "\",\"boot_args\":\"a b\"}");
    expect_line(api, "a b pci=off");
    /* What firectl passes by default. */
    DONE(PUT, "/boot-source",
         "{\"kernel_image_path\":\"" FILE_PATH "\",\"boot_args\":\"ro noapic reboot=k noapic\"}");
    expect_line(api, "ro reboot=k  pci=off");
    DONE(PUT, "/boot-source",
         "{\"kernel_image_path\":\"" FILE_PATH "\",\"boot_args\":\"xnoapic noapic=1\"}");
    expect_line(api, "xnoapic noapic=1 pci=off");
    DONE(PUT, "/boot-source", "{\"kernel_image_path\":\"" FILE_PATH "\",\"boot_args\":\"a b\"}");
    put_drive(api, "x", false, "");
    expect_line(api, "a b pci=off");
    put_drive(api, "r", true, "");
    expect_line(api, "a b pci=off root=/dev/vda ro");
    put_drive(api, "r", true, ",\"partuuid\":\"0eaa91a0-01\"");
    expect_line(api, "a b pci=off root=PARTUUID=0eaa91a0-01 ro");
    put_drive(api, "r", true, ",\"partuuid\":\"\"");
    expect_line(api, "a b pci=off root=/dev/vda ro");
    DONE(PUT, "/boot-source", "{\"kernel_image_path\":\"" FILE_PATH "\",\"boot_args\":\"\"}");
    expect_line(api, "pci=off root=/dev/vda ro");
    DONE(PUT, "/boot-source",
         "{\"kernel_image_path\":\"" FILE_PATH "\",\"boot_args\":\"pci=off ro\"}");
    expect_line(api, "pci=off ro root=/dev/vda ro");
}

static void test_pci(void **state)
{
    struct api *api = *state;
    struct husk_vm_options options;

    DONE(PUT, "/boot-source", "{\"kernel_image_path\":\"" FILE_PATH "\",\"boot_args\":\"a\"}");
    vm_options_of(api, "a", &options);
    assert_int_equal(options.transport, HUSK_TRANSPORT_MMIO);
    api->options.enable_pci = true;
    vm_options_of(api, "a", &options);
    assert_int_equal(options.transport, HUSK_TRANSPORT_PCI);
    expect_line(api, "a");
}

static void test_refused_boot_sources(void **state)
{
    struct api *api = *state;
    char body[3000], args[2100];

    REFUSED(PUT, "/boot-source", "{\"kernel_image_path\":\"/no/kernel\"}", "/no/kernel");
    REFUSED(PUT, "/boot-source", "{\"kernel_image_path\":\"/dev/null\"}",
            "kernel_image_path: The kernel file cannot be opened: it is not a regular file "
            "(/dev/null)");
    REFUSED(PUT, "/boot-source",
            "{\"kernel_image_path\":\"" FILE_PATH "\",\"initrd_path\":\"/no/initrd\"}",
            "/no/initrd");
    REFUSED(PUT, "/boot-source",
            "{\"kernel_image_path\":\"" FILE_PATH "\",\"boot_args\":\"a\\nb\"}", "boot_args");
    memset(args, 'x', 2048);
    args[2048] = '\0';
    snprintf(body, sizeof(body), "{\"kernel_image_path\":\"" FILE_PATH "\",\"boot_args\":\"%s\"}",
             args);
    REFUSED(PUT, "/boot-source", body, "boot_args");
    assert_false(api->boot.given);
}

static void test_machine_options(void **state)
{
    struct api *api = *state;
    struct husk_vm_options options;

    DONE(PUT, "/machine-config",
         "{\"vcpu_count\":4,\"mem_size_mib\":256,\"smt\":true,\"huge_pages\":\"2M\"}");
    vm_options_of(api, "line", &options);
    assert_int_equal(options.vcpus, 4);
    assert_int_equal(options.threads_per_core, 2);
    assert_true(options.memory_bytes == 256ull << 20);
    assert_int_equal(options.pages, HUSK_PAGES_2M);
    assert_int_equal(options.mode, HUSK_MODE_IN_PROCESS);
    assert_true(options.confine_threads);
    assert_true(options.no_rng);
    assert_string_equal(options.command_line, "line");
    DONE(PATCH, "/machine-config", "{\"vcpu_count\":1}");
    DONE(PUT, "/entropy", "{\"rate_limiter\":{\"bandwidth\":{\"size\":100,\"refill_time\":1000}}}");
    vm_options_of(api, "line", &options);
    assert_int_equal(options.threads_per_core, 1);
    assert_false(options.no_rng);
    assert_int_equal(options.rng_rate.per_second, 100);
}

static void test_refused_machines(void **state)
{
    struct api *api = *state;

    REFUSED(PUT, "/machine-config", "{\"vcpu_count\":0,\"mem_size_mib\":1}", "vcpu_count");
    REFUSED(PUT, "/machine-config", "{\"vcpu_count\":33,\"mem_size_mib\":1}", "vcpu_count");
    REFUSED(PUT, "/machine-config", "{\"vcpu_count\":3,\"mem_size_mib\":1,\"smt\":true}",
            "vcpu_count");
    REFUSED(PUT, "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":0}", "mem_size_mib");
    REFUSED(PUT, "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":9223372036854775807}",
            "mem_size_mib");
    REFUSED(PUT, "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":3,\"huge_pages\":\"2M\"}",
            "mem_size_mib");
    REFUSED(PUT, "/machine-config", "{\"vcpu_count\":1,\"mem_size_mib\":1,\"cpu_template\":\"T2\"}",
            "cpu_template");
    REFUSED(PATCH, "/machine-config", "{}", "Empty PATCH request.");
    assert_int_equal(api->machine.vcpu_count.value, 1);
    assert_int_equal(api->machine.mem_size_mib.value, 128);
    DONE(PATCH, "/machine-config", "{\"cpu_template\":\"None\"}");
    assert_false(api->machine.cpu_template.given);
}

static void test_net_options(void **state)
{
    static const uint8_t mac[6] = {0xaa, 0xfc, 0, 0, 0, 1};
    struct api *api = *state;
    struct husk_net_options options;

    DONE(PUT, "/network-interfaces/eth0",
         "{\"iface_id\":\"eth0\",\"host_dev_name\":\"tap0\",\"guest_mac\":\"AA:fc:00:00:00:01\","
         "\"mtu\":9000,\"rx_rate_limiter\":{\"bandwidth\":{\"size\":1000,\"refill_time\":10}},"
         "\"tx_rate_limiter\":{\"ops\":{\"size\":5,\"refill_time\":1000}}}");
    net_options_of(&api->nets[0], &options);
    assert_string_equal(options.id, "eth0");
    assert_string_equal(options.tap_name, "tap0");
    assert_memory_equal(options.mac, mac, 6);
    assert_int_equal(options.mtu, 9000);
    assert_int_equal(options.rx_bandwidth.per_second, 100000);
    assert_int_equal(options.tx_operations.per_second, 5);
    assert_int_equal(options.vhost, HUSK_VHOST_OFF);
    REFUSED(PUT, "/network-interfaces/eth1",
            "{\"iface_id\":\"eth1\",\"host_dev_name\":\"tap1\","
            "\"guest_mac\":\"aa:fc:00:00:00:01\"}",
            "The MAC address is already in use");
    REFUSED(PUT, "/network-interfaces/eth1",
            "{\"iface_id\":\"eth1\",\"host_dev_name\":\"tap1\",\"guest_mac\":\"aa:fc\"}",
            "guest_mac");
    DONE(PUT, "/network-interfaces/eth0",
         "{\"iface_id\":\"eth0\",\"host_dev_name\":\"tap1\",\"guest_mac\":\"aa:fc:00:00:00:01\"}");
    assert_int_equal(api->net_count, 1);
    assert_string_equal(api->nets[0].host_dev_name, "tap1");
}

static void test_devices_of_the_host(void **state)
{
    struct api *api = *state;
    struct husk_vfio_options options;

    REFUSED(PUT, "/vfio/v", "{\"vfio_id\":\"v\",\"address\":\"01:10.0\"}", "PCI is not enabled");
    api->options.enable_pci = true;
    DONE(PUT, "/vfio/v", "{\"vfio_id\":\"v\",\"address\":\"01:10.0\",\"iommu\":\"Iommufd\"}");
    vfio_options_of(&api->vfios[0], &options);
    assert_string_equal(options.id, "v");
    assert_string_equal(options.address, "0000:01:10.0");
    assert_int_equal(options.iommu, HUSK_VFIO_IOMMU_IOMMUFD);
    assert_int_equal(options.device_fd, -1);
    REFUSED(PUT, "/vfio/w", "{\"vfio_id\":\"w\",\"address\":\"0000:01:10.0\"}",
            "given to v already");
    REFUSED(PUT, "/vfio/w", "{\"vfio_id\":\"w\",\"address\":\"1:10.0\"}", "address");
    REFUSED(PUT, "/vfio/w", "{\"vfio_id\":\"v\",\"address\":\"01:10.2\"}",
            "does not match the id from the body");
    /* A later request replaces an earlier one. */
    DONE(PUT, "/vfio/v", "{\"vfio_id\":\"v\",\"address\":\"01:10.2\"}");
    assert_int_equal(api->vfio_count, 1);
    vfio_options_of(&api->vfios[0], &options);
    assert_string_equal(options.address, "0000:01:10.2");
    assert_int_equal(options.iommu, HUSK_VFIO_IOMMU_AUTO);
    REFUSED(DELETE, "/vfio/v", NULL, "before starting");
}

static void test_failed_start_leaves_nothing(void **state)
{
    struct api *api = *state;

    /* No kernel at all. */
    DONE(PUT, "/boot-source", "{\"kernel_image_path\":\"/proc/self/status\"}");
    for (unsigned i = 0; i < 2; i++) {
        REFUSED(PUT, "/actions", "{\"action_type\":\"InstanceStart\"}", "Start microvm error");
        assert_null(api->vm);
    }
    DONE(PATCH, "/machine-config", "{\"vcpu_count\":2}");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_root_drive_comes_first),
        TEST(test_one_root_drive),
        TEST(test_refused_drives),
        TEST(test_too_many_drives),
        TEST(test_drive_options),
        TEST(test_command_line),
        TEST(test_pci),
        TEST(test_refused_boot_sources),
        TEST(test_machine_options),
        TEST(test_refused_machines),
        TEST(test_net_options),
        TEST(test_devices_of_the_host),
        TEST(test_failed_start_leaves_nothing),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
