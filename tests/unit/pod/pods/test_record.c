// SPDX-License-Identifier: Apache-2.0
/* Pods' keys and records, a pod that is marked as lost, and pods as entries of a store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pod/pods/lost.h"
#include "pod/store/files.h"
#include "tests/unit/pod/pods/record_fixture.h"

static void keys(void **state)
{
    char key[POD_KEY_BYTES];

    (void)state;
    assert_int_equal(pod_key_make("default", "web", key), 0);
    assert_string_equal(key, "web");
    assert_int_equal(pod_key_make(NULL, "web", key), 0);
    assert_string_equal(key, "web");
    assert_int_equal(pod_key_make("shop", "web-0", key), 0);
    assert_string_equal(key, "shop_web-0");
    assert_true(pod_key_valid("web"));
    assert_true(pod_key_valid("shop_web-0.a"));
    assert_false(pod_key_valid(""));
    assert_false(pod_key_valid("_web"));
    assert_false(pod_key_valid("shop_"));
    assert_false(pod_key_valid("a_b_c"));
    assert_false(pod_key_valid("../x"));
    assert_false(pod_key_valid(".new-1"));
    assert_false(pod_key_valid("Web"));
}

static char *text_of(json_t *document)
{
    char *text = json_dumps(document, JSON_COMPACT);

    json_decref(document);
    assert_non_null(text);
    return text;
}

static void records_there_and_back(void **state)
{
    struct pod_record record = fixture_record("web"), again;
    char *text = text_of(pod_record_encode(&record)), *text_again;
    struct husk_error err;

    (void)state;
    assert_int_equal(pod_record_decode(text, strlen(text), "f", &again, &err), 0);
    text_again = text_of(pod_record_encode(&again));
    assert_string_equal(text, text_again);
    free(text);
    free(text_again);
    pod_record_clear(&record);
    pod_record_clear(&again);
}

static void refuse(const char *member, json_t *value)
{
    struct pod_record record = fixture_record("web"), again;
    json_t *document = pod_record_encode(&record);
    struct husk_error err = {.code = 0};
    char *text;

    json_object_set_new(document, member, value);
    text = text_of(document);
    assert_true(pod_record_decode(text, strlen(text), "spec.json", &again, &err) < 0);
    assert_non_null(strstr(err.where, "spec.json"));
    free(text);
    pod_record_clear(&record);
}

static void wrong_records(void **state)
{
    (void)state;
    refuse("version", json_integer(2));
    refuse("uid", json_string("short"));
    refuse("key", json_string("other"));
    refuse("kernel", json_string("relative"));
    refuse("store", json_string("relative"));
    refuse("remove", json_integer(1));
    refuse("pod", json_object());
    refuse("objects", json_array());
    refuse("created_ns", json_integer(-1));
}

static void a_lost_pod(void **state)
{
    struct pod_state lost = {
        .supervisor_pid = 7,
        .status = json_pack(
            "{s:s, s:[{s:s, s:s}], s:[{s:s, s:b, s:b, s:{s:{s:s}}}, {s:s, s:{s:{s:s}}}]}", "phase",
            "Running", "conditions", "type", "Ready", "status", "True", "containerStatuses", "name",
            "a", "ready", 1, "started", 1, "state", "running", "startedAt", "2026-11-29T02:00:00Z",
            "name", "b", "state", "waiting", "reason", "CrashLoopBackOff")};
    const json_t *list, *ended;

    (void)state;
    assert_non_null(lost.status);
    assert_false(pod_state_ended(&lost));
    assert_int_equal(lost_mark(&lost), 0);
    assert_true(pod_state_ended(&lost));
    assert_string_equal(json_string_value(json_object_get(lost.status, "reason")),
                        "SupervisorLost");
    list = json_object_get(lost.status, "containerStatuses");
    ended = json_object_get(json_object_get(json_array_get(list, 0), "state"), "terminated");
    assert_int_equal(json_integer_value(json_object_get(ended, "exitCode")), 137);
    assert_string_equal(json_string_value(json_object_get(ended, "startedAt")),
                        "2026-11-29T02:00:00Z");
    assert_true(json_is_false(json_object_get(json_array_get(list, 0), "ready")));
    assert_non_null(json_object_get(json_object_get(json_array_get(list, 1), "state"), "waiting"));
    assert_string_equal(
        json_string_value(json_object_get(
            json_array_get(json_object_get(lost.status, "conditions"), 0), "status")),
        "False");
    pod_state_clear(&lost);
}

static void wrong_states(void **state)
{
    static const char *const wrong[] = {
        "[]",
        "{\"version\": 1}",
        "{\"version\": 1, \"supervisor\": {\"pid\": 1, \"start\": 1}, \"machine_pid\": 0, "
        "\"status\": {\"phase\": \"Dancing\"}}",
        "{\"version\": 1, \"supervisor\": {\"pid\": -1, \"start\": 1}, \"machine_pid\": 0, "
        "\"status\": {\"phase\": \"Running\"}}",
        "{\"version\": 1, \"supervisor\": {\"pid\": 1, \"start\": 1}, \"machine_pid\": 0, "
        "\"status\": {\"phase\": \"Running\", \"containerStatuses\": [7]}}",
    };
    struct pod_state out;

    (void)state;
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(pod_state_decode(wrong[i], strlen(wrong[i]), "f", &out, NULL) < 0);
}

static void in_a_store(void **state)
{
    char directory[] = "/tmp/husk-pods-XXXXXX", path[64];
    struct pod_record record = fixture_record("web"), read;
    struct entry_store *store;
    struct entry *pod = NULL;
    struct pod_state seen;
    struct husk_error err;
    char name[POD_APPLY_BYTES];
    int tmp;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/s", directory);
    assert_int_equal(pod_store_open(path, true, &store, &err), 0);
    assert_int_equal(pod_create(store, &record, NULL, &err), 0);
    assert_int_equal(pod_create(store, &record, NULL, &err), -EEXIST);
    assert_int_equal(entry_find(store, record.uid, &pod, &err), 0);
    assert_string_equal(pod->name, "web");
    assert_false(entry_alive(pod));
    assert_int_equal(entry_connect(pod, &err), -ECONNREFUSED);
    assert_int_equal(pod_load_state(pod, &seen, &err), 0);
    assert_string_equal(pod_state_phase(&seen), "Pending"); /* it was never started */
    seen.supervisor_pid = 7;
    assert_int_equal(pod_save_state(pod, &seen, &err), 0);
    pod_state_clear(&seen);
    assert_int_equal(pod_load_state(pod, &seen, &err), 0); /* and now its supervisor is gone */
    assert_string_equal(pod_state_phase(&seen), "Failed");
    pod_state_clear(&seen);
    assert_int_equal(pod_apply_prepare(pod, &record, name, &err), 0);
    assert_true(pod_apply_name_valid(name));
    assert_false(pod_apply_name_valid("../spec.json"));
    assert_int_equal(pod_load_record_of(pod, name, &read, &err), 0);
    assert_string_equal(read.uid, record.uid);
    pod_record_clear(&read);
    pod_apply_drop(pod, name);
    assert_int_equal(pod_load_record_of(pod, name, &read, &err), -ENOENT);
    assert_int_equal(pod_remove(store, pod, NULL, &err), 0);
    entry_close(pod);
    assert_int_equal(entry_find(store, "web", &pod, &err), -ENOENT);
    pod_record_clear(&record);
    entry_store_close(store);
    tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(files_remove_tree(tmp, directory + strlen("/tmp/")), 0);
    close(tmp);
}

