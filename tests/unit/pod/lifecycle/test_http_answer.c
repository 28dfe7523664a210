// SPDX-License-Identifier: Apache-2.0
/* What probes make of answers, whole and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "pod/lifecycle/http_answer.h"

static struct http_answer answer;

/* What is said at the end of `text`, however it is cut: of feed, or of the connection's end. */
static int read_all(const char *text)
{
    size_t len = strlen(text);
    struct http_answer whole = {.part = HTTP_STATUS_LINE};
    int of_whole = http_answer_feed(&whole, text, len), ret = 0;

    memset(&answer, 0, sizeof(answer));
    for (size_t i = 0; i < len && ret == 0; i++)
        ret = http_answer_feed(&answer, text + i, 1);
    assert_int_equal(ret, of_whole);
    assert_int_equal(answer.status, whole.status);
    assert_string_equal(answer.location, whole.location);
    return ret ? ret : http_answer_end(&answer);
}

#define OK "HTTP/1.1 200 OK\r\n"

static void answers_are_read(void **state)
{
    static const struct {
        const char *text;
        int ret, status;
    } rows[] = {
        {OK "Content-Length: 0\r\n\r\n", 1, 200},
        {OK "Content-Length: 5\r\n\r\nhello", 1, 200},
        {OK "content-length:  5 \r\n\r\nhell", -EPROTO, 200},
        {OK "\r\nuntil the end", 0, 200},
        {"HTTP/1.0 404 Not Found\nServer: x\n\n", 0, 404},
        {"HTTP/1.1 503\r\n\r\n", 0, 503},
        {"HTTP/1.1 204 \n\n", 1, 204},
        {OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 1, 200},
        {OK "Transfer-Encoding: CHUNKED\r\n\r\nA;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\n", 1, 200},
        {OK "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n", -EPROTO, 200},
        {OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhellox\r\n", -EPROTO, 200},
        {OK "Transfer-Encoding: chunked\r\n\r\nz\r\n", -EPROTO, 200},
        {OK "Transfer-Encoding: gzip, chunked\r\n\r\n", -EPROTO, 200},
        {OK "Content-Length: -1\r\n\r\n", -EPROTO, 200},
        {OK "Content-Length: \r\n\r\n", -EPROTO, 200},
        {"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 0\r\n\r\n", 1, 200},
        {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 Oh\r\n\r\n", 0, 500},
        {"HTTP/1.1 101 Switching\r\n\r\n", 1, 101},
        {"", -EPROTO, 0},
        {"HTT", -EPROTO, 0},
        {"HTTP/1.1 200 OK\r", -EPROTO, 0},
        {OK "Server: x\r\n", -EPROTO, 200},
        {"HTTP/1.1 2000 OK\r\n", -EPROTO, -EPROTO},
        {"HTTP/1.1 600 OK\r\n", -EPROTO, -EPROTO},
        {"HTTP/1.1 20x\r\n", -EPROTO, -EPROTO},
        {"HTTP/1.\n", -EPROTO, -EPROTO},
        {"HTTP/2 200\r\n", -EPROTO, 0},
        {"SSH-2.0-x", -EPROTO, 0},
        {"\n", -EPROTO, -EPROTO},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(read_all(rows[i].text), rows[i].ret);
        assert_int_equal(answer.status, rows[i].status);
    }
}

static void a_location_is_kept(void **state)
{
    read_all("HTTP/1.1 103 Hints\r\nLocation: /early\r\n\r\nHTTP/1.1 302 Found\r\n"
             "LOCATION: \t/up?a=b \r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(answer.location, "/up?a=b");
    read_all("HTTP/1.1 302 Found\r\nLocations: /no\r\nContent-Length: 0\r\n\r\n");
    assert_string_equal(answer.location, "");
}

static void interim_answers_have_an_end(void **state)
{
    static const char interim[] = "HTTP/1.1 102 Processing\r\n\r\n";
    int ret = 0;

    memset(&answer, 0, sizeof(answer));
    for (unsigned i = 0; i < HTTP_INTERIM_MAX; i++)
        assert_int_equal(http_answer_feed(&answer, interim, strlen(interim)), 0);
    ret = http_answer_feed(&answer, interim, strlen(interim));
    assert_int_equal(ret, -EPROTO);
}

/* `unit` again and again after `head`: how often until something is said. */
static unsigned times(const char *head, const char *unit, int wanted)
{
    unsigned count = 0;
    int ret;

    memset(&answer, 0, sizeof(answer));
    ret = http_answer_feed(&answer, head, strlen(head));
    while (ret == 0 && count < 2 * HTTP_HEAD_MAX) {
        ret = http_answer_feed(&answer, unit, strlen(unit));
        count++;
    }
    assert_int_equal(ret, wanted);
    return count;
}

static void nothing_is_endless(void **state)
{
    assert_true(times("HTTP/1.1 200 ", "x", -EPROTO) <= HTTP_HEAD_MAX);
    assert_true(times(OK "X: ", "x", -EPROTO) <= HTTP_HEAD_MAX);
    assert_true(times(OK, "X: y\r\n", -EPROTO) <= HTTP_HEAD_MAX);
    assert_int_equal(times(OK "\r\n", "x", 1), HTTP_BODY_MAX);
    assert_int_equal(times(OK "Content-Length: 99999999999999999999999\r\n\r\n", "x", 1),
                     HTTP_BODY_MAX);
    assert_true(times(OK "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", 1) <= HTTP_BODY_MAX);
    assert_true(times(OK "Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n", -EPROTO) <=
                HTTP_HEAD_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(a_location_is_kept),
        cmocka_unit_test(interim_answers_have_an_end),
        cmocka_unit_test(nothing_is_endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
