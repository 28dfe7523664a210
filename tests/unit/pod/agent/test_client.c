// SPDX-License-Identifier: Apache-2.0
/* The control connection: what a good agent gets done with it, and what each lie of a bad one
 * brings. */
#include "tests/unit/pod/agent/fake_agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "pod/agent/client.h"

struct seen {
    struct fake_agent fake;
    struct agent_client *client;
    int ready, lost, events;
    struct agent_event event;
    struct husk_error why;
    int answers, errors, errors_before_lost;
    json_t *result; /* the last */
    struct husk_error error;
    int order[16]; /* tags of answers as they came */
    bool close_in_callback;
};

struct tagged {
    struct seen *seen;
    int tag;
};

static void on_ready(void *arg, const struct agent_hello *hello)
{
    struct seen *seen = arg;

    assert_string_equal(hello->version, "0.1.0");
    seen->ready++;
    if (seen->close_in_callback) {
        agent_client_close(seen->client);
        seen->client = NULL;
    }
}

static void on_event(void *arg, const struct agent_event *event)
{
    struct seen *seen = arg;

    seen->events++;
    seen->event = *event;
    if (seen->close_in_callback) {
        agent_client_close(seen->client);
        seen->client = NULL;
    }
}

static void on_lost(void *arg, const struct husk_error *why)
{
    struct seen *seen = arg;

    seen->lost++;
    seen->errors_before_lost = seen->errors;
    seen->why = *why;
    if (seen->close_in_callback) {
        agent_client_close(seen->client);
        seen->client = NULL;
    }
}

static void on_answer(void *arg, const json_t *result, const struct husk_error *error)
{
    struct seen *seen = arg;

    assert_true(!result != !error);
    seen->answers += result != NULL;
    seen->errors += error != NULL;
    if (result) {
        json_decref(seen->result);
        seen->result = json_deep_copy(result);
    } else {
        seen->error = *error;
    }
    if (seen->close_in_callback && seen->client) {
        struct agent_client *client = seen->client;

        seen->client = NULL;
        agent_client_close(client);
    }
}

static void on_tagged(void *arg, const json_t *result, const struct husk_error *error)
{
    struct tagged *tagged = arg;

    tagged->seen->order[tagged->seen->answers + tagged->seen->errors] = tagged->tag;
    on_answer(tagged->seen, result, error);
}

static int set_up(void **state)
{
    struct seen *seen = calloc(1, sizeof(*seen));

    assert_non_null(seen);
    fake_start(&seen->fake);
    *state = seen;
    return 0;
}

static int tear_down(void **state)
{
    struct seen *seen = *state;

    agent_client_close(seen->client);
    json_decref(seen->result);
    fake_stop(&seen->fake);
    free(seen);
    return 0;
}

static void open_client(struct seen *seen)
{
    const struct agent_client_callbacks callbacks = {
        .ready = on_ready, .event = on_event, .lost = on_lost, .arg = seen};
    struct husk_error err;

    assert_int_equal(agent_client_open(seen->fake.loop, &seen->fake.connector, 20000, &callbacks,
                                       &seen->client, &err),
                     0);
}

/* A client that is ready. */
static void greet(struct seen *seen)
{
    json_t *hello;

    open_client(seen);
    hello = fake_hear(&seen->fake);
    assert_string_equal(json_string_value(json_object_get(hello, "role")), "control");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(hello, "husk"), "major")),
                     1);
    json_decref(hello);
    fake_say(&seen->fake, WELCOME);
    fake_until(&seen->fake, seen->ready == 1);
}

static int call(struct seen *seen, const char *method, uint32_t timeout_ms)
{
    struct husk_error err;

    return agent_client_call(seen->client, method, json_pack("{s:s}", "container", "web"),
                             timeout_ms, on_answer, seen, &err);
}

static void forget_request(struct seen *seen, const char *method)
{
    json_t *request = fake_hear(&seen->fake);

    assert_string_equal(json_string_value(json_object_get(request, "method")), method);
    json_decref(request);
}

