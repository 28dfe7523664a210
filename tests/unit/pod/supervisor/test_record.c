// SPDX-License-Identifier: Apache-2.0
/* Both records: there and back, and what the readers refuse. Covers record.c, record_spec.c,
 * record_state.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "tests/unit/pod/supervisor/container_fixture.h"

static void names(void **state)
{
    char longest[CONTAINER_NAME_BYTES], longer[CONTAINER_NAME_BYTES + 1];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    assert_true(container_name_valid("web"));
    assert_true(container_name_valid("0.a_b-C"));
    assert_true(container_name_valid(longest));
    assert_false(container_name_valid(longer));
    assert_false(container_name_valid(""));
    assert_false(container_name_valid(".new-1"));
    assert_false(container_name_valid("-x"));
    assert_false(container_name_valid("a/b"));
    assert_false(container_name_valid("a b"));
    assert_false(container_name_valid("a\n"));
}

static void ids_differ(void **state)
{
    char a[CONTAINER_ID_BYTES], b[CONTAINER_ID_BYTES];

    (void)state;
    assert_int_equal(container_id_new(a), 0);
    assert_int_equal(container_id_new(b), 0);
    assert_int_equal(strspn(a, "0123456789abcdef"), 64);
    assert_string_not_equal(a, b);
}

static char *dump(json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);

    json_decref(document);
    assert_non_null(text);
    return text;
}

static void spec_there_and_back(void **state)
{
    struct container_spec spec = container_fixture_spec("web"), again;
    char *text, *text_again;

    (void)state;
    spec.remove = true;
    spec.stdin_mode = CONTAINER_STDIN_ONCE;
    spec.stop_signal = 3;
    spec.timeout_ms = 5000;
    text = dump(container_spec_encode(&spec));
    assert_int_equal(container_spec_decode(text, strlen(text), "f", &again, NULL), 0);
    assert_string_equal(again.id, spec.id);
    assert_int_equal(again.created_ns, spec.created_ns);
    assert_true(again.remove);
    assert_int_equal(again.stdin_mode, CONTAINER_STDIN_ONCE);
    assert_int_equal(again.stop_signal, 3);
    assert_int_equal(again.stop_grace_ms, 10000);
    assert_int_equal(again.timeout_ms, 5000);
    assert_int_equal(again.log_file_bytes, 10 << 20);
    assert_int_equal(again.log_files, 3);
    text_again = dump(container_spec_encode(&again));
    assert_string_equal(text, text_again);
    free(text);
    free(text_again);
    container_spec_clear(&spec);
    container_spec_clear(&again);
}

static int decode_spec_with(const char *name, json_t *value)
{
    struct container_spec spec = container_fixture_spec("web"), again;
    json_t *document = container_spec_encode(&spec);
    struct husk_error err = {.code = 0};
    char *text;
    int ret;

    if (value)
        json_object_set_new(document, name, value);
    else
        json_object_del(document, name);
    text = dump(document);
    ret = container_spec_decode(text, strlen(text), "spec.json", &again, &err);
    if (ret) {
        assert_int_equal(err.code, -ret);
        assert_string_equal(err.where, "spec.json");
        assert_null(again.image); /* nothing to clear */
    }
    container_spec_clear(&again);
    container_spec_clear(&spec);
    free(text);
    return ret;
}

static void spec_refused(void **state)
{
    static const char *const members[] = {"version",     "id",
                                          "name",        "created_ns",
                                          "image",       "spec",
                                          "machine",     "labels",
                                          "remove",      "stdin",
                                          "stop_signal", "stop_grace_ms",
                                          "timeout_ms",  "log_file_bytes",
                                          "log_files"};

    (void)state;
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        assert_int_not_equal(decode_spec_with(members[i], NULL), 0);
        assert_int_not_equal(decode_spec_with(members[i], json_array()), 0);
        assert_int_not_equal(decode_spec_with(members[i], json_integer(-1)), 0);
    }
    assert_int_equal(decode_spec_with("unknown", json_null()), 0);
    assert_int_equal(decode_spec_with("version", json_integer(2)), -ENOTSUP);
    assert_int_equal(decode_spec_with("stop_signal", json_integer(64)), 0);
    assert_int_not_equal(decode_spec_with("stop_signal", json_integer(65)), 0);
    assert_int_not_equal(decode_spec_with("stop_signal", json_integer(0)), 0);
    assert_int_not_equal(decode_spec_with("log_files", json_integer(101)), 0);
    assert_int_not_equal(decode_spec_with("log_file_bytes", json_integer(100)), 0);
    assert_int_not_equal(decode_spec_with("name", json_string("../x")), 0);
    assert_int_not_equal(decode_spec_with("id", json_string("abcd")), 0);
    assert_int_not_equal(decode_spec_with("stdin", json_string("maybe")), 0);
}

static void state_there_and_back(void **state)
{
    struct container_state one = {.status = CONTAINER_EXITED,
                                  .supervisor_pid = 4,
                                  .supervisor_start = 5,
                                  .machine_pid = 6,
                                  .started_ns = 7,
                                  .finished_ns = 8,
                                  .exit = {.status = 137, .signal = 9, .oom = true},
                                  .oom_kills = 2,
                                  .error = "why \"so\"",
                                  .log_lost_lines = 3,
                                  .log_error = "full"},
                           two;
    char *text = dump(container_state_encode(&one, 11));

    (void)state;
    assert_int_equal(container_state_decode(text, strlen(text), "f", &two, NULL), 0);
    assert_int_equal(two.status, CONTAINER_EXITED);
    assert_int_equal(two.supervisor_pid, 4);
    assert_int_equal(two.supervisor_start, 5);
    assert_int_equal(two.machine_pid, 6);
    assert_int_equal(two.started_ns, 7);
    assert_int_equal(two.finished_ns, 8);
    assert_int_equal(two.exit.status, 137);
    assert_int_equal(two.exit.signal, 9);
    assert_true(two.exit.oom);
    assert_int_equal(two.oom_kills, 2);
    assert_string_equal(two.error, one.error);
    assert_int_equal(two.log_lost_lines, 3);
    assert_string_equal(two.log_error, "full");
    free(text);
    one.status = CONTAINER_PAUSED;
    text = dump(container_state_encode(&one, 11));
    assert_null(strstr(text, "exit\""));
    assert_non_null(strstr(text, "\"paused\""));
    free(text);
}

static void state_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "{\"version\": 1}",
        "{\"version\": 1, \"status\": \"dead\"}",
        "{\"version\":1,\"status\":\"exited\",\"supervisor\":{\"pid\":1,\"start\":1},\"machine_"
        "pid\":"
        "0,\"started_ns\":0,\"finished_ns\":0,\"oom_kills\":0,\"error\":\"\",\"log_lost_lines\":0,"
        "\"log_error\":\"\"}",
        "{\"version\":1,\"status\":\"running\",\"supervisor\":{\"pid\":-1,\"start\":1},\"machine_"
        "pid\":0,\"started_ns\":0,\"finished_ns\":0,\"oom_kills\":0,\"error\":\"\",\"log_lost_"
        "lines\":0,\"log_error\":\"\"}"};
    struct container_state out;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(container_state_decode(wrong[i], strlen(wrong[i]), "f", &out, NULL) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(ids_differ),
        cmocka_unit_test(spec_there_and_back),
        cmocka_unit_test(spec_refused),
        cmocka_unit_test(state_there_and_back),
        cmocka_unit_test(state_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
