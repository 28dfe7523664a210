// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/vm_body.h"

static void expect_json(json_t *found, const char *text)
{
    json_t *wanted = json_loads(text, 0, NULL);

    assert_non_null(wanted);
    if (!json_equal(found, wanted)) {
        char *shown = json_dumps(found, 0);

        fail_msg("%s, not %s", shown ? shown : "NULL", text);
    }
    json_decref(wanted);
    json_decref(found);
}

static void test_drive(void **state)
{
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    struct husk_error err = {0};
    json_t *body = NULL;
    const char *path;

    drive.path = "/d";
    assert_int_equal(vm_drive_body(&drive, "x", &body, &err), 0);
    expect_json(body, "{\"drive_id\":\"x\",\"path_on_host\":\"/d\",\"is_root_device\":false,"
                      "\"is_read_only\":false,\"io_engine\":null,\"rate_limiter\":{}}");
    drive.read_only = 1;
    drive.engine = HUSK_BLOCK_ENGINE_THREADS;
    drive.operations.per_second = 5;
    drive.bandwidth.per_second = 1 << 20;
    assert_int_equal(vm_drive_body(&drive, "x", &body, &err), 0);
    expect_json(body, "{\"drive_id\":\"x\",\"path_on_host\":\"/d\",\"is_root_device\":false,"
                      "\"is_read_only\":true,\"io_engine\":\"Sync\",\"rate_limiter\":{"
                      "\"ops\":{\"size\":5,\"refill_time\":1000},"
                      "\"bandwidth\":{\"size\":1048576,\"refill_time\":1000}}}");
    drive.path = "d";
    assert_int_equal(vm_drive_body(&drive, "x", &body, &err), 0);
    path = json_string_value(json_object_get(body, "path_on_host"));
    assert_int_equal(path[0], '/');
    assert_string_equal(strrchr(path, '/'), "/d");
    json_decref(body);
    drive.path = "/\xff";
    assert_int_equal(vm_drive_body(&drive, "x", &body, &err), -EILSEQ);
}

static void test_net(void **state)
{
    struct husk_net_options net = HUSK_NET_OPTIONS_INIT;

    net.tap_name = "t";
    expect_json(vm_net_body(&net, "n"), "{\"iface_id\":\"n\",\"host_dev_name\":\"t\","
                                        "\"rx_rate_limiter\":{},\"tx_rate_limiter\":{}}");
    net.mac[0] = 0x52;
    net.mac[5] = 0x0a;
    net.mtu = 1400;
    net.rx_bandwidth.per_second = 7;
    expect_json(
        vm_net_body(&net, "n"),
        "{\"iface_id\":\"n\",\"host_dev_name\":\"t\",\"guest_mac\":\"52:00:00:00:00:0a\","
        "\"mtu\":1400,\"rx_rate_limiter\":{\"bandwidth\":{\"size\":7,\"refill_time\":1000}},"
        "\"tx_rate_limiter\":{}}");
}

static void test_vfio(void **state)
{
    struct husk_vfio_options vfio = HUSK_VFIO_OPTIONS_INIT;

    vfio.address = "0000:01:10.0";
    expect_json(vm_vfio_body(&vfio, "v"),
                "{\"vfio_id\":\"v\",\"address\":\"0000:01:10.0\",\"iommu\":\"Auto\"}");
    vfio.iommu = HUSK_VFIO_IOMMU_IOMMUFD;
    expect_json(vm_vfio_body(&vfio, "v"),
                "{\"vfio_id\":\"v\",\"address\":\"0000:01:10.0\",\"iommu\":\"Iommufd\"}");
}

static void test_free_id(void **state)
{
    json_t *list =
        json_loads("[{\"id\":\"d1\"},{\"id\":\"d3\"},{\"id\":7},5,{\"id\":\"d2\"}]", 0, NULL);
    char id[VM_ID_SIZE];

    vm_free_id(list, "id", "d", id);
    assert_string_equal(id, "d4");
    vm_free_id(list, "other", "d", id);
    assert_string_equal(id, "d1");
    vm_free_id(NULL, "id", "d", id);
    assert_string_equal(id, "d1");
    json_decref(list);
}

static void test_info(void **state)
{
    json_t *instance =
        json_loads("{\"id\":\"a\\u001b[2J\",\"state\":\"Running\",\"app_name\":5}", 0, NULL);
    json_t *config =
        json_loads("{\"machine-config\":{\"vcpu_count\":2,\"mem_size_mib\":128},\"drives\":["
                   "{\"drive_id\":\"r\",\"path_on_host\":\"/a\\nb\",\"is_read_only\":true},"
                   "{\"drive_id\":\"no good\",\"path_on_host\":\"x\"},{\"drive_id\":\"n\"},7],"
                   "\"network-interfaces\":[{\"iface_id\":\"e\",\"host_dev_name\":\"t\"}],"
                   "\"vfio\":[{\"vfio_id\":\"v\",\"address\":\"0000:01:10.0\"}],\"vsock\":null}",
                   0, NULL);
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    vm_info_print(out, instance, config);
    vm_info_print(out, NULL, NULL);
    fclose(out);
    assert_string_equal(text, "id: a?[2J\nstate: Running\nCPUs: 2\nmemory: 128 MiB\n"
                              "drive r: /a?b (read-only)\nnet e: t\nvfio v: 0000:01:10.0\n");
    free(text);
    json_decref(instance);
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drive),   cmocka_unit_test(test_net),  cmocka_unit_test(test_vfio),
        cmocka_unit_test(test_free_id), cmocka_unit_test(test_info),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
