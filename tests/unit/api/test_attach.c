// SPDX-License-Identifier: Apache-2.0
/*
 * A VM that somebody else configured, behind the API: what is told of it, and devices that come and
 * go. The VM is not built here, so that no KVM is needed; libhusk takes devices all the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api_fixture.h"

#define FILE_PATH "/proc/self/exe" /* exists, and can only be read */
#define DRIVE(id)                                                                        \
    "{\"drive_id\":\"" id "\",\"path_on_host\":\"" FILE_PATH "\",\"is_read_only\":true," \
    "\"is_root_device\":false}"

struct fixture {
    struct api *api;
    struct husk_vm *vm;
    struct husk_vm_options options;
    struct husk_drive_options drives[2];
    struct husk_net_options nets[1];
    struct husk_vfio_options vfios[1];
    struct husk_vsock_options vsock;
    struct api_machine machine;
};

static int set_up(void **state)
{
    static const struct husk_vm_options vm = HUSK_VM_OPTIONS_INIT;
    static const struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    static const struct husk_net_options net = HUSK_NET_OPTIONS_INIT;
    static const struct husk_vfio_options vfio = HUSK_VFIO_OPTIONS_INIT;
    static const struct husk_vsock_options vsock = HUSK_VSOCK_OPTIONS_INIT;
    struct fixture *f = calloc(1, sizeof(*f));

    f->api = fixture_api();
    f->options = vm;
    f->options.kernel_path = "/k";
    f->options.transport = HUSK_TRANSPORT_PCI;
    f->options.vcpus = 2;
    f->options.threads_per_core = 2;
    f->options.memory_bytes = 3 << 19; /* 1.5 MiB */
    f->drives[0] = f->drives[1] = drive;
    f->drives[0].id = "drive2";
    f->drives[0].path = "/a";
    f->drives[0].read_only = 1;
    f->drives[0].engine = HUSK_BLOCK_ENGINE_THREADS;
    f->drives[0].bandwidth.per_second = 4096;
    f->drives[1].path = "/\xff";
    f->nets[0] = net;
    f->nets[0].tap_name = "t0";
    f->nets[0].mac[0] = 2;
    f->nets[0].mtu = 9000;
    f->nets[0].tx_operations.per_second = 10;
    f->vfios[0] = vfio;
    f->vfios[0].address = "0000:01:10.0";
    f->vfios[0].iommu = HUSK_VFIO_IOMMU_GROUP;
    f->vsock = vsock;
    f->vsock.guest_cid = 7;
    f->vsock.path = "/v";
    assert_int_equal(husk_vm_new(&f->options, &f->vm, NULL), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(husk_vm_add_drive(f->vm, &f->drives[i], NULL), 0);
    assert_int_equal(husk_vm_add_net(f->vm, &f->nets[0], NULL), 0);
    assert_int_equal(husk_vm_add_vfio(f->vm, &f->vfios[0], NULL), 0);
    f->machine = (struct api_machine){.vm = f->vm,
                                      .options = &f->options,
                                      .drives = f->drives,
                                      .drive_count = 2,
                                      .nets = f->nets,
                                      .net_count = 1,
                                      .vfios = f->vfios,
                                      .vfio_count = 1,
                                      .vsock = &f->vsock};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    api_destroy(f->api);
    husk_vm_free(f->vm);
    free(f);
    return 0;
}

static void expect_config(struct api *api, const char *words)
{
    char *text;

    assert_int_equal(request(api, API_GET, "/vm/config", NULL, &text), 200);
    if (!strstr(text, words))
        fail_msg("%s, without %s", text, words);
    free(text);
}

static void test_what_is_told(void **state)
{
    struct fixture *f = *state;
    struct api *api = f->api;

    assert_int_equal(api_attach(api, &f->machine, NULL), 0);
    expect_config(api, "\"vcpu_count\":2,\"mem_size_mib\":2,\"smt\":true");
    expect_config(api, "\"kernel_image_path\":\"/k\"");
    expect_config(api, "\"guest_cid\":7,\"uds_path\":\"/v\"");
    expect_config(api, "\"drive_id\":\"drive2\"");
    /* The ids that libhusk gives: drive2 is taken. */
    expect_config(api, "\"drive_id\":\"drive3\"");
    expect_config(api, "\"path_on_host\":\"/?\"");
    expect_config(api, "\"io_engine\":\"Sync\"");
    expect_config(api, "\"iface_id\":\"net1\",\"host_dev_name\":\"t0\","
                       "\"guest_mac\":\"02:00:00:00:00:00\",\"mtu\":9000");
    expect_config(api, "\"size\":4096");
    expect_config(
        api, "\"vfio\":[{\"vfio_id\":\"vfio1\",\"address\":\"0000:01:10.0\",\"iommu\":\"Group\"}]");
    REFUSED(PUT, "/actions", "{\"action_type\":\"InstanceStart\"}", "after starting");
    REFUSED(PUT, "/boot-source", "{\"kernel_image_path\":\"" FILE_PATH "\"}", "after starting");
}

static void test_devices_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct api *api = f->api;

    assert_int_equal(api_attach(api, &f->machine, NULL), 0);
    DONE(PUT, "/drives/more", DRIVE("more"));
    expect_config(api, "\"drive_id\":\"more\"");
    REFUSED(PUT, "/drives/more", DRIVE("more"), "Device ID in use");
    REFUSED(PUT, "/drives/drive3", DRIVE("drive3"), "Device ID in use");
    REFUSED(PUT, "/drives/r",
            "{\"drive_id\":\"r\",\"path_on_host\":\"" FILE_PATH "\",\"is_read_only\":true,"
            "\"is_root_device\":true}",
            "root");
    REFUSED(PUT, "/drives/n",
            "{\"drive_id\":\"n\",\"path_on_host\":\"/no/such\",\"is_root_device\":false}",
            "/no/such");
    REFUSED(DELETE, "/drives/none", NULL, "Device not found");
    DONE(DELETE, "/drives/drive2", NULL);
    REFUSED(DELETE, "/drives/drive2", NULL, "Device not found");
    assert_int_equal(api->drive_count, 2);
    assert_string_equal(api->drives[0].drive_id, "drive3");
    assert_string_equal(api->drives[1].drive_id, "more");
    DONE(PUT, "/drives/drive2", DRIVE("drive2"));

    DONE(PUT, "/network-interfaces/e", "{\"iface_id\":\"e\",\"host_dev_name\":\"t1\"}");
    REFUSED(PUT, "/network-interfaces/e", "{\"iface_id\":\"e\",\"host_dev_name\":\"t2\"}",
            "Device ID in use");
    REFUSED(PUT, "/network-interfaces/f",
            "{\"iface_id\":\"f\",\"host_dev_name\":\"t2\",\"guest_mac\":\"02:00:00:00:00:00\"}",
            "already in use");
    DONE(DELETE, "/network-interfaces/net1", NULL);
    REFUSED(DELETE, "/network-interfaces/net1", NULL, "Device not found");
    assert_int_equal(api->net_count, 1);
    assert_string_equal(api->nets[0].iface_id, "e");
}

