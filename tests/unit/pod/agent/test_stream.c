// SPDX-License-Identifier: Apache-2.0
/* Connections up to the hello: directly and through husk's vsock socket, too early, and to agents
 * that do not keep to the protocol. */
#include "tests/unit/pod/agent/fake_agent.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "husk/agent.h"
#include "pod/agent/stream.h"

#define TIMEOUT_MS 20000

struct seen {
    struct fake_agent fake;
    struct agent_dial *dial;
    int called;
    int fd;
    struct agent_hello hello;
    struct husk_error error;
};

static void on_done(void *arg, int fd, const struct agent_hello *hello,
                    const struct husk_error *error)
{
    struct seen *seen = arg;

    assert_true(!hello != !error);
    assert_true((fd >= 0) == (hello != NULL));
    seen->dial = NULL;
    seen->called++;
    seen->fd = fd;
    if (hello)
        seen->hello = *hello;
    else
        seen->error = *error;
}

static int set_up(void **state)
{
    struct seen *seen = calloc(1, sizeof(*seen));

    assert_non_null(seen);
    seen->fd = -1;
    fake_start(&seen->fake);
    *state = seen;
    return 0;
}

static int tear_down(void **state)
{
    struct seen *seen = *state;

    agent_dial_cancel(seen->dial);
    close_fd(&seen->fd);
    fake_stop(&seen->fake);
    free(seen);
    return 0;
}

static void dial(struct seen *seen, uint32_t timeout_ms)
{
    assert_int_equal(agent_stream_open(seen->fake.loop, &seen->fake.connector, "web", "init",
                                       "stdout", timeout_ms, on_done, seen, &seen->dial),
                     0);
    assert_int_equal(seen->called, 0);
}

static void forget_hello(struct seen *seen)
{
    json_decref(fake_hear(&seen->fake));
}

static void test_stream(void **state)
{
    struct seen *seen = *state;
    char bytes[16] = "";
    json_t *hello;

    dial(seen, TIMEOUT_MS);
    hello = fake_hear(&seen->fake);
    assert_string_equal(json_string_value(json_object_get(hello, "role")), "stream");
    assert_string_equal(json_string_value(json_object_get(hello, "container")), "web");
    assert_string_equal(json_string_value(json_object_get(hello, "process")), "init");
    assert_string_equal(json_string_value(json_object_get(hello, "stream")), "stdout");
    assert_int_equal(json_object_size(hello), 5);
    json_decref(hello);
    fake_say(&seen->fake, "{\"husk\": {\"major\": 1, \"minor\": 9, \"new\": 1}, \"agent\":"
                          " \"9\\u0007\", \"booted\": false, \"new\": {}}");
    /* Right behind it, and none of the hello's. */
    fake_write(&seen->fake, "{\"output\"}", 10);
    fake_until(&seen->fake, seen->called == 1);
    assert_int_equal(recv(seen->fd, bytes, sizeof(bytes), MSG_DONTWAIT), 10);
    assert_string_equal(bytes, "{\"output\"}");
    assert_string_equal(seen->hello.version, "9?");
    assert_false(seen->hello.booted);
    assert_int_equal(seen->hello.minor, HUSK_AGENT_MINOR);
}

static void expect_connect_line(struct seen *seen)
{
    char line[14] = "";

    fake_read(&seen->fake, line, 13);
    assert_string_equal(line, "CONNECT 1024\n");
}

static void test_vsock(void **state)
{
    struct seen *seen = *state;

    seen->fake.connector.vsock = true;
    dial(seen, TIMEOUT_MS);
    expect_connect_line(seen);
    forget_hello(seen); /* it does not wait for the line's answer */
    fake_write(&seen->fake, "OK 10737", 8);
    fake_settle(&seen->fake);
    assert_int_equal(seen->called, 0);
    fake_write(&seen->fake, "41824\n", 6);
    fake_say(&seen->fake, WELCOME);
    fake_until(&seen->fake, seen->called == 1);
    assert_true(seen->fd >= 0);
    assert_int_equal(seen->hello.minor, 0);
}

