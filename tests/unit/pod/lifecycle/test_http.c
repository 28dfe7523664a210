// SPDX-License-Identifier: Apache-2.0
/* What probes ask, and what they make of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/lifecycle/http.h"

static char *request_of(const char *json, const char *host)
{
    json_t *object = json_loads(json, 0, NULL);
    char *text;

    assert_non_null(object);
    text = http_request(object, host, 8080);
    json_decref(object);
    return text;
}

static void a_request_is_one_get(void **state)
{
    char *text = request_of("{\"path\": \"/healthz?a=b\"}", "10.1.2.3");

    assert_string_equal(text,
                        "GET /healthz?a=b HTTP/1.1\r\nHost: 10.1.2.3:8080\r\n"
                        "User-Agent: kube-probe/husk\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    free(text);
}

static void headers_take_the_place_of_ours(void **state)
{
    char *text = request_of("{\"path\": \"x\", \"httpHeaders\": [{\"name\": \"host\", \"value\": "
                            "\"web\"}, {\"name\": \"X\", \"value\": \"a b\"}]}",
                            "fd00::1");

    assert_non_null(strstr(text, "GET /x HTTP/1.1\r\nhost: web\r\nX: a b\r\n"));
    assert_null(strstr(text, "Host: "));
    free(text);
    text = request_of("{}", "fd00::1");
    assert_non_null(strstr(text, "GET / HTTP/1.1\r\nHost: [fd00::1]:8080\r\n"));
    free(text);
}

static void nothing_is_smuggled(void **state)
{
    assert_null(request_of("{\"path\": \"/ HTTP/1.1\\r\\nX: y\"}", "h"));
    assert_null(request_of("{\"httpHeaders\": [{\"name\": \"X\", \"value\": \"a\\nb\"}]}", "h"));
    assert_null(request_of("{\"httpHeaders\": [{\"name\": \"X y\", \"value\": \"a\"}]}", "h"));
}

static void status_lines_are_read(void **state)
{
    static const struct {
        const char *line;
        int status;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n", 200},
        {"HTTP/1.0 404 Not Found\r\nServer: x\r\n", 404},
        {"HTTP/1.1 503\r\n", 503},
        {"HTTP/1.1 204 \n", 204},
        {"", 0},
        {"HTT", 0},
        {"HTTP/1.1 200 OK\r", 0},
        {"HTTP/1.1 2000 OK\r\n", -EPROTO},
        {"HTTP/1.1 600 OK\r\n", -EPROTO},
        {"HTTP/1.1 20x\r\n", -EPROTO},
        {"HTTP/1.\n", -EPROTO},
        {"HTTP/2 200\r\n", -EPROTO},
        {"SSH-2.0-x\r\n", -EPROTO},
        {"\n", -EPROTO},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(http_status(rows[i].line, strlen(rows[i].line)), rows[i].status);
}

static void a_line_without_end_is_none(void **state)
{
    char line[2 * HTTP_LINE_MAX];

    memset(line, 'x', sizeof(line));
    memcpy(line, "HTTP/1.1 200 ", 13);
    assert_int_equal(http_status(line, HTTP_LINE_MAX - 1), 0);
    assert_int_equal(http_status(line, HTTP_LINE_MAX), -EPROTO);
    line[HTTP_LINE_MAX] = '\n';
    assert_int_equal(http_status(line, sizeof(line)), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_one_get),
        cmocka_unit_test(headers_take_the_place_of_ours),
        cmocka_unit_test(nothing_is_smuggled),
        cmocka_unit_test(status_lines_are_read),
        cmocka_unit_test(a_line_without_end_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
