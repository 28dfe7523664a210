// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/checked.h"
#include "probe/health.h"
#include "probe/reply.h"

#define SERVING "\0\0\0\0\2\x08\1"

static void put(struct reply *reply, const char *name, const char *value)
{
    reply_field(reply, (const uint8_t *)name, strlen(name), (const uint8_t *)value, strlen(value));
}

static struct reply begin(const char *status, const char *type)
{
    struct reply reply = {0};

    put(&reply, ":status", status);
    put(&reply, "content-type", type);
    return reply;
}

static enum probe_end whole(const char *body, size_t len, const char *code)
{
    struct reply reply = begin("200", "application/grpc");

    for (size_t i = 0; i < len; i++) /* in the smallest pieces */
        reply_data(&reply, (const uint8_t *)body + i, 1);
    if (code)
        put(&reply, "grpc-status", code);
    return reply_end(&reply);
}

static void a_service_that_serves(void **state)
{
    static const char *const types[] = {"application/grpc", "application/grpc+proto",
                                        "application/grpc;charset=utf-8"};

    assert_int_equal(whole(SERVING, 7, "0"), PROBE_END_WELL);
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        struct reply reply = begin("200", types[i]);

        reply_data(&reply, (const uint8_t *)SERVING, 7);
        put(&reply, "grpc-message", "");
        put(&reply, "grpc-status", "0");
        assert_int_equal(reply_end(&reply), PROBE_END_WELL);
    }
}

static void other_healths(void **state)
{
    assert_int_equal(whole("\0\0\0\0\2\x08\2", 7, "0"), PROBE_END_HEALTH + HEALTH_NOT_SERVING);
    assert_int_equal(whole("\0\0\0\0\2\x08\3", 7, "0"), PROBE_END_HEALTH + HEALTH_SERVICE_UNKNOWN);
    assert_int_equal(whole("\0\0\0\0\0", 5, "0"), PROBE_END_HEALTH);
    assert_int_equal(whole("\0\0\0\0\2\x08\4", 7, "0"), PROBE_END_HEALTH);
    assert_int_equal(whole("\0\0\0\0\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 16, "0"),
                     PROBE_END_HEALTH);
}

/* Whatever the body is. */
static void a_call_that_failed(void **state)
{
    assert_int_equal(whole("", 0, "12"), PROBE_END_CODE + 12);
    assert_int_equal(whole(SERVING, 7, "5"), PROBE_END_CODE + 5);
    assert_int_equal(whole(SERVING, 7, "16"), PROBE_END_CODE + 16);
    assert_int_equal(whole(SERVING, 7, "17"), PROBE_END_CODE + 2);
    assert_int_equal(whole(SERVING, 7, "000"), PROBE_END_CODE + 2);
    assert_int_equal(whole(SERVING, 7, "-1"), PROBE_END_CODE + 2);
    assert_int_equal(whole(SERVING, 7, ""), PROBE_END_CODE + 2);
}

static void what_is_no_answer(void **state)
{
    static const uint8_t many[REPLY_PREFIX + REPLY_MESSAGE_MAX + 1] = {0, 0, 0, 4, 1};
    static const struct {
        const char *status, *type;
    } heads[] = {{"404", "application/grpc"},
                 {"200", "text/html"},
                 {"200", "application/grpcx"},
                 {"200", ""},
                 {"2000", "application/grpc"}};
    struct reply reply;

    assert_int_equal(whole(SERVING, 7, NULL), PROBE_END_NO_GRPC);
    assert_int_equal(whole(SERVING, 6, "0"), PROBE_END_NO_GRPC);
    assert_int_equal(whole(SERVING "\0", 8, "0"), PROBE_END_NO_GRPC);
    assert_int_equal(whole(SERVING SERVING, 14, "0"), PROBE_END_NO_GRPC);
    assert_int_equal(whole("", 0, "0"), PROBE_END_NO_GRPC);
    assert_int_equal(whole("\1\0\0\0\2\x08\1", 7, "0"), PROBE_END_NO_GRPC); /* compressed */
    assert_int_equal(whole("\0\0\0\0\1\x08", 6, "0"), PROBE_END_NO_GRPC);
    assert_int_equal(whole("\0\xff\xff\xff\xff\x08\1", 7, "0"), PROBE_END_NO_GRPC);
    for (unsigned i = 0; i < ARRAY_SIZE(heads); i++) {
        reply = begin(heads[i].status, heads[i].type);
        reply_data(&reply, (const uint8_t *)SERVING, 7);
        put(&reply, "grpc-status", "0");
        assert_int_equal(reply_end(&reply), PROBE_END_NO_GRPC);
    }
    reply = begin("200", "application/grpc");
    reply_data(&reply, many, sizeof(many));
    reply_data(&reply, many, sizeof(many));
    put(&reply, "grpc-status", "0");
    assert_int_equal(reply_end(&reply), PROBE_END_NO_GRPC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_that_serves),
        cmocka_unit_test(other_healths),
        cmocka_unit_test(a_call_that_failed),
        cmocka_unit_test(what_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