/* Nobody listens in the guest yet: husk closes the connection. */
static void test_vsock_too_early(void **state)
{
    struct seen *seen = *state;

    seen->fake.connector.vsock = true;
    seen->fake.refusals = 2;
    seen->fake.refuse_with = -ENOENT;
    dial(seen, TIMEOUT_MS);
    for (unsigned i = 0; i < 5; i++) {
        fake_until(&seen->fake, seen->fake.attempts == 3 + i);
        expect_connect_line(seen);
        close_fd(&seen->fake.end);
    }
    fake_until(&seen->fake, seen->fake.attempts == 8);
    expect_connect_line(seen);
    forget_hello(seen);
    fake_write(&seen->fake, "OK 1\n", 5);
    fake_say(&seen->fake, WELCOME);
    fake_until(&seen->fake, seen->called == 1);
    assert_true(seen->fd >= 0);
}

static void test_bad_lines(void **state)
{
    static const char *const lines[] = {
        "\n",
        "OK\n",
        "OK \n",
        "OK 1 \n",
        "OK -1\n",
        "ok 1\n",
        "OK 12a\n",
        "ERROR\n",
        "OK 123456789012345678901234567890",
        "{\"husk\": {\"major\": 1, \"minor\": 0}}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct seen *seen;

        set_up((void **)&seen);
        seen->fake.connector.vsock = true;
        dial(seen, TIMEOUT_MS);
        expect_connect_line(seen);
        fake_write(&seen->fake, lines[i], strlen(lines[i]));
        fake_until(&seen->fake, seen->called == 1);
        if (seen->error.code != EPROTO)
            fail_msg("%s: %d", lines[i], seen->error.code);
        assert_int_equal(seen->fake.attempts, 1);
        tear_down((void **)&seen);
    }
    (void)state;
}

static void test_bad_hellos(void **state)
{
    static const struct {
        const char *hello;
        int code;
    } hellos[] = {
        {"{}", EPROTO},
        {"[]", EPROTO},
        {"{\"husk\": 1, \"agent\": \"\", \"booted\": true}", EPROTO},
        {"{\"husk\": {\"major\": 1}, \"agent\": \"\", \"booted\": true}", EPROTO},
        {"{\"husk\": {\"major\": 1, \"minor\": -1}, \"agent\": \"\", \"booted\": true}", EPROTO},
        {"{\"husk\": {\"major\": 1, \"minor\": 0.5}, \"agent\": \"\", \"booted\": true}", EPROTO},
        {"{\"husk\": {\"major\": \"1\", \"minor\": 0}, \"agent\": \"\", \"booted\": true}", EPROTO},
        {"{\"husk\": {\"major\": 2, \"minor\": 0}}", EPROTONOSUPPORT},
        {"{\"husk\": {\"major\": 0, \"minor\": 0}}", EPROTONOSUPPORT},
        {"{\"husk\": {\"major\": 1, \"minor\": 0}, \"booted\": true}", EPROTO},
        {"{\"husk\": {\"major\": 1, \"minor\": 0}, \"agent\": \"\"}", EPROTO},
        {"{\"husk\": {\"major\": 1, \"minor\": 0}, \"agent\": \"\", \"booted\": 1}", EPROTO},
        {"{\"husk\": {\"major\": 1, \"minor\": 0}, \"booted\": true, \"agent\": \"0123456789"
         "0123456789012345678901234567890123456789012345678901234\"}",
         EPROTO},
        {"{\"error\": 1}", EPROTO},
        {"{\"error\": {\"code\": \"state\", \"where\": \"stdout\", \"what\": \"has a connection"
         " already\", \"why\": \"\"}}",
         EBUSY},
        {"{\"error\": {\"code\": \"not-found\", \"where\": \"a\", \"what\": \"b\", \"why\":"
         " \"c\"}}",
         ENOENT},
    };

    for (size_t i = 0; i < ARRAY_SIZE(hellos); i++) {
        struct seen *seen;

        set_up((void **)&seen);
        dial(seen, TIMEOUT_MS);
        forget_hello(seen);
        fake_say(&seen->fake, hellos[i].hello);
        fake_until(&seen->fake, seen->called == 1);
        if (seen->error.code != hellos[i].code)
            fail_msg("%s: %d", hellos[i].hello, seen->error.code);
        assert_true(fake_is_closed(&seen->fake));
        assert_int_equal(seen->fake.attempts, 1);
        tear_down((void **)&seen);
    }
    (void)state;
}