static void test_answer_and_error(void **state)
{
    struct seen *seen = *state;
    json_t *request;

    greet(seen);
    assert_int_equal(call(seen, "state", 0), 0);
    request = fake_hear(&seen->fake);
    assert_int_equal(json_integer_value(json_object_get(request, "id")), 1);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(request, "params"), "container")), "web");
    json_decref(request);
    fake_say(&seen->fake, "{\"id\": 1, \"result\": {\"status\": \"created\", \"new\": [1.5]}}");
    fake_until(&seen->fake, seen->answers == 1);
    assert_string_equal(json_string_value(json_object_get(seen->result, "status")), "created");

    assert_int_equal(call(seen, "kill", 0), 0);
    forget_request(seen, "kill");
    fake_say(&seen->fake, "{\"id\": 2, \"error\": {\"code\": \"not-found\", \"where\": \"web\\n\","
                          " \"what\": \"there is no such container\", \"why\": \"\"}}");
    fake_until(&seen->fake, seen->errors == 1);
    assert_int_equal(seen->error.code, ENOENT);
    assert_string_equal(seen->error.where, "web?");
    assert_string_equal(seen->error.what, "there is no such container");
    assert_int_equal(seen->lost, 0);
}

static void test_requests_before_the_hello(void **state)
{
    struct seen *seen = *state;

    seen->fake.refusals = 3;
    open_client(seen);
    assert_null(agent_client_hello(seen->client));
    assert_int_equal(call(seen, "info", 20000), 0);
    json_decref(fake_hear(&seen->fake));
    assert_int_equal(seen->fake.attempts, 4);
    fake_say(&seen->fake, WELCOME);
    forget_request(seen, "info");
    assert_int_equal(seen->ready, 1);
    assert_true(agent_client_hello(seen->client)->booted);
    fake_say(&seen->fake, "{\"id\": 1, \"result\": {}}");
    fake_until(&seen->fake, seen->answers == 1);
}

static void test_waits_are_answered_at_any_time(void **state)
{
    struct seen *seen = *state;
    struct tagged tags[4];
    struct husk_error err;
    static const char *const methods[] = {"wait", "state", "wait", "kill"};

    greet(seen);
    for (int i = 0; i < 4; i++) {
        tags[i] = (struct tagged){.seen = seen, .tag = i + 1};
        assert_int_equal(
            agent_client_call(seen->client, methods[i], NULL, 0, on_tagged, &tags[i], &err), 0);
        forget_request(seen, methods[i]);
    }
    fake_say(&seen->fake, "{\"id\": 3, \"result\": {}}");
    fake_say(&seen->fake, "{\"id\": 2, \"result\": {}}");
    fake_say(&seen->fake, "{\"id\": 4, \"result\": {}}");
    fake_say(&seen->fake, "{\"id\": 1, \"result\": {}}");
    fake_until(&seen->fake, seen->answers == 4);
    assert_int_equal(seen->order[0], 3);
    assert_int_equal(seen->order[1], 2);
    assert_int_equal(seen->order[2], 4);
    assert_int_equal(seen->order[3], 1);
}

static void test_events(void **state)
{
    struct seen *seen = *state;

    greet(seen);
    fake_say(&seen->fake, "{\"event\": \"oom\", \"container\": \"web\", \"kills\": 3}");
    fake_until(&seen->fake, seen->events == 1);
    assert_int_equal(seen->event.kind, AGENT_EVENT_OOM);
    assert_int_equal(seen->event.kills, 3);
    fake_say(&seen->fake, "{\"event\": \"moon\", \"phase\": []}");
    fake_say(&seen->fake, "{\"event\": \"exit\", \"container\": \"web\", \"process\": \"init\","
                          " \"exit\": {\"status\": 137, \"signal\": 9, \"oom\": true}}");
    fake_until(&seen->fake, seen->events == 2);
    assert_int_equal(seen->event.kind, AGENT_EVENT_EXIT);
    assert_string_equal(seen->event.container, "web");
    assert_string_equal(seen->event.process, "init");
    assert_int_equal(seen->event.exit.status, 137);
    assert_true(seen->event.exit.oom);
    assert_int_equal(seen->lost, 0);
}

