// SPDX-License-Identifier: Apache-2.0
/* The process of `exec`, and records that somebody has changed. */
#include "tests/unit/pod/spec/golden.h"

#include <errno.h>

#include "base/checked.h"
#include "pod/spec/spec.h"

static const char image_text[] =
    "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},"
    "\"config\":{\"Cmd\":[\"/server\"],\"Env\":[\"LANG=C\"],\"User\":\"app\",\"WorkingDir\":\"/"
    "srv\"}}";

static void build(struct spec *out)
{
    const char *words[] = {"no-new-privileges"}, *volumes[] = {"/data", "/dev:/dev/host"};
    const struct spec_options options = {
        .id = "0123456789ab", .security = {words, 1}, .volumes = {volumes, 2}};
    struct image_config image;

    assert_int_equal(image_config_parse(image_text, strlen(image_text), "test", &image, NULL), 0);
    assert_int_equal(spec_build(&image, &options, out, NULL), 0);
    image_config_clear(&image);
}

static json_t *exec(struct spec_exec_options options)
{
    char user[SPEC_USER_MAX + 1];
    struct spec spec;
    json_t *process;

    build(&spec);
    assert_int_equal(spec_exec(spec.config, spec.user, &options, &process, user, NULL), 0);
    spec_clear(&spec);
    return json_pack("{s:s, s:o}", "user", user, "process", process);
}

#define WORDS(...)                                                           \
    {                                                                        \
        .words = (const char *const[]){__VA_ARGS__},                         \
        .count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *) \
    }

static void test_plain(void **state)
{
    golden_expect("exec", exec((struct spec_exec_options){.command = WORDS("ls", "-l")}));
}

static void test_everything(void **state)
{
    golden_expect("exec-all", exec((struct spec_exec_options){.command = WORDS("sh"),
                                                              .tty = true,
                                                              .columns = 80,
                                                              .rows = 24,
                                                              .privileged = true,
                                                              .env = WORDS("LANG=de", "X=1"),
                                                              .directory = "/tmp",
                                                              .user = "0:0"}));
}

/* The further groups of an exec by this user (NULL: the container's own); borrowed from *process.
 */
static json_t *groups_of(const struct spec *spec, const char *user, json_t **process)
{
    const struct spec_exec_options options = {.command = WORDS("id"), .user = user};
    char name[SPEC_USER_MAX + 1];

    assert_int_equal(spec_exec(spec->config, spec->user, &options, process, name, NULL), 0);
    return json_object_get(json_object_get(*process, "user"), "additionalGids");
}

/* A pod's containers have further groups; they are not those of another user. */
static void test_inherited(void **state)
{
    struct spec spec;
    json_t *first, *process;

    build(&spec);
    first = json_object_get(spec.config, "process");
    json_object_set_new(json_object_get(first, "user"), "additionalGids", json_pack("[i]", 3000));
    json_object_set_new(first, "oomScoreAdj", json_integer(999));
    assert_int_equal(json_integer_value(json_array_get(groups_of(&spec, NULL, &process), 0)), 3000);
    assert_int_equal(json_integer_value(json_object_get(process, "oomScoreAdj")), 999);
    json_decref(process);
    assert_null(groups_of(&spec, "1", &process));
    json_decref(process);
    spec_clear(&spec);
}

static void test_refused(void **state)
{
    const struct {
        struct spec_exec_options options;
        const char *where;
    } lines[] = {
        {{.tty = false}, "the command"},
        {{.command = WORDS("")}, "the command"},
        {{.command = WORDS("ls"), .directory = "tmp"}, "--workdir tmp"},
        {{.command = WORDS("ls"), .user = "a b"}, "--user a b"},
        {{.command = WORDS("ls"), .env = WORDS("=")}, "--env ="},
        {{.command = WORDS("ls"), .env_files = WORDS("/no/such")}, "--env-file /no/such"},
        {{.command = WORDS("ls"), .tty = true, .columns = 70000, .rows = 1}, "--tty"},
    };
    char user[SPEC_USER_MAX + 1];
    struct spec spec;

    build(&spec);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct husk_error err = {.code = 0};
        json_t *process;

        assert_true(spec_exec(spec.config, spec.user, &lines[i].options, &process, user, &err) < 0);
        assert_string_equal(err.where, lines[i].where);
    }
    spec_clear(&spec);
}

/* Changes of one member at a time, by path, as JSON (NULL: removed). */
static void test_hostile_record(void **state)
{
    static const struct {
        const char *member, *value;
    } lines[] = {
        {"config", NULL},
        {"config", "[]"},
        {"pod", "7"},
        {"user", NULL},
        {"user", "\"\""},
        {"user", "\"a\\nb\""},
        {"stop_signal", "0"},
        {"stop_signal", "65"},
        {"stop_signal", "\"9\""},
        {"memory_bytes", "-1"},
        {"cpu_nanos", NULL},
        {"files", "[]"},
        {"files", "{\"hosts\": 1}"},
        {"volumes", NULL},
        {"volumes", "{}"},
        {"volumes", "[1]"},
        {"volumes", "[{}]"},
        {"volumes", "[{\"kind\":\"other\",\"name\":\"volume-0\",\"destination\":\"/x\"}]"},
        {"volumes", "[{\"kind\":\"anonymous\",\"name\":\"volume-1\",\"destination\":\"/x\"}]"},
        {"volumes", "[{\"kind\":\"anonymous\",\"name\":\"../x\",\"destination\":\"/x\"}]"},
        {"volumes", "[{\"kind\":\"anonymous\",\"name\":\"volume-0\",\"destination\":\"x\"}]"},
        {"volumes", "[{\"kind\":\"anonymous\",\"name\":\"volume-0\",\"destination\":\"/x\","
                    "\"source\":\"/etc\"}]"},
        {"volumes", "[{\"kind\":\"directory\",\"name\":\"volume-0\",\"destination\":\"/x\"}]"},
        {"volumes", "[{\"kind\":\"disk\",\"name\":\"volume-0\",\"destination\":\"/x\","
                    "\"source\":\"/a\"}]"},
    };
    struct spec spec, loaded;
    json_t *record;

    build(&spec);
    record = spec_save(&spec);
    assert_int_equal(spec_load(record, "record", &loaded, NULL), 0);
    spec_clear(&loaded);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        json_t *changed = json_deep_copy(record);
        struct husk_error err = {.code = 0};

        if (lines[i].value)
            json_object_set_new(changed, lines[i].member,
                                json_loads(lines[i].value, JSON_DECODE_ANY, NULL));
        else
            json_object_del(changed, lines[i].member);
        if (spec_load(changed, "record", &loaded, &err) == 0)
            fail_msg("%s: %s was taken", lines[i].member, lines[i].value);
        assert_string_equal(err.where, "record");
        json_decref(changed);
    }
    assert_true(spec_load(NULL, "record", &loaded, NULL) < 0);
    json_decref(record);
    spec_clear(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),          cmocka_unit_test(test_everything),
        cmocka_unit_test(test_inherited),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