/* A PodStatus of so many containers, whose runs have left messages that JSON makes longer. */
static json_t *status_of(unsigned count, size_t message_len)
{
    json_t *list = json_array();
    char *message = malloc(message_len + 1);

    memset(message, 1, message_len);
    message[message_len] = '\0';
    for (unsigned i = 0; i < count; i++) {
        json_t *ended =
            json_pack("{s:{s:i, s:s}}", "terminated", "exitCode", 1, "message", message);

        json_array_append_new(list, json_pack("{s:s, s:O, s:o}", "name", "a", "state", ended,
                                              "lastState", json_deep_copy(ended)));
        json_decref(ended);
    }
    free(message);
    return json_pack("{s:s, s:o}", "phase", "Running", "containerStatuses", list);
}

static const char *message_of(const json_t *status, const char *which)
{
    const json_t *one = json_array_get(json_object_get(status, "containerStatuses"), 0);

    return json_string_value(
        json_object_get(json_object_get(json_object_get(one, which), "terminated"), "message"));
}

static void long_messages(void **state)
{
    static const struct {
        unsigned count;
        size_t len;
        bool last, now;
    } cases[] = {{1, 4096, true, true}, {3, 4096, false, true}, {8, 4096, false, false}};

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *status = status_of(cases[i].count, cases[i].len);

        pod_state_fit(status);
        assert_true(json_dumpb(status, NULL, 0, JSON_COMPACT) <= POD_STATUS_BYTES);
        assert_int_equal(message_of(status, "lastState") != NULL, cases[i].last);
        assert_int_equal(message_of(status, "state") != NULL, cases[i].now);
        json_decref(status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys),          cmocka_unit_test(records_there_and_back),
        cmocka_unit_test(wrong_records), cmocka_unit_test(a_lost_pod),
        cmocka_unit_test(wrong_states),  cmocka_unit_test(in_a_store),
        cmocka_unit_test(long_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
