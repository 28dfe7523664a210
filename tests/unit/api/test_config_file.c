// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "api_fixture.h"
#include "base/checked.h"

#define FILE_PATH "/proc/self/exe"
#define BOOT      "\"boot-source\":{\"kernel_image_path\":\"" FILE_PATH "\"}"

static int apply(struct api *api, const char *text, struct api_fault *fault)
{
    json_t *sections = json_parse(text, strlen(text), fault);
    int ret = sections ? config_apply(api, sections, fault) : -EINVAL;

    json_decref(sections);
    return ret;
}

static void test_sections(void **state)
{
    struct api *api = fixture_api();
    struct api_fault fault = {0};

    assert_int_equal(
        apply(api,
              "{\"drives\":[{\"drive_id\":\"b\",\"is_root_device\":false,\"is_read_only\":true,"
              "\"path_on_host\":\"" FILE_PATH "\"},{\"drive_id\":\"a\",\"is_root_device\":true,"
              "\"is_read_only\":true,\"path_on_host\":\"" FILE_PATH "\"}]," BOOT
              ",\"machine-config\":{\"vcpu_count\":2,\"mem_size_mib\":64},\"vsock\":null,"
              "\"pmem\":[],\"balloon\":null,\"cpu-config\":{\"msr_modifiers\":[{\"addr\":"
              "\"0x10\",\"bitmap\":\"0b1\"}]},\"network-interfaces\":[{\"iface_id\":\"n\","
              "\"host_dev_name\":\"t\"}],\"entropy\":{},\"serial\":{\"serial_out_path\":\"/x\"}}",
              &fault),
        0);
    assert_string_equal(api->drives[0].drive_id, "a");
    assert_int_equal(api->drive_count, 2);
    assert_int_equal(api->net_count, 1);
    assert_int_equal(api->machine.vcpu_count.value, 2);
    assert_int_equal(api->cpu.msr_count, 1);
    assert_true(api->entropy.given);
    assert_string_equal(api->serial.serial_out_path, "/x");
    api_destroy(api);
}

static void test_refuses(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"[]", "expected an object"},
        {"{}", "missing field `boot-source`"},
        {"{" BOOT "}", "missing field `drives`"},
        {"{" BOOT ",\"drives\":[],\"x\":1}", "unknown field `x`"},
        {"{" BOOT ",\"drives\":{}}", "invalid type of field `drives`"},
        {"{" BOOT ",\"drives\":[1]}", "drives: An error occurred"},
        {"{" BOOT ",\"drives\":[],\"machine-config\":{\"vcpu_count\":1}}",
         "machine-config: An error occurred when deserializing the json body of a request: missing "
         "field `mem_size_mib`"},
        {"{" BOOT ",\"drives\":[],\"balloon\":{}}", "balloon: not supported"},
        {"{" BOOT ",\"drives\":[],\"pmem\":[1]}", "pmem: not supported"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct api *api = fixture_api();
        struct api_fault fault = {0};

        assert_int_equal(apply(api, cases[i].text, &fault), -EINVAL);
        if (!strstr(fault.text, cases[i].words))
            fail_msg("%s: \"%s\" has no \"%s\"", cases[i].text, fault.text, cases[i].words);
        api_destroy(api);
    }
}

static void test_round_trip(void **state)
{
    struct api *first = fixture_api(), *second = fixture_api();
    struct api_fault fault = {0};
    char *config, *again;

    assert_int_equal(
        apply(first,
              "{\"drives\":[{\"drive_id\":\"a\",\"is_root_device\":true,\"is_read_only\":true,"
              "\"partuuid\":\"x-1\",\"io_engine\":\"Async\",\"path_on_host\":\"" FILE_PATH
              "\",\"rate_limiter\":{\"ops\":{\"size\":1,\"refill_time\":2,\"one_time_burst\":3}}}]"
              "," BOOT ",\"machine-config\":{\"vcpu_count\":2,\"mem_size_mib\":64,\"huge_pages\":"
              "\"Transparent\"},\"vsock\":{\"guest_cid\":4,\"uds_path\":\"/v\"}}",
              &fault),
        0);
    assert_int_equal(request(first, API_GET, "/vm/config", NULL, &config), 200);
    assert_int_equal(apply(second, config, &fault), 0);
    assert_int_equal(request(second, API_GET, "/vm/config", NULL, &again), 200);
    assert_string_equal(config, again);
    free(config);
    free(again);
    api_destroy(first);
    api_destroy(second);
}

static void test_missing_file(void **state)
{
    struct api *api = fixture_api();
    struct husk_error err = {0};

    assert_int_equal(api_load_config_file(api, "/no/such/file", &err), -ENOENT);
    assert_string_equal(err.where, "/no/such/file");
    assert_int_not_equal(api_load_config_file(api, "/dev/zero", &err), 0);
    api_destroy(api);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_missing_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