static void test_devices_of_the_host_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct api *api = f->api;

    assert_int_equal(api_attach(api, &f->machine, NULL), 0);
    DONE(PUT, "/vfio/v", "{\"vfio_id\":\"v\",\"address\":\"01:10.2\"}");
    assert_string_equal(api->vfios[1].address, "0000:01:10.2");
    REFUSED(PUT, "/vfio/v", "{\"vfio_id\":\"v\",\"address\":\"01:10.4\"}", "Device ID in use");
    REFUSED(PUT, "/vfio/w", "{\"vfio_id\":\"w\",\"address\":\"0000:01:10.0\"}",
            "given to vfio1 already");
    /* What libhusk says. */
    REFUSED(PUT, "/vfio/w", "{\"vfio_id\":\"w\",\"address\":\"01:10.4\",\"iommu\":\"Iommufd\"}",
            "all devices use either groups or iommufd");
    REFUSED(DELETE, "/vfio/none", NULL, "Device not found");
    DONE(DELETE, "/vfio/vfio1", NULL);
    REFUSED(DELETE, "/vfio/vfio1", NULL, "Device not found");
    assert_int_equal(api->vfio_count, 1);
    assert_string_equal(api->vfios[0].vfio_id, "v");
    device_gone(api, &vfio_kind, "none");
    device_gone(api, &vfio_kind, "v");
    assert_int_equal(api->vfio_count, 0);
}

static void test_the_root_drive_stays(void **state)
{
    struct fixture *f = *state;
    struct api *api = f->api;

    assert_int_equal(api_attach(api, &f->machine, NULL), 0);
    api->drives[0].is_root_device.value = true;
    REFUSED(DELETE, "/drives/drive2", NULL, "Cannot unplug root device");
}

static void test_without_a_bus(void **state)
{
    struct fixture *f = *state;
    struct api *api = f->api;

    f->options.transport = HUSK_TRANSPORT_MMIO;
    assert_int_equal(api_attach(api, &f->machine, NULL), 0);
    REFUSED(PUT, "/drives/more", DRIVE("more"), "PCI is not enabled");
    REFUSED(DELETE, "/drives/drive2", NULL, "PCI is not enabled");
    REFUSED(PUT, "/network-interfaces/e", "{\"iface_id\":\"e\",\"host_dev_name\":\"t1\"}",
            "PCI is not enabled");
    REFUSED(DELETE, "/network-interfaces/net1", NULL, "PCI is not enabled");
    REFUSED(PUT, "/vfio/v", "{\"vfio_id\":\"v\",\"address\":\"01:10.2\"}", "PCI is not enabled");
    REFUSED(DELETE, "/vfio/vfio1", NULL, "PCI is not enabled");
    assert_int_equal(api->drive_count, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_told),
        TEST(test_devices_come_and_go),
        TEST(test_devices_of_the_host_come_and_go),
        TEST(test_the_root_drive_stays),
        TEST(test_without_a_bus),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