/* Each of these is the end of the connection, and of nothing else. */
static void test_lies(void **state)
{
    static const char *const lies[] = {
        "[]",
        "{}",
        "{\"id\": 1}",
        "{\"id\": 1, \"result\": []}",
        "{\"id\": 1, \"result\": null}",
        "{\"id\": 1, \"result\": {}, \"error\": {}}",
        "{\"id\": 1, \"error\": {}}",
        "{\"id\": 1, \"error\": null}",
        "{\"id\": 1, \"error\": {\"code\": 7, \"where\": \"\", \"what\": \"\", \"why\": \"\"}}",
        "{\"id\": 2, \"result\": {}}",
        "{\"id\": 0, \"result\": {}}",
        "{\"id\": -1, \"result\": {}}",
        "{\"id\": 1.0, \"result\": {}}",
        "{\"id\": \"1\", \"result\": {}}",
        "{\"id\": 1, \"id\": 1, \"result\": {}}",
        "{\"id\": 99999999999999999999, \"result\": {}}",
        "{\"id\": 1, \"result\": {\"a\": \"\\u0000\"}}",
        "{\"id\": 1, \"result\": {}} ",
        "{\"id\": 1, \"result\": {}",
        "{\"id\": 1, \"result\": {\"a\": \"\xff\"}}",
        "{\"event\": 1}",
        "{\"event\": {}}",
        "{\"event\": \"exit\"}",
        "{\"event\": \"exit\", \"container\": \"..\", \"process\": \"init\","
        " \"exit\": {\"status\": 0, \"signal\": 0, \"oom\": false}}",
        "{\"event\": \"exit\", \"container\": \"a\", \"process\": \"init\","
        " \"exit\": {\"status\": 256, \"signal\": 0, \"oom\": false}}",
        "{\"event\": \"exit\", \"container\": \"a\", \"process\": \"init\","
        " \"exit\": {\"status\": 0, \"signal\": 9, \"oom\": false}}",
        "{\"event\": \"exit\", \"container\": \"a\", \"process\": \"init\","
        " \"exit\": {\"status\": 193, \"signal\": 65, \"oom\": false}}",
        "{\"event\": \"exit\", \"container\": \"a\", \"process\": \"init\","
        " \"exit\": {\"status\": 0, \"signal\": 0, \"oom\": 0}}",
        "{\"event\": \"exit\", \"container\": \"a\", \"process\": \"init\", \"exit\": 0}",
        "{\"event\": \"oom\", \"container\": \"a\", \"kills\": -1}",
        "{\"event\": \"oom\", \"container\": \"a\"}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        struct seen *seen;

        assert_int_equal(set_up((void **)&seen), 0);
        greet(seen);
        assert_int_equal(call(seen, "state", 0), 0);
        forget_request(seen, "state");
        fake_say(&seen->fake, lies[i]);
        /* A blank behind an object is no lie. */
        if (!strcmp(lies[i], "{\"id\": 1, \"result\": {}} ")) {
            fake_until(&seen->fake, seen->answers == 1);
            assert_int_equal(seen->lost, 0);
        } else {
            fake_until(&seen->fake, seen->lost == 1);
            if (seen->why.code != EPROTO || !seen->why.why[0])
                fail_msg("%s: %d %s", lies[i], seen->why.code, seen->why.why);
            assert_int_equal(seen->errors, 1);
            assert_int_equal(seen->error.code, EPROTO);
            assert_int_equal(seen->events, 0);
            assert_true(fake_is_closed(&seen->fake));
            assert_int_equal(call(seen, "state", 0), -ENOTCONN);
        }
        assert_int_equal(tear_down((void **)&seen), 0);
    }
    (void)state;
}

static void test_lengths(void **state)
{
    static const uint32_t lengths[] = {0, 1, HUSK_AGENT_FRAME_MAX + 1, UINT32_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        struct seen *seen;
        uint8_t header[4];

        assert_int_equal(set_up((void **)&seen), 0);
        greet(seen);
        put_le32(header, lengths[i]);
        fake_write(&seen->fake, header, sizeof(header));
        fake_until(&seen->fake, seen->lost == 1);
        assert_int_equal(seen->why.code, EPROTO);
        assert_int_equal(tear_down((void **)&seen), 0);
    }
    (void)state;
}

