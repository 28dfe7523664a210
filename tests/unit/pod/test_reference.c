// SPDX-License-Identifier: Apache-2.0
/* What names of images are accepted, and what they become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "pod/image/reference.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void check(const char *text, const char *canonical, const char *server)
{
    struct reference reference;
    struct husk_error err = {0};
    char out[REFERENCE_TEXT_BYTES];

    if (reference_parse(text, &reference, &err))
        fail_msg("%s: %s: %s", text, err.what, err.why);
    assert_string_equal(reference_format(&reference, out), canonical);
    assert_string_equal(reference_server(&reference), server);
}

static void test_names_get_defaults(void **state)
{
    check("nginx", "docker.io/library/nginx:latest", "registry-1.docker.io");
    check("nginx:1.22", "docker.io/library/nginx:1.22", "registry-1.docker.io");
    check("foo/bar", "docker.io/foo/bar:latest", "registry-1.docker.io");
    check("docker.io/nginx", "docker.io/library/nginx:latest", "registry-1.docker.io");
    check("index.docker.io/nginx", "docker.io/library/nginx:latest", "registry-1.docker.io");
    check("docker.io/library/nginx:1", "docker.io/library/nginx:1", "registry-1.docker.io");
}

static void test_registries(void **state)
{
    check("localhost/x", "localhost/x:latest", "localhost");
    check("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000");
    check("localhost:5000/x:y", "localhost:5000/x:y", "localhost:5000");
    check("Registry.Example.ORG/a/b/c:T", "registry.example.org/a/b/c:T", "registry.example.org");
    check("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000");
    check("127.0.0.1:1/x", "127.0.0.1:1/x:latest", "127.0.0.1:1");
}

static void test_digests(void **state)
{
    check("quay.io/a@sha256:" HEX, "quay.io/a@sha256:" HEX, "quay.io");
    /* What a tag said besides a digest means nothing. */
    check("quay.io/a:v1@sha256:" HEX, "quay.io/a@sha256:" HEX, "quay.io");
}

static void test_parts(void **state)
{
    check("a.b/a_b/a__b/a-b/a---b/a.b:x", "a.b/a_b/a__b/a-b/a---b/a.b:x", "a.b");
}

static void test_refused(void **state)
{
    static const char *const wrong[] = {"",
                                        "/",
                                        ":",
                                        "@",
                                        "a/",
                                        "/a",
                                        "a//b",
                                        "A/b",
                                        "nginx:",
                                        "nginx:-x",
                                        "nginx:.x",
                                        "nginx:a/b",
                                        "nginx:a b",
                                        "a..b",
                                        "a._b",
                                        "a___b",
                                        "-a",
                                        "a-",
                                        "_a",
                                        ".a",
                                        "a:b:c",
                                        "a b",
                                        "a\nb",
                                        "localhost:/x",
                                        "localhost:0/x",
                                        "localhost:99999/x",
                                        "localhost:5000x/y",
                                        "host..x/y",
                                        "-h.x/y",
                                        "h-.x/y",
                                        ".h/y",
                                        "h./y",
                                        "[::1/x",
                                        "[zz]:1/x",
                                        "x@",
                                        "x@sha256:",
                                        "x@sha256:12",
                                        ("x@sha512:" HEX HEX),
                                        ("x@sha256:" HEX "0"),
                                        ("x@sha256:0123456789ABCDEF" HEX),
                                        "../x",
                                        "x/../y",
                                        "user:pw@host.x/y",
                                        "http://host.x/y"};

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct reference reference;
        struct husk_error err = {0};

        if (reference_parse(wrong[i], &reference, &err) == 0)
            fail_msg("accepted: %s", wrong[i]);
        assert_true(err.what[0]);
    }
}

static void test_too_long(void **state)
{
    struct reference reference;
    char text[800];

    memset(text, 'a', sizeof(text));
    text[799] = '\0';
    assert_int_not_equal(reference_parse(text, &reference, NULL), 0);
    text[300] = '\0';
    assert_int_not_equal(reference_parse(text, &reference, NULL), 0);
    text[247] = '\0';
    assert_int_equal(reference_parse(text, &reference, NULL), 0);
    memcpy(text, "x:", 2);
    text[2 + 129] = '\0';
    assert_int_not_equal(reference_parse(text, &reference, NULL), 0);
    text[2 + 128] = '\0';
    assert_int_equal(reference_parse(text, &reference, NULL), 0);
}

static void test_loopback(void **state)
{
    assert_true(server_is_loopback("localhost"));
    assert_true(server_is_loopback("localhost:5000"));
    assert_true(server_is_loopback("127.0.0.1:5000"));
    assert_true(server_is_loopback("[::1]:80"));
    assert_false(server_is_loopback("localhost.example.org"));
    assert_false(server_is_loopback("127.example.org"));
    assert_false(server_is_loopback("example.org:127"));
    assert_false(server_is_loopback("[::2]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_get_defaults),
        cmocka_unit_test(test_registries),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_loopback),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
