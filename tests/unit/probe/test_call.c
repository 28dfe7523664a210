// SPDX-License-Identifier: Apache-2.0
/* A call against frames made by hand (RFC 9113, section 4.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "probe/call.h"
#include "probe/health.h"

enum { DATA, HEADERS, RST_STREAM = 3, SETTINGS, PUSH_PROMISE, PING, GOAWAY, CONTINUATION = 9 };
enum { NONE, END_STREAM, ACK = 1, END_HEADERS = 4 };

#define SERVING "\0\0\0\0\2\x08\1"

static struct call *call;
static uint8_t answer[1 << 20];
static size_t answer_len;

static void frame(unsigned type, unsigned flags, unsigned stream, const void *bytes, size_t len)
{
    const uint8_t head[] = {(uint8_t)(len >> 16),
                            (uint8_t)(len >> 8),
                            (uint8_t)len,
                            (uint8_t)type,
                            (uint8_t)flags,
                            0,
                            0,
                            0,
                            (uint8_t)stream};

    assert_true(answer_len + sizeof(head) + len <= sizeof(answer));
    memcpy(answer + answer_len, head, sizeof(head));
    if (len)
        memcpy(answer + answer_len + sizeof(head), bytes, len);
    answer_len += sizeof(head) + len;
}

/* Fields as literals that are not indexed (RFC 7541, section 6.2.2). */
static void fields(unsigned flags, const char *const *pairs)
{
    uint8_t block[512];
    size_t len = 0;

    for (; *pairs; pairs += 2) {
        block[len++] = 0;
        for (unsigned i = 0; i < 2; i++) {
            size_t text = strlen(pairs[i]);

            block[len++] = (uint8_t)text;
            memcpy(block + len, pairs[i], text);
            len += text;
        }
    }
    frame(HEADERS, END_HEADERS | flags, 1, block, len);
}

static const char *const head[] = {":status", "200", "content-type", "application/grpc", NULL};
static const char *const fine[] = {"grpc-status", "0", NULL};
static const char *const only[] = {
    ":status", "200", "content-type", "application/grpc", "grpc-status", "12", NULL};

static void begin(void)
{
    const uint8_t *bytes;
    size_t len;

    call = call_new("web", "10.0.0.7:50051");
    assert_non_null(call);
    len = call_output(call, &bytes);
    assert_true(len >= 24);
    assert_memory_equal(bytes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    while (call_output(call, &bytes) > 0)
        continue;
    answer_len = 0;
    frame(SETTINGS, NONE, 0, NULL, 0);
    frame(SETTINGS, ACK, 0, NULL, 0);
}

/* Feeds what was made, in pieces, with what the call sends taken or not. */
static int feed(size_t piece, bool take)
{
    enum probe_end end;
    const uint8_t *bytes;

    for (size_t at = 0; at < answer_len && !call_over(call, &end); at += piece) {
        size_t len = answer_len - at < piece ? answer_len - at : piece;

        call_input(call, answer + at, len);
        while (take && call_output(call, &bytes) > 0)
            continue;
    }
    return call_over(call, &end) ? (int)end : -1;
}

static int end_call(size_t piece)
{
    int end = feed(piece, true);

    call_free(call);
    return end;
}

static void a_service_that_serves(void **state)
{
    static const size_t pieces[] = {1, 7, 4096};

    for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++) {
        begin();
        frame(PING, NONE, 0, "12345678", 8);
        fields(NONE, head);
        frame(DATA, NONE, 1, SERVING, 3);
        frame(DATA, NONE, 1, &SERVING[3], 4);
        fields(END_STREAM, fine);
        assert_int_equal(end_call(pieces[i]), PROBE_END_WELL);
    }
}

static void answers_that_say_no(void **state)
{
    begin();
    fields(END_STREAM, only);
    assert_int_equal(end_call(4096), PROBE_END_CODE + 12);
    begin();
    fields(NONE, head);
    frame(DATA, NONE, 1, "\0\0\0\0\2\x08\2", 7);
    fields(END_STREAM, fine);
    assert_int_equal(end_call(4096), PROBE_END_HEALTH + HEALTH_NOT_SERVING);
    begin();
    fields(NONE, head);
    frame(DATA, END_STREAM, 1, SERVING, 7);
    assert_int_equal(end_call(4096), PROBE_END_NO_GRPC);
}

