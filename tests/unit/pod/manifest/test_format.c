// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "pod/manifest/format.h"

#define X63 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
#define X253                \
    X63 "." X63 "." X63 "." \
        "bcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij"

static const struct {
    enum format format;
    const char *good[8], *bad[14];
} table[] = {
    {FORMAT_NAME,
     {"a", "a-1.b", "1", X253},
     {"", "A", "-a", "a-", "a..b", ".a", "a.", "a_b", X253 "x", "\xc3\xa4"}},
    {FORMAT_POD_NAME, {"web", "web.example", X63}, {"", X63 "x", "Web", "a/b"}},
    {FORMAT_LABEL, {"a", "a--b", "0"}, {"", "a.b", "-", "a-", "A", X63 "x"}},
    {FORMAT_SERVICE_LABEL, {"a", "a0"}, {"", "0a", "a.b"}},
    {FORMAT_LABEL_KEY,
     {"a", "A.b_c-d", "k8s.io/a", X253 "/" X63},
     {"", "/a", "a/", "K8s.io/a", "a/b/c", "-a", "a-", "a b", X63 "x", X253 "x/a"}},
    {FORMAT_LABEL_VALUE, {"", "a", "A_b.c-1"}, {"-", "a b", "a/b", X63 "x"}},
    {FORMAT_ENV_NAME, {"A", "a.b-c", "1", "two words"}, {"", "A=", "a\n", "\xc3\xa4"}},
    {FORMAT_ENV_PREFIX, {"", "A_"}, {"A=", "a\t"}},
    {FORMAT_DATA_KEY,
     {"a", "a.conf", "_", "-", ".a", X253},
     {"", ".", "..", "..a", "a/b", X253 "x"}},
    {FORMAT_IMAGE,
     {"nginx", "localhost:5000/a/b:1", "docker.io/library/busybox:1.36"},
     {"", "Nginx", "a b", "a:", "a@sha256:1"}},
    {FORMAT_PATH, {"/", "/a/b", "/a/..b"}, {"", "a", "/..", "/a/../b", "/a/..", "/a\nb"}},
    {FORMAT_SUBPATH, {"a", "a/b", "..a"}, {"/", "/a", "..", "../a", "a/..", "a/../b", "a\x7f"}},
    {FORMAT_LINE, {"", "a b", "\xc3\xa4"}, {"a\nb", "\x01"}},
    {FORMAT_ADDRESS,
     {"1.2.3.4", "::1", "fe80::1"},
     {"", "1.2.3", "1.2.3.4.5", "fe80::1%eth0", "a"}},
    {FORMAT_PROBE_HOST, {"1.2.3.4", "::1", "localhost"}, {"", "[::1]", "db.example", "LOCALHOST"}},
    {FORMAT_SEARCH, {"a", "A_b.c.", ".", "example.org"}, {"", "..", ".a", "a..b", "a b"}},
    {FORMAT_PORT_NAME,
     {"http", "a1", "80a", "dns-tcp", "abcdefghijklmno"},
     {"", "80", "-a", "a-", "a--b", "HTTP", "a_b", "abcdefghijklmnop"}},
    {FORMAT_HEADER_NAME, {"Host", "X-A.b"}, {"", "a b", "a:", "a\r"}},
    {FORMAT_HEADER_VALUE, {"", "a: b"}, {"a\r\nb"}},
    {FORMAT_URL_PATH, {"", "/", "/a?b=c%20d"}, {"/a b", "/\xc3\xa4", "/a\r\nb"}},
    {FORMAT_GRPC_SERVICE,
     {"", "grpc.Health", "\xc3\xa4 b", X253 X253 X253},
     {"a\nb", "\x7f", X253 X253 X253 X253}},
    {FORMAT_CAPABILITY, {"NET_ADMIN", "CAP_CHOWN", "ALL"}, {"", "FLY", "CAP_"}},
    {FORMAT_SIGNAL, {"SIGTERM", "SIGRTMIN+3"}, {"", "TERM", "15", "SIGWHAT", "SIGterm"}},
    {FORMAT_SYSCTL,
     {"net.core.somaxconn", "kernel.shmmax", "fs.mqueue.msg_max", "kernel.sem"},
     {"", "kernel.panic", "net/core/somaxconn", "net.", "net..a", "net.a b"}},
    {FORMAT_BASE64, {"", "Zg==", "Zm\n9v"}, {"Z", "Zg"}},
};

static void test_formats(void **state)
{
    assert_int_equal(strlen(X63), 63);
    assert_int_equal(strlen(X253), 253);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const char *name = format_name(table[i].format);

        assert_true(name[0] != '\0');
        for (size_t j = 0; j < 8 && table[i].good[j]; j++) {
            const char *problem = format_problem(table[i].format, table[i].good[j]);

            if (problem)
                fail_msg("%s: \"%s\": %s", name, table[i].good[j], problem);
        }
        for (size_t j = 0; j < 14 && table[i].bad[j]; j++) {
            if (!format_problem(table[i].format, table[i].bad[j]))
                fail_msg("%s: \"%s\" is not refused", name, table[i].bad[j]);
        }
    }
}

static void test_any(void **state)
{
    assert_null(format_problem(FORMAT_ANY, "\x01"));
    assert_string_equal(format_name(FORMAT_ANY), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_any),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
