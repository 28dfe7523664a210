// SPDX-License-Identifier: Apache-2.0
/* What a Pod object says of its network; modes; and the record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "pod/network/mode.h"
#include "pod/network/network.h"
#include "pod/network/record.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int read_pod(const char *text, struct pod_network_request *out, struct husk_error *err)
{
    json_t *pod = json_loads(text, 0, NULL);
    int ret;

    assert_non_null(pod);
    ret = pod_network_read(pod, out, err);
    json_decref(pod);
    return ret;
}

static void reads_ports_and_rates(void **state)
{
    struct pod_network_request request;
    struct husk_error err;

    assert_int_equal(
        read_pod("{\"metadata\": {\"annotations\": {\"kubernetes.io/ingress-bandwidth\": \"10M\", "
                 "\"kubernetes.io/egress-bandwidth\": \"1G\", \"husk.dev/isolated\": \"true\"}}, "
                 "\"spec\": {\"initContainers\": [{\"ports\": [{\"containerPort\": 1, "
                 "\"hostPort\": 2}]}], \"containers\": [{}, {\"ports\": [{\"containerPort\": 80}, "
                 "{\"containerPort\": 53, \"hostPort\": 5353, \"protocol\": \"UDP\", \"hostIP\": "
                 "\"192.0.2.1\"}, {\"containerPort\": 9, \"hostPort\": 9, \"protocol\": \"SCTP\", "
                 "\"hostIP\": \"0.0.0.0\"}]}]}}",
                 &request, &err),
        0);
    assert_int_equal(request.port_count, 3);
    assert_int_equal(request.ports[0].host_port, 2);
    assert_int_equal(request.ports[0].protocol, POD_NETWORK_TCP);
    assert_int_equal(request.ports[1].pod_port, 53);
    assert_int_equal(request.ports[1].protocol, POD_NETWORK_UDP);
    assert_string_equal(request.ports[1].host_ip, "192.0.2.1");
    assert_string_equal(request.ports[2].host_ip, "");
    assert_int_equal(request.ingress_bits, 10000000);
    assert_int_equal(request.egress_bits, 1000000000);
    assert_true(request.isolated);
}

static void names_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *where;
        int code;
    } cases[] = {
        {"{\"spec\": {\"containers\": [{\"ports\": [{\"containerPort\": 1, \"hostPort\": "
         "70000}]}]}}",
         "spec.containers[0].ports[0]", EINVAL},
        {"{\"spec\": {\"containers\": [{}, {\"ports\": [{\"containerPort\": 1, \"hostPort\": 1, "
         "\"hostIP\": \"x\"}]}]}}",
         "spec.containers[1].ports[0]", EINVAL},
        {"{\"spec\": {\"containers\": [{\"ports\": [{\"containerPort\": 1, \"hostPort\": 1, "
         "\"protocol\": \"tcp\"}]}]}}",
         "spec.containers[0].ports[0]", EINVAL},
        {"{\"metadata\": {\"annotations\": {\"kubernetes.io/ingress-bandwidth\": \"x\"}}}",
         "metadata.annotations[kubernetes.io/ingress-bandwidth]", EINVAL},
        {"{\"metadata\": {\"annotations\": {\"kubernetes.io/egress-bandwidth\": \"999\"}}}",
         "metadata.annotations[kubernetes.io/egress-bandwidth]", ERANGE},
        {"{\"metadata\": {\"annotations\": {\"husk.dev/isolated\": \"yes\"}}}",
         "metadata.annotations[husk.dev/isolated]", EINVAL},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pod_network_request request;
        struct husk_error err = {.code = 0};

        assert_int_equal(read_pod(cases[i].text, &request, &err), -cases[i].code);
        assert_string_equal(err.where, cases[i].where);
    }
}

static void knows_modes(void **state)
{
    static const char *const bad[] = {"",   "cni", "cni:",  "cni:-a",  "cni:a/b", "bridge:x",
                                      "vf", "vf:", "vf:-a", "vf:../x", "vf:a b"};
    struct network_mode mode;
    struct husk_error err;

    assert_int_equal(network_mode_parse("cni:my.net-1_x", &mode, &err), 0);
    assert_int_equal(mode.kind, NETWORK_CNI);
    assert_string_equal(mode.name, "my.net-1_x");
    assert_int_equal(network_mode_parse("bridge", &mode, &err), 0);
    assert_int_equal(mode.kind, NETWORK_BRIDGE);
    assert_int_equal(network_mode_parse("vf:0000:01:00.0", &mode, &err), 0);
    assert_int_equal(mode.kind, NETWORK_VF);
    assert_string_equal(mode.name, "0000:01:00.0");
    assert_int_equal(network_mode_parse("vf:enp1s0f0", &mode, &err), 0);
    assert_int_equal(pod_network_check_mode("none", &err), 0);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pod_network_check_mode(bad[i], &err), -EINVAL);
        assert_string_equal(err.where, "network");
    }
}

static int decode(const char *text, struct network_record *out)
{
    json_t *document = json_loads(text, 0, NULL);
    struct husk_error err;
    int ret;

    assert_non_null(document);
    ret = network_record_decode(document, "network.json", out, &err);
    json_decref(document);
    network_record_end(out);
    return ret;
}

static void takes_only_records_of_its_own(void **state)
{
    struct network_record record;

    assert_int_equal(decode("{\"version\": 1, \"id\": \"" ID "\", \"mode\": \"bridge\"}", &record),
                     0);
    assert_string_equal(record.tap, "hk0123456789ab");
    assert_string_equal(record.netns, "husk-0123456789ab");
    assert_int_equal(decode("{\"version\": 2, \"id\": \"" ID "\", \"mode\": \"bridge\"}", &record),
                     -EPROTONOSUPPORT);
    assert_int_equal(decode("{\"version\": 1, \"id\": \"../../x\", \"mode\": \"bridge\"}", &record),
                     -EINVAL);
    assert_int_equal(decode("{\"version\": 1, \"id\": \"" ID "\", \"mode\": \"cni:a\"}", &record),
                     -EINVAL);
    assert_int_equal(
        decode("{\"version\": 1, \"id\": \"" ID "\", \"mode\": \"cni:a\", \"cni\": {}}", &record),
        0);
    assert_int_equal(decode("{\"version\": 1, \"id\": \"" ID "\", \"mode\": \"vf:a\"}", &record),
                     0);
    assert_int_equal(
        decode("{\"version\": 1, \"id\": \"" ID "\", \"mode\": \"vf:a\", \"vf\": 1}", &record),
        -EINVAL);
    assert_int_equal(decode("{}", &record), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_ports_and_rates),
        cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(knows_modes),
        cmocka_unit_test(takes_only_records_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