static void ends_before_the_answer(void **state)
{
    begin();
    frame(RST_STREAM, NONE, 1, "\0\0\0\7", 4);
    assert_int_equal(end_call(4096), PROBE_END_RESET);
    begin();
    frame(GOAWAY, NONE, 0, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(end_call(4096), PROBE_END_RESET);
    begin();
    fields(NONE, head);
    assert_int_equal(feed(4096, true), -1);
    call_closed(call);
    assert_int_equal(end_call(4096), PROBE_END_RESET);
    begin();
    call_closed(call);
    answer_len = 0;
    assert_int_equal(end_call(4096), PROBE_END_SILENT);
}

static int raw(const void *bytes, size_t len)
{
    begin();
    memcpy(answer, bytes, len);
    answer_len = len;
    return end_call(4096);
}

static void what_is_no_http2(void **state)
{
    static const char *const upper[] = {":status", "200", "Content-Type", "application/grpc", NULL};
    static const uint8_t zeros[20000];

    assert_int_equal(raw("HTTP/1.1 400 Bad Request\r\n\r\n", 28), PROBE_END_NO_HTTP2);
    assert_int_equal(raw(zeros, 64), PROBE_END_NO_HTTP2);
    begin();
    frame(DATA, NONE, 3, SERVING, 7); /* a stream that is not */
    assert_int_equal(end_call(4096), PROBE_END_NO_HTTP2);
    begin();
    frame(DATA, NONE, 1, zeros, sizeof(zeros)); /* a frame of more than was allowed */
    assert_int_equal(end_call(4096), PROBE_END_NO_HTTP2);
    begin();
    frame(PUSH_PROMISE, END_HEADERS, 1, "\0\0\0\2\x88", 5);
    assert_int_equal(end_call(4096), PROBE_END_NO_HTTP2);
    begin();
    frame(HEADERS, END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff", 6); /* of no table */
    assert_int_equal(end_call(4096), PROBE_END_NO_HTTP2);
    begin();
    fields(NONE, upper);
    assert_int_equal(end_call(4096), PROBE_END_RESET); /* it is the stream that is wrong */
}

static void floods_have_an_end(void **state)
{
    static const uint8_t block[16000] = {0};
    int end;

    begin();
    for (unsigned i = 0; i < 20000; i++)
        frame(PING, NONE, 0, "12345678", 8);
    assert_int_equal(end_call(4096), PROBE_END_TOO_MUCH);
    begin();
    for (unsigned i = 0; i < 20000; i++)
        frame(PING, NONE, 0, "12345678", 8);
    assert_int_equal(feed(4096, false), PROBE_END_NO_HTTP2); /* it takes no answers */
    call_free(call);
    begin();
    for (unsigned i = 0; i < 40000; i++)
        frame(SETTINGS, NONE, 0, "\0\4\0\0\xff\xff", 6);
    assert_int_equal(end_call(4096), PROBE_END_TOO_MUCH);
    begin();
    fields(NONE, head);
    for (unsigned i = 0; i < 30; i++)
        frame(DATA, NONE, 1, block, sizeof(block));
    assert_int_equal(end_call(4096), PROBE_END_TOO_MUCH);
    begin();
    frame(HEADERS, NONE, 1, block, sizeof(block));
    for (unsigned i = 0; i < 30; i++)
        frame(CONTINUATION, NONE, 1, block, sizeof(block));
    end = end_call(4096);
    assert_true(end == PROBE_END_NO_HTTP2 || end == PROBE_END_TOO_MUCH || end == PROBE_END_RESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_that_serves),  cmocka_unit_test(answers_that_say_no),
        cmocka_unit_test(ends_before_the_answer), cmocka_unit_test(what_is_no_http2),
        cmocka_unit_test(floods_have_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
