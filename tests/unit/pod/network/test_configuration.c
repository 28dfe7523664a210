// SPDX-License-Identifier: Apache-2.0
/* What others wrote: conf-lists of CNI, and the configuration of husk's bridge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pod/network/bridge_config.h"
#include "pod/network/cni_conf.h"

static json_t *parse(const char *text, bool single, struct husk_error *err)
{
    return cni_conf_parse(text, strlen(text), single, "file", err);
}

static void takes_conf_lists(void **state)
{
    struct husk_error err;
    json_t *list = parse("{\"cniVersion\": \"1.0.0\", \"name\": \"a\", \"plugins\": [{\"type\": "
                         "\"bridge\"}, {\"type\": \"portmap\", \"capabilities\": "
                         "{\"portMappings\": true, \"ips\": false}}]}",
                         false, &err);

    assert_non_null(list);
    assert_true(cni_conf_capable(list, "portMappings"));
    assert_false(cni_conf_capable(list, "ips"));
    assert_false(cni_conf_capable(list, "bandwidth"));
    json_decref(list);
    list = parse("{\"cniVersion\": \"0.3.1\", \"name\": \"a\", \"type\": \"ptp\"}", true, &err);
    assert_non_null(list);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(list, "plugins"), 0), "type")),
                        "ptp");
    json_decref(list);
}

/* The version that both know is what plugins are told. */
static void chooses_a_version(void **state)
{
    static const struct {
        const char *versions, *chosen;
    } cases[] = {
        {"\"cniVersion\": \"1.0.0\", \"cniVersions\": [\"1.0.0\", \"1.1.0\"]", "1.1.0"},
        {"\"cniVersion\": \"1.1.0\", \"cniVersions\": [\"0.4.0\"]", "1.1.0"},
        {"\"cniVersion\": \"9.0.0\", \"cniVersions\": [\"0.4.0\", \"9.1.0\", 5]", "0.4.0"},
        {"\"cniVersions\": [\"0.3.1\"]", "0.3.1"},
        {"\"cniVersion\": \"0.4.0\", \"cniVersions\": {}", "0.4.0"},
        {"\"cniVersion\": \"9.0.0\", \"cniVersions\": [\"9.1.0\"]", NULL},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct husk_error err = {0};
        char text[256];
        json_t *list;

        snprintf(text, sizeof(text), "{%s, \"name\": \"a\", \"plugins\": [{\"type\": \"x\"}]}",
                 cases[i].versions);
        list = parse(text, false, &err);
        if (cases[i].chosen)
            assert_string_equal(json_string_value(json_object_get(list, "cniVersion")),
                                cases[i].chosen);
        else
            assert_int_equal(err.code, EPROTONOSUPPORT);
        json_decref(list);
    }
}

static void refuses_what_is_none(void **state)
{
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        {"", EINVAL},
        {"[]", EINVAL},
        {"{\"cniVersion\": \"1.0.0\", \"name\": \"a\"}", EINVAL},
        {"{\"cniVersion\": \"1.0.0\", \"name\": \"a\", \"plugins\": []}", EINVAL},
        {"{\"cniVersion\": \"1.0.0\", \"name\": \"a\", \"plugins\": [{}]}", EINVAL},
        {"{\"cniVersion\": \"1.0.0\", \"name\": \"a\", \"plugins\": [{\"type\": \"a/b\"}]}",
         EINVAL},
        {"{\"cniVersion\": \"1.0.0\", \"name\": \"-\", \"plugins\": [{\"type\": \"a\"}]}", EINVAL},
        {"{\"cniVersion\": \"2.0.0\", \"name\": \"a\", \"plugins\": [{\"type\": \"a\"}]}",
         EPROTONOSUPPORT},
        {"{\"name\": \"a\", \"plugins\": [{\"type\": \"a\"}]}", EPROTONOSUPPORT},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct husk_error err = {.code = 0};

        assert_null(parse(cases[i].text, false, &err));
        assert_int_equal(err.code, cases[i].code);
        assert_string_equal(err.where, "file");
    }
}

static void write_file(const char *directory, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void finds_networks(void **state)
{
    char directory[] = "/tmp/husk-cni-XXXXXX", path[128];
    static const char *const names[] = {"10-b.conflist", "20-a.conf", "05-broken.conflist",
                                        "readme.txt"};
    struct husk_error err;
    json_t *list;

    assert_non_null(mkdtemp(directory));
    assert_int_equal(setenv("NETCONFPATH", directory, 1), 0);
    assert_int_equal(cni_conf_find(NULL, &list, &err), -ENOENT);
    write_file(directory, "05-broken.conflist", "{");
    assert_int_equal(cni_conf_find(NULL, &list, &err), -EINVAL);
    write_file(directory, "readme.txt", "{");
    write_file(directory, "10-b.conflist",
               "{\"cniVersion\": \"1.0.0\", \"name\": \"b\", \"plugins\": [{\"type\": \"x\"}]}");
    write_file(directory, "20-a.conf",
               "{\"cniVersion\": \"1.0.0\", \"name\": \"a\", \"type\": \"x\"}");
    assert_int_equal(cni_conf_find(NULL, &list, &err), 0);
    assert_string_equal(json_string_value(json_object_get(list, "name")), "b");
    json_decref(list);
    assert_int_equal(cni_conf_find("a", &list, &err), 0);
    json_decref(list);
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(directory), 0);
    unsetenv("NETCONFPATH");
}

static int wish(const char *text, struct bridge_wish *out, struct husk_error *err)
{
    return bridge_wish_parse(text, strlen(text), "file", out, err);
}

static void reads_the_bridges(void **state)
{
    static const char *const bad[] = {
        "{\"bridge\": []}",
        "{\"bridges\": {}}",
        "{\"bridge\": {\"ipv4\": \"10.0.0.0\"}}",
        "{\"bridge\": {\"ipv4\": \"fd00::/64\"}}",
        "{\"bridge\": {\"ipv4\": \"10.0.0.0/31\"}}",
        "{\"bridge\": {\"ipv4\": \"127.0.0.0/8\"}}",
        "{\"bridge\": {\"ipv6\": \"fd00::/127\"}}",
        "{\"bridge\": {\"ipv4\": null, \"ipv6\": null}}",
        "{\"bridge\": {\"mtu\": 1279}}",
        "{\"bridge\": {\"mtu\": \"1500\"}}",
    };
    struct husk_error err;
    struct bridge_wish out;
    char text[ADDRESS_TEXT];

    assert_int_equal(wish("{}", &out, &err), 0);
    assert_false(out.has_ip4 || out.has_ip6 || out.mtu);
    assert_int_equal(
        wish("{\"bridge\": {\"ipv4\": \"10.9.0.7/24\", \"ipv6\": null, \"mtu\": 9000}}", &out,
             &err),
        0);
    address_prefix_text(&out.ip4, text);
    assert_string_equal(text, "10.9.0.0/24");
    assert_true(out.has_ip6 && !out.ip6.family);
    assert_int_equal(out.mtu, 9000);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(wish(bad[i], &out, &err) < 0);
        assert_string_equal(err.where, "file");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_conf_lists),     cmocka_unit_test(chooses_a_version),
        cmocka_unit_test(refuses_what_is_none), cmocka_unit_test(finds_networks),
        cmocka_unit_test(reads_the_bridges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
