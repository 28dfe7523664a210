// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api_fixture.h"
#include "base/checked.h"

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

static void answers(struct api *api, const char *path, const char *words)
{
    char *text;
    int status = request(api, API_GET, path, NULL, &text);

    if (status != 200 || !strstr(text, words))
        fail_msg("%s: %d %s", path, status, text);
    free(text);
}

static void test_answers(void **state)
{
    answers(*state, "/", "{\"id\":\"test\",\"state\":\"Not started\",\"vmm_version\":\"");
    answers(*state, "/version", "{\"firecracker_version\":\"");
    answers(*state, "/machine-config",
            "{\"vcpu_count\":1,\"mem_size_mib\":128,\"smt\":false,\"track_dirty_pages\":false,"
            "\"huge_pages\":\"None\"}");
    answers(*state, "/vm/config", "\"boot-source\":{\"kernel_image_path\":\"\"");
}

static void test_forms_of_a_path(void **state)
{
    answers(*state, "", "Not started");
    answers(*state, "//version/", "firecracker_version");
    answers(*state, "http://localhost/version", "firecracker_version");
    answers(*state, "http://localhost", "Not started");
}

static void test_unknown(void **state)
{
    struct api *api = *state;
    static const char *const paths[] = {
        "/foo",     "/vm",       "/vm/config/x", "/version/x", "/a/b/c/d/e",
        "/metrics", "/drives/x", "/Version",     "/balloon/x", "/balloon/hinting"};

    for (unsigned i = 0; i < ARRAY_SIZE(paths); i++)
        REFUSED(GET, paths[i], NULL, "Invalid request method and/or path: GET ");
    REFUSED(PUT, "/", "{}", "Invalid request method and/or path: PUT");
    REFUSED(PATCH, "/vsock", "{}", "Invalid request method and/or path: PATCH vsock.");
    REFUSED(DELETE, "/vsock", NULL, "Invalid request method and/or path: DELETE vsock.");
}

static void test_bodies(void **state)
{
    struct api *api = *state;
    REFUSED(GET, "/", "{}", "GET request cannot have a body.");
    REFUSED(PUT, "/actions", NULL, "Empty PUT request.");
    REFUSED(PATCH, "/vm", NULL, "Empty PATCH request.");
    REFUSED(PUT, "/actions", "{", "An error occurred when deserializing the json body");
    REFUSED(PUT, "/actions", "{}", "missing field `action_type`");
    REFUSED(PUT, "/actions", "{\"action_type\":\"Fly\"}", "unknown variant `Fly`");
    REFUSED(PUT, "/actions", "{\"action_type\":\"FlushMetrics\",\"x\":1}", "unknown field `x`");
}

static void test_ids(void **state)
{
    struct api *api = *state;
    static const char body[] = "{\"drive_id\":\"a\",\"is_root_device\":false}";

    REFUSED(PUT, "/drives", body, "The ID cannot be empty.");
    REFUSED(PUT, "/drives/", body, "The ID cannot be empty.");
    REFUSED(PUT, "/drives/a-b", body, "can only contain alphanumeric characters and underscores");
    REFUSED(PUT, "/drives/b", body, "does not match the id from the body");
    REFUSED(PUT,
            "/drives/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            body, "64 characters");
    REFUSED(PUT, "/network-interfaces/b", "{\"iface_id\":\"a\",\"host_dev_name\":\"t\"}",
            "[b] does not match the id from the body [a]");
}

static void test_not_before_the_start(void **state)
{
    struct api *api = *state;
    static const char words[] = "not supported before starting the microVM.";

    REFUSED(PATCH, "/vm", "{\"state\":\"Paused\"}", words);
    REFUSED(PUT, "/actions", "{\"action_type\":\"SendCtrlAltDel\"}", words);
    REFUSED(PUT, "/actions", "{\"action_type\":\"FlushMetrics\"}", words);
    REFUSED(PATCH, "/drives/a", "{\"drive_id\":\"a\"}", words);
    REFUSED(PATCH, "/network-interfaces/a", "{\"iface_id\":\"a\"}", words);
    REFUSED(DELETE, "/drives/a", NULL, words);
    REFUSED(PUT, "/actions", "{\"action_type\":\"InstanceStart\"}", "without kernel configuration");
}

static void test_known_and_absent(void **state)
{
    struct api *api = *state;
    static const char words[] = "The requested operation is not supported:";

    REFUSED(PUT, "/snapshot/create", "{}", words);
    REFUSED(PUT, "/snapshot/load", "{}", words);
    REFUSED(GET, "/mmds", NULL, words);
    REFUSED(PUT, "/mmds/config", "{}", words);
    REFUSED(GET, "/balloon/hinting/status", NULL, words);
    REFUSED(PATCH, "/balloon/hinting/start", NULL, words);
    REFUSED(PUT, "/pmem/x", "{}", words);
    REFUSED(PATCH, "/hotplug/memory", "{}", words);
}

static void test_prometheus_wants_its_type(void **state)
{
    struct api_request get = {.method = API_GET, .path = "/metrics", .accept = "text/plain"};
    struct api_response response;

    api_handle(*state, &get, &response);
    assert_int_equal(response.status, 200);
    assert_non_null(strstr(response.content_type, "text/plain"));
    assert_non_null(strstr(response.body, "# TYPE husk_vcpu_exits_total counter\n"
                                          "husk_vcpu_exits_total{id=\"test\"} 0\n"));
    free(response.body);
}

static void test_deprecated(void **state)
{
    static const char body[] = "{\"guest_cid\":3,\"uds_path\":\"/x\",\"vsock_id\":\"v\"}";
    struct api_request put = {
        .method = API_PUT, .path = "/vsock", .body = body, .body_len = sizeof(body) - 1};
    struct api_response response;

    api_handle(*state, &put, &response);
    assert_int_equal(response.status, 204);
    assert_true(response.deprecated);
    answers(*state, "/vm/config", "\"vsock\":{\"guest_cid\":3,\"uds_path\":\"/x\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forms_of_a_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unknown, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bodies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ids, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_before_the_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_known_and_absent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prometheus_wants_its_type, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deprecated, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