static void test_answers_out_of_order(void **state)
{
    struct seen *seen = *state;

    greet(seen);
    assert_int_equal(call(seen, "state", 0), 0);
    assert_int_equal(call(seen, "kill", 0), 0);
    fake_settle(&seen->fake);
    fake_say(&seen->fake, "{\"id\": 2, \"result\": {}}");
    fake_until(&seen->fake, seen->answers == 1);
    fake_say(&seen->fake, "{\"id\": 1, \"result\": {}}");
    fake_until(&seen->fake, seen->answers == 2);
    /* One that was never asked, though its number is below others'. */
    fake_say(&seen->fake, "{\"id\": 2, \"result\": {}}");
    fake_until(&seen->fake, seen->lost == 1);
    assert_int_equal(seen->why.code, EPROTO);
    assert_int_equal(seen->errors, 0);
}

static void test_answered_twice(void **state)
{
    struct seen *seen = *state;

    greet(seen);
    assert_int_equal(call(seen, "wait", 0), 0);
    fake_say(&seen->fake, "{\"id\": 1, \"result\": {}}");
    fake_say(&seen->fake, "{\"id\": 1, \"result\": {}}");
    fake_until(&seen->fake, seen->lost == 1);
    assert_int_equal(seen->answers, 1);
    assert_int_equal(seen->why.code, EPROTO);
}

static void test_connection_ends(void **state)
{
    struct seen *seen = *state;

    greet(seen);
    assert_int_equal(call(seen, "wait", 0), 0);
    assert_int_equal(call(seen, "state", 0), 0);
    fake_settle(&seen->fake);
    close_fd(&seen->fake.end);
    fake_until(&seen->fake, seen->lost == 1);
    assert_int_equal(seen->why.code, ECONNRESET);
    assert_int_equal(seen->errors, 2);
    assert_int_equal(seen->errors_before_lost, 0);
}

static void test_silence(void **state)
{
    struct seen *seen = *state;

    greet(seen);
    assert_int_equal(call(seen, "wait", 0), 0);
    assert_int_equal(call(seen, "state", 20), 0);
    fake_until(&seen->fake, seen->lost == 1);
    assert_int_equal(seen->why.code, ETIMEDOUT);
    assert_string_equal(seen->why.why, "\"state\" within 20 ms");
    assert_int_equal(seen->errors, 2);
}

static void test_no_time_passes_for_a_paused_machine(void **state)
{
    struct seen *seen = *state;
    uint64_t end_ns;

    greet(seen);
    assert_int_equal(call(seen, "state", 20), 0);
    agent_client_suspend(seen->client, true);
    assert_int_equal(call(seen, "kill", 20), 0);
    end_ns = monotonic_ns() + 100000000ull;
    fake_until(&seen->fake, monotonic_ns() > end_ns);
    assert_int_equal(seen->lost, 0);
    agent_client_suspend(seen->client, false);
    fake_until(&seen->fake, seen->lost == 1);
    assert_int_equal(seen->errors, 2);
}

/* The agent does not read: requests are refused in the end, and memory stays bounded. */
static void test_agent_does_not_read(void **state)
{
    struct seen *seen = *state;
    char *text = calloc(1, 500001);
    int ret = 0, accepted = 0;

    greet(seen);
    assert_non_null(text);
    memset(text, 'x', 500000);
    for (int i = 0; i < 100 && !ret; i++) {
        struct husk_error err;

        ret = agent_client_call(seen->client, "file.write", json_pack("{s:s}", "data", text), 0,
                                on_answer, seen, &err);
        accepted += !ret;
        fake_settle(&seen->fake);
    }
    free(text);
    assert_int_equal(ret, -ENOBUFS);
    assert_in_range(accepted, 8, 12);
    assert_int_equal(seen->lost, 0);
}

static void test_too_many_requests(void **state)
{
    struct seen *seen = *state;

    greet(seen);
    for (unsigned i = 0; i < AGENT_CLIENT_REQUESTS_MAX; i++)
        assert_int_equal(call(seen, "wait", 0), 0);
    assert_int_equal(call(seen, "wait", 0), -ENOBUFS);
}

