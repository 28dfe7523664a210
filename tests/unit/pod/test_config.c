// SPDX-License-Identifier: Apache-2.0
/* What is read out of an image's configuration, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "pod/image/config.h"

#define D1   "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define ROOT "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\"]}"
#define HEAD "{\"os\":\"linux\",\"architecture\":\"amd64\","

static int parse(const char *text, struct image_config *out, struct husk_error *err)
{
    return image_config_parse(text, strlen(text), "test", out, err);
}

static void test_everything(void **state)
{
    struct image_config config;

    assert_int_equal(parse(HEAD ROOT ",\"config\":{\"Entrypoint\":[\"/a\",\"b\"],\"Cmd\":[\"c\"],"
                                     "\"Env\":[\"PATH=/bin\"],\"User\":\"1:2\",\"WorkingDir\":"
                                     "\"/w\",\"ExposedPorts\":{\"80/tcp\":{}},\"Volumes\":{\"/v\":"
                                     "{}},\"StopSignal\":\"SIGQUIT\"}}",
                           &config, NULL),
                     0);
    assert_int_equal(config.diff_id_count, 1);
    assert_string_equal(config.diff_ids[0].text, D1);
    assert_int_equal(config.entrypoint.count, 2);
    assert_string_equal(config.entrypoint.words[1], "b");
    assert_string_equal(config.command.words[0], "c");
    assert_string_equal(config.environment.words[0], "PATH=/bin");
    assert_string_equal(config.ports.words[0], "80/tcp");
    assert_string_equal(config.volumes.words[0], "/v");
    assert_string_equal(config.user, "1:2");
    assert_string_equal(config.directory, "/w");
    assert_string_equal(config.stop_signal, "SIGQUIT");
    image_config_clear(&config);
}

static void test_least(void **state)
{
    struct image_config config;

    assert_int_equal(parse(HEAD ROOT ",\"config\":{\"Cmd\":null,\"Volumes\":null}}", &config, NULL),
                     0);
    assert_int_equal(config.command.count, 0);
    assert_string_equal(config.user, "");
    image_config_clear(&config);
}

static void test_refused(void **state)
{
    static const char *const wrong[] = {
        "{}",
        HEAD "\"x\":1}",
        "{\"os\":\"linux\"," ROOT "}",
        HEAD "\"rootfs\":{\"type\":\"other\",\"diff_ids\":[]}}",
        HEAD "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"x\"]}}",
        HEAD "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[1]}}",
        HEAD "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":{}}}",
        HEAD ROOT ",\"config\":[]}",
        HEAD ROOT ",\"config\":{\"Cmd\":\"sh\"}}",
        HEAD ROOT ",\"config\":{\"Cmd\":[1]}}",
        HEAD ROOT ",\"config\":{\"Env\":[{}]}}",
        HEAD ROOT ",\"config\":{\"User\":7}}",
        HEAD ROOT ",\"config\":{\"User\":\"a\\nb\"}}",
        HEAD ROOT ",\"config\":{\"ExposedPorts\":[]}}",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct image_config config;
        struct husk_error err = {0};

        if (parse(wrong[i], &config, &err) == 0)
            fail_msg("accepted: %s", wrong[i]);
        assert_string_equal(err.where, "test");
        assert_null(config.document);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
