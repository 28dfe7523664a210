// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pod/lifecycle/speech.h"

static void names_are_told_and_addresses_are_not(void **state)
{
    static const char *const addresses[] = {"10.0.0.7", "fd00::1", "::", "127.0.0.1"};
    struct probe_request request;

    speech_tls("localhost", &request);
    assert_int_equal(request.speech, PROBE_TLS);
    assert_string_equal(request.name, "localhost");
    for (unsigned i = 0; i < 4; i++) {
        memset(&request, 'x', sizeof(request));
        speech_tls(addresses[i], &request);
        assert_string_equal(request.name, "");
    }
}

static bool wants_tls(const char *text)
{
    json_t *http = json_loads(text, 0, NULL);
    bool wants = speech_is_tls(http);

    json_decref(http);
    return wants;
}

static void only_https_is_tls(void **state)
{
    assert_true(wants_tls("{\"scheme\": \"HTTPS\"}"));
    assert_false(wants_tls("{\"scheme\": \"HTTP\"}"));
    assert_false(wants_tls("{\"scheme\": 1}"));
    assert_false(wants_tls("{}"));
}

static void ends_that_say_something_have_words(void **state)
{
    static const int silent[] = {-1, PROBE_END_WELL, 255};

    for (int end = PROBE_END_REQUEST; end <= PROBE_END_SILENT; end++)
        assert_true(speech_failure(end) && *speech_failure(end));
    for (unsigned i = 0; i < sizeof(silent) / sizeof(silent[0]); i++)
        assert_null(speech_failure(silent[i]));
}

static void health_is_asked_for_at_an_address(void **state)
{
    struct probe_request request;

    speech_grpc("web", "10.0.0.7", 50051, &request);
    assert_int_equal(request.speech, PROBE_GRPC);
    assert_string_equal(request.name, "web");
    assert_string_equal(request.authority, "10.0.0.7:50051");
    speech_grpc("", "fd00::1", 1, &request);
    assert_string_equal(request.name, "");
    assert_string_equal(request.authority, "[fd00::1]:1");
}

static void health_is_told_as_kubelets_do(void **state)
{
    static const struct {
        int end;
        const char *text;
    } sick[] = {
        {PROBE_END_HEALTH + 2, "service unhealthy (responded with \"NOT_SERVING\")"},
        {PROBE_END_HEALTH, "service unhealthy (responded with \"UNKNOWN\")"},
        {PROBE_END_CODE + 5, "health rpc probe failed: NotFound"},
        {PROBE_END_CODE + 12,
         "this server does not implement the grpc health protocol (grpc.health.v1.Health)"},
        {PROBE_END_NO_HTTP2, "what answers speaks no HTTP/2, or breaks its rules"},
        {PROBE_END_CODE + 17, "husk-probe was ended"},
        {PROBE_END_HEALTH + 4, "husk-probe was ended"},
        {-1, "husk-probe was ended"},
    };
    char text[128];

    assert_true(speech_is_serving(PROBE_END_WELL, text, sizeof(text)));
    for (unsigned i = 0; i < sizeof(sick) / sizeof(sick[0]); i++) {
        assert_false(speech_is_serving(sick[i].end, text, sizeof(text)));
        assert_string_equal(text, sick[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_told_and_addresses_are_not),
        cmocka_unit_test(only_https_is_tls),
        cmocka_unit_test(ends_that_say_something_have_words),
        cmocka_unit_test(health_is_asked_for_at_an_address),
        cmocka_unit_test(health_is_told_as_kubelets_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
