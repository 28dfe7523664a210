// SPDX-License-Identifier: Apache-2.0
/* Credentials out of files, and what registries ask for. */
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

#include "base/checked.h"
#include "base/error.h"
#include "pod/image/auth.h"

static const char file[] = "{\"auths\":{"
                           "\"registry.example.org\":{\"auth\":\"YTphcGFzcw==\"},"
                           "\"registry.example.org/team\":{\"auth\":\"Yjpi\"},"
                           "\"https://index.docker.io/v1/\":{\"auth\":\"Yzpj\"},"
                           "\"empty.org\":{}}}";

static const char *find(const char *registry, const char *repository)
{
    static struct credentials credentials;

    assert_int_equal(credentials_parse(file, strlen(file), "auth.json", registry, repository,
                                       &credentials, NULL),
                     0);
    return credentials.basic;
}

static void test_longest_prefix(void **state)
{
    assert_string_equal(find("registry.example.org", "other/x"), "YTphcGFzcw==");
    assert_string_equal(find("registry.example.org", "team/x"), "Yjpi");
    assert_string_equal(find("registry.example.org", "teams/x"), "YTphcGFzcw==");
    assert_string_equal(find("docker.io", "library/x"), "Yzpj");
    assert_string_equal(find("empty.org", "x"), "");
    assert_string_equal(find("registry.example.or", "x"), "");
    assert_string_equal(find("registry.example.org:5000", "x"), "");
}

static void test_bad_files(void **state)
{
    static const char *const wrong[] = {"", "[]", "{\"auths\":{\"r\":{\"auth\":\"a\\r\\nX: y\"}}}",
                                        "{\"auths\":{\"r\":{\"auth\":\"secret!\"}}}"};
    struct credentials credentials;

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct husk_error err = {0};
        char text[600];

        assert_int_not_equal(credentials_parse(wrong[i], strlen(wrong[i]), "auth.json", "r", "x",
                                               &credentials, &err),
                             0);
        assert_null(strstr(error_format(&err, text, sizeof(text)), "secret"));
        assert_string_equal(credentials.basic, "");
    }
}

static void test_files(void **state)
{
    char path[] = "/tmp/husk-auth-XXXXXX";
    struct credentials credentials;
    struct husk_error err = {0};
    int fd = mkstemp(path);

    assert_int_equal(write(fd, file, strlen(file)), (ssize_t)strlen(file));
    close(fd);
    assert_int_equal(credentials_find(path, "docker.io", "library/x", &credentials, NULL), 0);
    assert_string_equal(credentials.basic, "Yzpj");
    setenv("REGISTRY_AUTH_FILE", path, 1);
    assert_int_equal(credentials_find(NULL, "docker.io", "library/x", &credentials, NULL), 0);
    assert_string_equal(credentials.basic, "Yzpj");
    unlink(path);
    assert_int_equal(credentials_find(path, "docker.io", "x", &credentials, &err), -ENOENT);
    assert_string_equal(err.where, path);
    assert_int_not_equal(credentials_find("/", "docker.io", "x", &credentials, &err), 0);
}

static void test_make(void **state)
{
    struct credentials credentials;
    char longer[3000];

    assert_int_equal(credentials_make("Aladdin", "open sesame", &credentials), 0);
    assert_string_equal(credentials.basic, "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="); /* RFC 7617, 2 */
    assert_int_equal(credentials_make("a:b", "c", &credentials), -EINVAL);
    assert_int_equal(credentials_make("", "c", &credentials), -EINVAL);
    assert_int_equal(credentials_make("a", "c\nd", &credentials), -EINVAL);
    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(credentials_make("a", longer, &credentials), -EINVAL);
}

static void test_challenges(void **state)
{
    struct challenge challenge;

    assert_int_equal(challenge_parse("Bearer realm=\"https://a/t\",service=\"s \\\"q\\\"\","
                                     "scope=\"repository:x:pull\"",
                                     &challenge),
                     0);
    assert_true(challenge.bearer);
    assert_string_equal(challenge.realm, "https://a/t");
    assert_string_equal(challenge.service, "s \"q\"");
    assert_string_equal(challenge.scope, "repository:x:pull");
    assert_int_equal(challenge_parse("bearer Realm=x , error=\"y\"", &challenge), 0);
    assert_string_equal(challenge.realm, "x");
    assert_int_equal(challenge_parse("Basic realm=\"r\"", &challenge), 0);
    assert_false(challenge.bearer);
}

static void test_bad_challenges(void **state)
{
    static const char *const wrong[] = {"",
                                        "Digest realm=\"x\"",
                                        "Bearer",
                                        "Bearer ",
                                        "Bearer service=\"x\"",
                                        "Bearer realm=\"x",
                                        "Bearer realm",
                                        "Bearer =x",
                                        "Basically"};
    struct challenge challenge;
    char longer[2100];

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++)
        assert_int_equal(challenge_parse(wrong[i], &challenge), -EINVAL);
    memset(longer, 'a', sizeof(longer));
    memcpy(longer, "Bearer realm=", 13);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(challenge_parse(longer, &challenge), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_longest_prefix), cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_files),          cmocka_unit_test(test_make),
        cmocka_unit_test(test_challenges),     cmocka_unit_test(test_bad_challenges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
