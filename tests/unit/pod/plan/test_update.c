// SPDX-License-Identifier: Apache-2.0
/*
 * From one description to another while the pod runs. Which fields may change is asked of
 * pod/manifest, whose answer is played here: labels, resources and objects may, all else may not.
 */
#include "tests/unit/pod/plan/fixture.h"

#include "pod/manifest/change.h"

#define MIB (UINT64_C(1) << 20)

static const json_t *app_of(const json_t *pod)
{
    return json_array_get(json_object_get(json_object_get(pod, "spec"), "containers"), 0);
}

int change_of_pod(const json_t *before, const json_t *after, json_t **changed,
                  struct husk_error *err)
{
    const json_t *old = app_of(before), *now = app_of(after);

    *changed = json_array();
    if (strcmp(json_string_value(json_object_get(old, "image")),
               json_string_value(json_object_get(now, "image"))) != 0) {
        json_decref(*changed);
        return error_set(err, EEXIST, "spec.containers[0].image", "cannot be changed", NULL);
    }
    if (!json_equal(json_object_get(before, "metadata"), json_object_get(after, "metadata")))
        json_array_append_new(*changed, json_string("metadata.labels"));
    if (!json_equal(old, now))
        json_array_append_new(*changed, json_string("spec.containers[0].resources"));
    return 0;
}

int change_of_objects(const json_t *before, const json_t *after, json_t **changed,
                      struct husk_error *err)
{
    (void)err;
    *changed = json_array();
    if (!json_equal(before, after))
        json_array_append_new(*changed, json_string("configMaps[conf]"));
    return 0;
}

struct change {
    struct fixture old, now;
    struct pod_plan plan;
    struct plan_changes changes;
    struct husk_error err;
};

/* `patch` is merged into what the pod's file has. */
static int update(struct change *c, const char *name, const char *patch)
{
    json_t *file = fixture_file(name), *parsed = json_loads(patch, 0, NULL);

    memset(c, 0, sizeof(*c));
    assert_non_null(parsed);
    json_object_update_recursive(file, parsed);
    json_decref(parsed);
    fixture_load(&c->old, name);
    fixture_init(&c->now, file);
    c->now.input.memory_bytes = 512 * MIB;
    c->now.input.vcpus = 2;
    return plan_update(&c->old.input, &c->now.input, &c->plan, &c->changes, &c->err);
}

static void end(struct change *c)
{
    plan_clear(&c->plan);
    plan_changes_clear(&c->changes);
    fixture_clear(&c->old);
    fixture_clear(&c->now);
}

static void changes_nothing_for_nothing(void **state)
{
    struct change c;

    assert_int_equal(update(&c, "config-map", "{}"), 0);
    assert_int_equal(json_array_size(c.changes.changed), 0);
    assert_int_equal(json_array_size(c.changes.requests), 0);
    assert_int_equal(json_array_size(c.changes.updates), 0);
    assert_int_equal(c.plan.container_count, 1);
    assert_true(c.plan.machine->memory_bytes == 512 * MIB);
    end(&c);
}

#define LIMITS(text)                                                                        \
    "{\"pod\": {\"spec\": {\"containers\": [{\"name\": \"app\", \"image\": "                \
    "\"app:1\", \"terminationMessagePath\": \"/dev/termination-log\", \"resources\": " text \
    "}]}}}"

static void changes_limits(void **state)
{
    json_t *wanted;
    struct change c;

    assert_int_equal(update(&c, "minimal",
                            LIMITS("{\"limits\": {\"memory\": \"64Mi\", \"cpu\": \"500m\"}, "
                                   "\"requests\": {\"memory\": \"64Mi\", \"cpu\": \"250m\"}}")),
                     0);
    assert_int_equal(json_array_size(c.changes.requests), 0);
    wanted =
        json_loads("[{\"container\": \"app\", \"method\": \"update\", \"params\": "
                   "{\"container\": \"app\", \"resources\": {\"cpu\": {\"shares\": 256, "
                   "\"quota\": 50000, \"period\": 100000}, \"memory\": {\"limit\": 67108864}}}}]",
                   0, NULL);
    assert_true(json_equal(c.changes.updates, wanted));
    json_decref(wanted);
    end(&c);
    /* And takes them away. */
    assert_int_equal(update(&c, "env", LIMITS("{}")), 0);
    wanted = json_loads("[{\"container\": \"app\", \"method\": \"update\", \"params\": "
                        "{\"container\": \"app\", \"resources\": {\"cpu\": {\"shares\": 2, "
                        "\"quota\": -1, \"period\": 100000}, \"memory\": {\"limit\": -1}}}}]",
                        0, NULL);
    assert_true(json_equal(c.changes.updates, wanted));
    json_decref(wanted);
    end(&c);
}

static void says_what_does_not_fit(void **state)
{
    struct change c;

    assert_int_equal(update(&c, "minimal", LIMITS("{\"limits\": {\"memory\": \"1Gi\"}}")), -EEXIST);
    assert_string_equal(c.err.where, "spec.containers[0].resources");
    assert_non_null(strstr(c.err.why, "MiB"));
    assert_null(c.plan.containers);
    assert_null(c.changes.changed);
    end(&c);
    assert_int_equal(update(&c, "minimal", LIMITS("{\"limits\": {\"cpu\": \"3\"}}")), -EEXIST);
    assert_string_equal(c.err.where, "spec.containers[0].resources");
    end(&c);
    assert_int_equal(update(&c, "minimal",
                            "{\"pod\": {\"spec\": {\"containers\": [{\"image\": "
                            "\"other:1\"}]}}}"),
                     -EEXIST);
    assert_string_equal(c.err.where, "spec.containers[0].image");
    end(&c);
}

/* Whole sets of files change in one step, and nothing of the old one stays. */
static void changes_files(void **state)
{
    struct change c;
    json_t *file = fixture_file("config-map"), *data;

    memset(&c, 0, sizeof(c));
    data = json_object_get(
        json_object_get(json_object_get(json_object_get(file, "objects"), "configMaps"), "conf"),
        "data");
    json_object_set_new(data, "key", json_string("another"));
    json_object_set_new(data, "new", json_string("new"));
    json_object_del(data, "REF");
    fixture_load(&c.old, "config-map");
    fixture_init(&c.now, file);
    c.now.input.memory_bytes = 512 * MIB;
    c.now.input.vcpus = 1;
    assert_int_equal(plan_update(&c.old.input, &c.now.input, &c.plan, &c.changes, &c.err), 0);
    assert_string_equal(json_string_value(json_array_get(c.changes.changed, 0)),
                        "configMaps[conf]");
    assert_int_equal(json_array_size(c.changes.updates), 0);
    golden_expect("update-files", json_incref(c.changes.requests));
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_nothing_for_nothing),
        cmocka_unit_test(changes_limits),
        cmocka_unit_test(says_what_does_not_fit),
        cmocka_unit_test(changes_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
