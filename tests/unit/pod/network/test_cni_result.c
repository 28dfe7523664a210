// SPDX-License-Identifier: Apache-2.0
/* Results of CNI plugins, right and wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "pod/network/cni_result.h"

static int read_result(const char *text, struct cni_result *out, struct husk_error *err)
{
    json_t *result = json_loads(text, JSON_ALLOW_NUL, NULL);
    int ret;

    assert_non_null(result);
    ret = cni_result_read(result, "eth0", out, err);
    json_decref(result);
    return ret;
}

static void takes_what_is_the_pods(void **state)
{
    struct cni_result out;
    struct husk_error err;
    char text[ADDRESS_TEXT];

    assert_int_equal(
        read_result("{\"cniVersion\": \"1.0.0\", \"interfaces\": [{\"name\": \"br0\"}, {\"name\": "
                    "\"eth0\", \"sandbox\": \"\"}, {\"name\": \"eth0\", \"sandbox\": \"/n\"}], "
                    "\"ips\": [{\"address\": \"10.9.9.9/8\", \"interface\": 0}, "
                    "{\"address\": \"10.9.9.8/8\", \"interface\": 1}, "
                    "{\"address\": \"10.1.0.2/24\", \"interface\": 2, \"gateway\": \"10.1.0.1\"}, "
                    "{\"address\": \"fd00::2/64\"}], \"routes\": [], \"unknown\": 1, "
                    "\"dns\": {\"nameservers\": [\"10.1.0.53\", \"fd00::35\"], "
                    "\"search\": [\"a.example\"], \"options\": [\"ndots:5\"], \"domain\": \"x\"}}",
                    &out, &err),
        0);
    assert_int_equal(out.address_count, 2);
    address_prefix_text(&out.addresses[0], text);
    assert_string_equal(text, "10.1.0.2/24");
    address_prefix_text(&out.addresses[1], text);
    assert_string_equal(text, "fd00::2/64");
    assert_int_equal(out.dns.server_count, 2);
    assert_string_equal(out.dns.servers[1], "fd00::35");
    assert_string_equal(out.dns.searches[0], "a.example");
    assert_string_equal(out.dns.options[0], "ndots:5");
}

static void refuses_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *where;
    } cases[] = {
        {"{}", "ips[0]"},
        {"{\"ips\": {}}", "ips[0]"},
        {"{\"ips\": [1]}", "ips[0]"},
        {"{\"ips\": [{\"address\": \"10.0.0.1\"}]}", "ips[0]"},
        {"{\"ips\": [{\"address\": \"224.0.0.1/4\"}]}", "ips[0]"},
        {"{\"ips\": [{\"address\": \"10.0.0.1/8\\u0000\"}]}", "ips[0]"},
        {"{\"ips\": [{\"address\": \"10.0.0.1/8\", \"interface\": 0}]}", "ips[0]"},
        {"{\"ips\": [{\"address\": \"10.0.0.1/8\", \"interface\": -1}]}", "ips[0]"},
        {"{\"interfaces\": [{}], \"ips\": [{\"address\": \"10.0.0.1/8\", \"interface\": 0}]}",
         "interfaces[0]"},
        {"{\"interfaces\": 5, \"ips\": []}", "interfaces[0]"},
        {"{\"ips\": [{\"address\": \"10.0.0.1/8\"}], \"dns\": []}", "dns[0]"},
        {"{\"ips\": [{\"address\": \"10.0.0.1/8\"}], \"dns\": {\"nameservers\": [\"x\"]}}",
         "dns.nameservers[0]"},
        {"{\"ips\": [{\"address\": \"10.0.0.1/8\"}], \"dns\": {\"search\": [\"a\\nb\"]}}",
         "dns.search[0]"},
        {"{\"ips\": [{\"address\": \"10.0.0.1/8\"}], \"dns\": {\"options\": [\"a b\"]}}",
         "dns.options[0]"},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct husk_error err = {.code = 0};
        struct cni_result out;

        assert_int_equal(read_result(cases[i].text, &out, &err), -EPROTO);
        assert_string_equal(err.where, cases[i].where);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_the_pods),
        cmocka_unit_test(refuses_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