/* A hello is short: nothing longer is even begun. */
static void test_long_hello(void **state)
{
    struct seen *seen = *state;
    uint8_t header[4];

    dial(seen, TIMEOUT_MS);
    forget_hello(seen);
    put_le32(header, 4097);
    fake_write(&seen->fake, header, sizeof(header));
    fake_until(&seen->fake, seen->called == 1);
    assert_int_equal(seen->error.code, EPROTO);
}

static void test_closed_instead_of_a_hello(void **state)
{
    struct seen *seen = *state;

    dial(seen, TIMEOUT_MS);
    for (unsigned i = 0; i < 3; i++) {
        fake_until(&seen->fake, seen->fake.attempts == i + 1);
        forget_hello(seen);
        if (i == 1)
            fake_write(&seen->fake, "\x10\0\0\0{", 5);
        if (i < 2)
            close_fd(&seen->fake.end);
    }
    fake_say(&seen->fake, WELCOME);
    fake_until(&seen->fake, seen->called == 1);
    assert_true(seen->fd >= 0);
}

static void test_time_is_over(void **state)
{
    struct seen *seen = *state;

    seen->fake.refusals = 1000000;
    dial(seen, 60);
    fake_until(&seen->fake, seen->called == 1);
    assert_int_equal(seen->error.code, ETIMEDOUT);
    assert_non_null(strstr(seen->error.why, "is not there"));
    assert_in_range(seen->fake.attempts, 2, 40);
}

static void test_silence(void **state)
{
    struct seen *seen = *state;

    seen->fake.connector.vsock = true;
    dial(seen, 60);
    expect_connect_line(seen);
    fake_write(&seen->fake, "OK 1\n", 5);
    fake_until(&seen->fake, seen->called == 1);
    assert_int_equal(seen->error.code, ETIMEDOUT);
    assert_int_equal(seen->fake.attempts, 1);
}

static void test_connector_fails(void **state)
{
    struct seen *seen = *state;

    seen->fake.refusals = 1;
    seen->fake.refuse_with = -EACCES;
    dial(seen, TIMEOUT_MS);
    fake_until(&seen->fake, seen->called == 1);
    assert_int_equal(seen->error.code, EACCES);
    assert_int_equal(seen->fake.attempts, 1);
}

static void test_cancelled(void **state)
{
    for (int after = 0; after < 3; after++) {
        struct seen *seen;

        set_up((void **)&seen);
        dial(seen, TIMEOUT_MS);
        if (after > 0)
            forget_hello(seen);
        if (after > 1)
            fake_write(&seen->fake, "\x40\0\0\0{", 5);
        if (after > 1)
            fake_settle(&seen->fake);
        agent_dial_cancel(seen->dial);
        seen->dial = NULL;
        fake_settle(&seen->fake);
        assert_int_equal(seen->called, 0);
        if (after > 0)
            assert_true(fake_is_closed(&seen->fake));
        tear_down((void **)&seen);
    }
    (void)state;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_stream),
        TEST(test_vsock),
        TEST(test_vsock_too_early),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_bad_hellos),
        TEST(test_long_hello),
        TEST(test_closed_instead_of_a_hello),
        TEST(test_time_is_over),
        TEST(test_silence),
        TEST(test_connector_fails),
        cmocka_unit_test(test_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
