// SPDX-License-Identifier: Apache-2.0
/* What a configuration file says of the addresses of a PF's network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "pod/network/vf_config.h"

static int parse(const char *text, struct vf_config *out, struct husk_error *err)
{
    static const char *const names[] = {"0000:01:00.0", "enp1s0f0"};

    memset(err, 0, sizeof(*err));
    return vf_config_parse(text, strlen(text), "file", names, 2, out, err);
}

static void text_of(const struct vf_range *range, uint64_t offset, char out[ADDRESS_TEXT])
{
    const struct address address = address_at(&range->prefix, offset);

    address_text(&address, out);
}

static void takes_all_of_it(void **state)
{
    struct vf_config config;
    struct husk_error err;
    char text[ADDRESS_TEXT];

    assert_int_equal(
        parse("{\"bridge\": {\"mtu\": 1400}, \"vf\": {\"other\": {}, \"enp1s0f0\": {\"ipv6\": "
              "{\"prefix\": \"fd12::/64\", \"first\": \"fd12::a:1\", \"last\": \"fd12::b:0\"}, "
              "\"ipv4\": {\"prefix\": \"10.9.1.7/22\", \"first\": \"10.9.2.0\", \"last\": "
              "\"10.9.3.200\", \"gateway\": \"10.9.0.1\"}, \"mtu\": 9000}}}",
              &config, &err),
        0);
    assert_int_equal(config.range_count, 2);
    assert_int_equal(config.mtu, 9000);
    assert_int_equal(config.ranges[0].prefix.family, AF_INET);
    text_of(&config.ranges[0], config.ranges[0].first, text);
    assert_string_equal(text, "10.9.2.0");
    text_of(&config.ranges[0], config.ranges[0].last, text);
    assert_string_equal(text, "10.9.3.200");
    address_text(&config.ranges[0].gateway, text);
    assert_string_equal(text, "10.9.0.1");
    text_of(&config.ranges[1], config.ranges[1].first, text);
    assert_string_equal(text, "fd12::a:1");
    text_of(&config.ranges[1], config.ranges[1].last, text);
    assert_string_equal(text, "fd12::b:0");
    assert_int_equal(config.ranges[1].gateway.family, 0);
}

static void takes_the_whole_prefix(void **state)
{
    struct vf_config config;
    struct husk_error err;

    assert_int_equal(parse("{\"vf\": {\"0000:01:00.0\": {\"ipv4\": {\"prefix\": \"10.9.0.0/24\"}, "
                           "\"ipv6\": {\"prefix\": \"fd12::/64\"}}}}",
                           &config, &err),
                     0);
    assert_int_equal(config.ranges[0].first, 1);
    assert_int_equal(config.ranges[0].last, 254);
    assert_int_equal(config.ranges[1].first, 1);
    assert_int_equal(config.ranges[1].last, 65535);
    assert_int_equal(config.mtu, 0);
}

static void refuses_the_rest(void **state)
{
    static const struct {
        const char *pf, *says;
        int code;
    } cases[] = {
        {"{}", "one address family", EINVAL},
        {"{\"mtu\": 9000}", "one address family", EINVAL},
        {"{\"ipv5\": {}}", "\"ipv5\" is unknown", EINVAL},
        {"{\"ipv4\": {}}", "prefix", EINVAL},
        {"{\"ipv4\": {\"prefix\": \"fd12::/64\"}}", "is none like 10.9.0.0/24", EINVAL},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0\"}}", "is none like", EINVAL},
        {"{\"ipv4\": {\"prefix\": \"224.0.0.0/8\"}}", "is none like", EINVAL},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/31\"}}", "from 8 to 30 bits", ERANGE},
        {"{\"ipv6\": {\"prefix\": \"fd00::/7\"}}", "from 8 to 126 bits", ERANGE},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/24\", \"size\": 3}}", "\"size\" is unknown", EINVAL},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/24\", \"first\": \"10.8.0.1\"}}", "first", EINVAL},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/24\", \"first\": \"10.9.0.0\"}}", "first", EINVAL},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/24\", \"last\": \"fd12::1\"}}", "last", EINVAL},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/24\", \"last\": \"10.9.0.255\"}}", "no range", ERANGE},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/24\", \"first\": \"10.9.0.9\", \"last\": "
         "\"10.9.0.8\"}}",
         "no range", ERANGE},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/24\", \"gateway\": \"10.9.1.1\"}}", "gateway", EINVAL},
        {"{\"ipv6\": {\"prefix\": \"fd12::/32\", \"last\": \"fd12:0:1::1\"}}", "last", EINVAL},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/24\"}, \"mtu\": 1279}", "mtu", ERANGE},
        {"{\"ipv4\": {\"prefix\": \"10.9.0.0/24\"}, \"mtu\": \"9000\"}", "mtu", ERANGE},
        {"[]", "enp1s0f0", EINVAL},
    };
    struct vf_config config;
    struct husk_error err;
    char text[512];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "{\"vf\": {\"enp1s0f0\": %s}}", cases[i].pf);
        assert_int_equal(parse(text, &config, &err), -cases[i].code);
        assert_string_equal(err.where, "file");
        assert_non_null(strstr(err.why, cases[i].says));
    }
    assert_int_equal(parse("{\"vf\": {\"enp1s0f1\": {}}}", &config, &err), -ENOENT);
    assert_non_null(strstr(err.why, "\"0000:01:00.0\""));
    assert_int_equal(parse("{}", &config, &err), -ENOENT);
    assert_int_equal(parse("{\"vfs\": {}}", &config, &err), -EINVAL);
    assert_int_equal(parse("", &config, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(takes_all_of_it),
                                       cmocka_unit_test(takes_the_whole_prefix),
                                       cmocka_unit_test(refuses_the_rest)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