static void test_bad_calls(void **state)
{
    struct seen *seen = *state;
    char *text = calloc(1, HUSK_AGENT_FRAME_MAX + 1);
    struct husk_error err;

    greet(seen);
    assert_non_null(text);
    memset(text, 'x', HUSK_AGENT_FRAME_MAX);
    assert_int_equal(agent_client_call(seen->client, "create", json_pack("{s:s}", "a", text), 0,
                                       on_answer, seen, &err),
                     -EMSGSIZE);
    assert_string_equal(err.where, "create");
    free(text);
    assert_int_equal(
        agent_client_call(seen->client, "list", json_array(), 0, on_answer, seen, &err), -EINVAL);
    assert_int_equal(call(seen, "a-method-whose-name-is-too-long-for-any", 0), -EINVAL);
    /* None of them took an id. */
    assert_int_equal(call(seen, "list", 0), 0);
    fake_say(&seen->fake, "{\"id\": 1, \"result\": {}}");
    fake_until(&seen->fake, seen->answers == 1);
}

static void test_closed_by_its_owner(void **state)
{
    struct seen *seen = *state;

    greet(seen);
    assert_int_equal(call(seen, "wait", 0), 0);
    assert_int_equal(call(seen, "state", 1000), 0);
    agent_client_close(seen->client);
    seen->client = NULL;
    assert_int_equal(seen->errors, 2);
    assert_int_equal(seen->error.code, ECANCELED);
    assert_int_equal(seen->lost, 0);
    assert_true(fake_is_closed(&seen->fake));
    fake_settle(&seen->fake);
}

static void test_closed_in_each_callback(void **state)
{
    for (int which = 0; which < 4; which++) {
        struct seen *seen;

        assert_int_equal(set_up((void **)&seen), 0);
        if (which > 0)
            greet(seen);
        seen->close_in_callback = true;
        if (which == 0) {
            open_client(seen);
            json_decref(fake_hear(&seen->fake));
            fake_say(&seen->fake, WELCOME);
        } else if (which == 1) {
            fake_say(&seen->fake, "{\"event\": \"oom\", \"container\": \"a\", \"kills\": 1}");
            fake_say(&seen->fake, "{\"event\": \"oom\", \"container\": \"a\", \"kills\": 1}");
        } else if (which == 2) {
            assert_int_equal(call(seen, "wait", 0), 0);
            assert_int_equal(call(seen, "state", 1000), 0);
            fake_say(&seen->fake, "{\"id\": 1, \"result\": {}}");
        } else {
            fake_say(&seen->fake, "[]");
        }
        fake_until(&seen->fake, !seen->client);
        assert_int_equal(seen->events, which == 1);
        assert_int_equal(seen->answers, which == 2);
        assert_int_equal(seen->errors, which == 2);
        assert_int_equal(seen->lost, which == 3);
        fake_settle(&seen->fake);
        assert_int_equal(tear_down((void **)&seen), 0);
    }
    (void)state;
}

static void test_refused_hello(void **state)
{
    struct seen *seen = *state;

    open_client(seen);
    assert_int_equal(call(seen, "info", 0), 0);
    json_decref(fake_hear(&seen->fake));
    fake_say(&seen->fake, "{\"error\": {\"code\": \"version\", \"where\": \"husk.major\","
                          " \"what\": \"the versions do not fit\", \"why\": \"1 and 2\"}}");
    fake_until(&seen->fake, seen->lost == 1);
    assert_int_equal(seen->why.code, EPROTONOSUPPORT);
    assert_int_equal(seen->errors, 1);
    assert_int_equal(seen->ready, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_answer_and_error),
        TEST(test_requests_before_the_hello),
        TEST(test_waits_are_answered_at_any_time),
        TEST(test_events),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_lengths),
        TEST(test_answers_out_of_order),
        TEST(test_answered_twice),
        TEST(test_connection_ends),
        TEST(test_silence),
        TEST(test_no_time_passes_for_a_paused_machine),
        TEST(test_agent_does_not_read),
        TEST(test_too_many_requests),
        TEST(test_bad_calls),
        TEST(test_closed_by_its_owner),
        cmocka_unit_test(test_closed_in_each_callback),
        TEST(test_refused_hello),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
