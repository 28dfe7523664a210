// SPDX-License-Identifier: Apache-2.0
/* From one description to another while the pod runs. */
#include "tests/unit/pod/plan/fixture.h"

#define MIB (UINT64_C(1) << 20)

struct change {
    struct fixture old, now;
    struct pod_plan plan;
    struct plan_changes changes;
    struct husk_error err;
};

/* The pod's container has this member (NULL: not at all) instead of what its file has. */
static int update(struct change *c, const char *name, const char *member, const char *value)
{
    json_t *file = fixture_file(name), *spec, *app;

    memset(c, 0, sizeof(*c));
    spec = json_object_get(json_object_get(file, "pod"), "spec");
    app = json_array_get(json_object_get(spec, "containers"), 0);
    if (value)
        assert_int_equal(json_object_set_new(app, member, json_loads(value, JSON_DECODE_ANY, NULL)),
                         0);
    else
        json_object_del(app, member);
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

    assert_int_equal(update(&c, "config-map", "tty", NULL), 0);
    assert_int_equal(json_array_size(c.changes.changed), 0);
    assert_int_equal(json_array_size(c.changes.requests), 0);
    assert_int_equal(json_array_size(c.changes.updates), 0);
    assert_int_equal(c.plan.container_count, 1);
    assert_true(c.plan.machine->memory_bytes == 512 * MIB);
    end(&c);
}

static void changes_limits(void **state)
{
    json_t *wanted;
    struct change c;

    assert_int_equal(update(&c, "minimal", "resources",
                            "{\"limits\": {\"memory\": \"64Mi\", \"cpu\": \"500m\"}, "
                            "\"requests\": {\"memory\": \"64Mi\", \"cpu\": \"250m\"}}"),
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
    assert_int_equal(update(&c, "env", "resources", NULL), 0);
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

    assert_int_equal(update(&c, "minimal", "resources", "{\"limits\": {\"memory\": \"1Gi\"}}"),
                     -EEXIST);
    assert_string_equal(c.err.where, "spec.containers[0].resources");
    assert_non_null(strstr(c.err.why, "MiB"));
    assert_null(c.plan.containers);
    assert_null(c.changes.changed);
    end(&c);
    assert_int_equal(update(&c, "minimal", "resources", "{\"limits\": {\"cpu\": \"3\"}}"), -EEXIST);
    assert_string_equal(c.err.where, "spec.containers[0].resources");
    end(&c);
    assert_int_equal(update(&c, "minimal", "image", "\"other:1\""), -EEXIST);
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
