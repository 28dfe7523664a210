// SPDX-License-Identifier: Apache-2.0
/* What probes ask, and where they are sent on to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/lifecycle/http.h"

static char *request_of(const char *headers, const char *path, const char *host, bool own_host)
{
    struct http_target target = {.port = 8080};
    json_t *list = json_loads(headers, 0, NULL);
    char *text;

    assert_non_null(list);
    snprintf(target.host, sizeof(target.host), "%s", host);
    assert_int_equal(http_set_path(&target, path), 0);
    text = http_request(list, &target, own_host);
    json_decref(list);
    return text;
}

static void a_request_is_one_get(void **state)
{
    char *text = request_of("[]", "/healthz?a=b", "10.1.2.3", true);

    assert_string_equal(text,
                        "GET /healthz?a=b HTTP/1.1\r\nHost: 10.1.2.3:8080\r\n"
                        "User-Agent: kube-probe/husk\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    free(text);
}

#define OWN                                                                             \
    "[{\"name\": \"host\", \"value\": \"web\"}, {\"name\": \"X\", \"value\": \"a b\"}," \
    " {\"name\": \"accept\", \"value\": \"text/plain\"}]"

static void headers_take_the_place_of_ours(void **state)
{
    char *text = request_of(OWN, "x", "fd00::1", true);

    assert_non_null(strstr(text, "GET /x HTTP/1.1\r\nhost: web\r\nX: a b\r\n"));
    assert_null(strstr(text, "Host: "));
    assert_null(strstr(text, "Accept: "));
    free(text);
    text = request_of(OWN, "x", "fd00::1", false);
    assert_null(strstr(text, "host: web"));
    assert_non_null(strstr(text, "Host: [fd00::1]:8080\r\n"));
    free(text);
    text = request_of("[]", NULL, "fd00::1", true);
    assert_non_null(strstr(text, "GET / HTTP/1.1\r\nHost: [fd00::1]:8080\r\n"));
    free(text);
}

static void nothing_is_smuggled(void **state)
{
    assert_null(request_of("[]", "/ HTTP/1.1\r\nX: y", "h", true));
    assert_null(request_of("[{\"name\": \"X\", \"value\": \"a\\nb\"}]", "/", "h", true));
    assert_null(request_of("[{\"name\": \"X y\", \"value\": \"a\"}]", "/", "h", true));
}

static void paths_have_an_end(void **state)
{
    struct http_target target;
    char path[HTTP_PATH_MAX + 1];

    memset(path, 'x', sizeof(path));
    path[HTTP_PATH_MAX - 1] = '\0';
    assert_int_equal(http_set_path(&target, path), -ENAMETOOLONG);
    path[HTTP_PATH_MAX - 2] = '\0';
    assert_int_equal(http_set_path(&target, path), 0);
    assert_int_equal(strlen(target.path), HTTP_PATH_MAX - 1);
}

/* From http://10.0.0.7:8080/a/b?q. */
static void references_lead_on(void **state)
{
    static const struct {
        const char *location, *path;
        int port, ret;
        bool tls, named;
    } rows[] = {
        {"/up", "/up", 8080, 0, false, false},
        {"/up#there", "/up", 8080, 0, false, false},
        {"c", "/a/c", 8080, 0, false, false},
        {"c/../d?e=/../f", "/a/d?e=/../f", 8080, 0, false, false},
        {"../..", "/", 8080, 0, false, false},
        {"../../../c/.", "/c/", 8080, 0, false, false},
        {"./c", "/a/c", 8080, 0, false, false},
        {"?z", "/a/b?z", 8080, 0, false, false},
        {"#x", "/a/b?q", 8080, 0, false, false},
        {"//10.0.0.7/x", "/x", 80, 0, false, true},
        {"http://10.0.0.7:90", "/", 90, 0, false, true},
        {"HTTPS://10.0.0.7/./y?z", "/y?z", 443, 0, true, true},
        {"http://10.0.0.7?z", "/?z", 80, 0, false, true},
        {"http://10.0.0.8/", NULL, 0, -EXDEV, false, true},
        {"http://[fd00::1]:1/", NULL, 0, -EXDEV, false, true},
        {"http://u@10.0.0.7/", NULL, 0, -EINVAL, false, true},
        {"http://10.0.0.7:/", NULL, 0, -EINVAL, false, true},
        {"http://10.0.0.7:0/", NULL, 0, -EINVAL, false, true},
        {"http://10.0.0.7:65536/", NULL, 0, -EINVAL, false, true},
        {"http://[10.0.0.7/", NULL, 0, -EINVAL, false, true},
        {"http://[10.0.0.7]x/", NULL, 0, -EINVAL, false, true},
        {"http:///x", NULL, 0, -EINVAL, false, true},
        {"http:x", NULL, 0, -EINVAL, false, false},
        {"file:///etc/passwd", NULL, 0, -EINVAL, false, false},
        {"gopher://10.0.0.7/", NULL, 0, -EINVAL, false, false},
        {"/a b", NULL, 0, -EINVAL, false, false},
        {"/a\r\nX: y", NULL, 0, -EINVAL, false, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        struct http_target target = {.port = 8080, .host = "10.0.0.7", .path = "/a/b?q"};
        bool named = false;

        assert_int_equal(http_follow(&target, rows[i].location, &named), rows[i].ret);
        if (rows[i].ret) {
            assert_string_equal(target.path, "/a/b?q");
            continue;
        }
        assert_string_equal(target.path, rows[i].path);
        assert_int_equal(target.port, rows[i].port);
        assert_int_equal(target.tls, rows[i].tls);
        assert_int_equal(named, rows[i].named);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_one_get), cmocka_unit_test(headers_take_the_place_of_ours),
        cmocka_unit_test(nothing_is_smuggled),  cmocka_unit_test(paths_have_an_end),
        cmocka_unit_test(references_lead_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
