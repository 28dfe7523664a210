// SPDX-License-Identifier: Apache-2.0
/* What the agent says, as structs: the good, and each member that is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/agent/answer.h"

static json_t *parse(const char *text)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(json);
    return json;
}

static int read_exit(const char *text, struct agent_exit *out, struct husk_error *err)
{
    json_t *json = parse(text);
    int ret = agent_read_exit(json, "wait", out, err);

    json_decref(json);
    return ret;
}

static void test_exit(void **state)
{
    static const char *const bad[] = {
        "1",
        "[]",
        "null",
        "{}",
        "{\"status\": 0, \"signal\": 0}",
        "{\"status\": \"0\", \"signal\": 0, \"oom\": false}",
        "{\"status\": 0.0, \"signal\": 0, \"oom\": false}",
        "{\"status\": -1, \"signal\": 0, \"oom\": false}",
        "{\"status\": 256, \"signal\": 0, \"oom\": false}",
        "{\"status\": 0, \"signal\": -1, \"oom\": false}",
        "{\"status\": 136, \"signal\": 9, \"oom\": false}",
        "{\"status\": 0, \"signal\": 65, \"oom\": false}",
        "{\"status\": 0, \"signal\": 0, \"oom\": null}",
    };
    struct agent_exit out;
    struct husk_error err;

    assert_int_equal(
        read_exit("{\"status\": 255, \"signal\": 0, \"oom\": false, \"x\": 1}", &out, &err), 0);
    assert_int_equal(out.status, 255);
    assert_int_equal(out.signal, 0);
    assert_false(out.oom);
    assert_int_equal(read_exit("{\"status\": 192, \"signal\": 64, \"oom\": true}", &out, &err), 0);
    assert_int_equal(out.signal, 64);
    assert_true(out.oom);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (read_exit(bad[i], &out, &err) != -EPROTO)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(err.where, "wait");
    }
    assert_int_equal(agent_read_exit(NULL, "wait", &out, &err), -EPROTO);
    (void)state;
}

static void test_events(void **state)
{
    struct agent_event out;
    struct husk_error err;
    json_t *json = parse("{\"event\": \"exit\", \"container\": \"a.b-c_D9\", \"process\": \"p\","
                         " \"exit\": {\"status\": 1, \"signal\": 0, \"oom\": false}}");

    assert_int_equal(agent_read_event(json, &out, &err), 0);
    assert_int_equal(out.kind, AGENT_EVENT_EXIT);
    assert_string_equal(out.container, "a.b-c_D9");
    assert_int_equal(out.exit.status, 1);
    json_object_set_new(json, "container", json_string("a b"));
    assert_int_equal(agent_read_event(json, &out, &err), -EPROTO);
    json_object_set_new(json, "event", json_string("something"));
    assert_int_equal(agent_read_event(json, &out, &err), 0);
    assert_int_equal(out.kind, AGENT_EVENT_UNKNOWN);
    json_decref(json);
    (void)state;
}

static void test_names(void **state)
{
    char longest[HUSK_AGENT_NAME_MAX + 2];

    memset(longest, 'x', sizeof(longest) - 1);
    longest[HUSK_AGENT_NAME_MAX + 1] = '\0';
    assert_false(agent_name_valid(longest));
    assert_true(agent_name_valid(longest + 1));
    assert_true(agent_name_valid("0.-_"));
    assert_false(agent_name_valid(""));
    assert_false(agent_name_valid("."));
    assert_false(agent_name_valid("-a"));
    assert_false(agent_name_valid("_a"));
    assert_false(agent_name_valid("a/b"));
    assert_false(agent_name_valid("a\n"));
    (void)state;
}

static void test_pid(void **state)
{
    static const char *const bad[] = {"{}",
                                      "{\"pid\": 0}",
                                      "{\"pid\": -1}",
                                      "{\"pid\": 1.5}",
                                      "{\"pid\": 2147483648}",
                                      "{\"pid\": \"1\"}"};
    struct husk_error err;
    int pid = 0;
    json_t *json = parse("{\"pid\": 2147483647}");

    assert_int_equal(agent_read_pid(json, "create", &pid, &err), 0);
    assert_int_equal(pid, INT32_MAX);
    json_decref(json);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        json = parse(bad[i]);
        assert_int_equal(agent_read_pid(json, "create", &pid, &err), -EPROTO);
        json_decref(json);
    }
    (void)state;
}

static void test_errors(void **state)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = {{"invalid", EINVAL},   {"unsupported", ENOTSUP},
                 {"not-found", ENOENT}, {"exists", EEXIST},
                 {"state", EBUSY},      {"limit", ENOSPC},
                 {"failed", EIO},       {"version", EPROTONOSUPPORT}};
    struct husk_error err;
    json_t *json;

    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        json = json_pack("{s:s, s:s, s:s, s:s}", "code", codes[i].name, "where", "w\x1b[2J", "what",
                         "x\n", "why", "%s%n");
        assert_int_equal(agent_read_error(json, &err), -codes[i].code);
        assert_string_equal(err.where, "w?[2J");
        assert_string_equal(err.what, "x?");
        assert_string_equal(err.why, "%s%n");
        assert_string_equal(agent_error_code(codes[i].code), codes[i].name);
        json_decref(json);
    }
    json = parse("{\"code\": \"new\", \"where\": \"\", \"what\": \"\", \"why\": \"\"}");
    assert_int_equal(agent_read_error(json, &err), -EIO);
    assert_string_not_equal(err.what, "");
    json_object_del(json, "why");
    assert_int_equal(agent_read_error(json, &err), -EPROTO);
    json_decref(json);
    assert_int_equal(agent_read_error(NULL, &err), -EPROTO);
    assert_string_equal(agent_error_code(ENOMEM), "failed");
    (void)state;
}

/* Whatever its length, an error fits. */
static void test_long_errors(void **state)
{
    char *text = calloc(1, 5001);
    struct husk_error err;
    json_t *json;

    assert_non_null(text);
    memset(text, 'e', 4096);
    json = json_pack("{s:s, s:s, s:s, s:s}", "code", "failed", "where", text, "what", text, "why",
                     text);
    assert_int_equal(agent_read_error(json, &err), -EIO);
    assert_int_equal(strlen(err.where), sizeof(err.where) - 1);
    assert_int_equal(strlen(err.what), sizeof(err.what) - 1);
    memset(text, 'e', 5000);
    json_object_set_new(json, "why", json_string(text));
    assert_int_equal(agent_read_error(json, &err), -EPROTO);
    json_decref(json);
    free(text);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit),   cmocka_unit_test(test_events),
        cmocka_unit_test(test_names),  cmocka_unit_test(test_pid),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_long_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
