// SPDX-License-Identifier: Apache-2.0
/* A config.json into data: what no container shows (tests/e2e/agent/conformance.py has the rest).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/ioprio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "guest/agent/oci.h"

static struct husk_error error;
static struct oci_config config;

#define PROCESS "\"process\": {\"args\": [\"a\"], \"cwd\": \"/\", \"user\": {}}"
#define LINUX   "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}]}"

static int parse(const char *text, bool need_root)
{
    json_t *json = json_parse_object(text, strlen(text), &error);
    struct node node = node_root(json, "config");
    int ret;

    assert_non_null(json);
    ret = oci_parse(&node, need_root, &config, &error);
    json_decref(json);
    return ret;
}

static void test_least(void **state)
{
    assert_int_equal(parse("{\"ociVersion\": \"1.0.2\", " PROCESS ", " LINUX "}", false), 0);
    assert_string_equal(config.process.args[0], "a");
    assert_null(config.process.args[1]);
    assert_null(config.process.env[0]);
    assert_null(config.root_path);
    assert_true(config.namespaces[OCI_NS_MOUNT].given);
    assert_int_equal(config.seccomp.len, 0);
    oci_free(&config);
    oci_free(&config);
    assert_int_equal(parse("{\"ociVersion\": \"1.0.2\", " PROCESS ", " LINUX "}", true), -EINVAL);
    assert_string_equal(error.where, "config.root");
}

/* Options of one kind: the last word counts, and what is none of the kernel's is the file system's.
 */
static void test_mount_options(void **state)
{
    const struct oci_mount_options *options;

    assert_int_equal(
        parse(
            "{\"ociVersion\": \"1.1.0\", " PROCESS ", " LINUX ", \"mounts\": [{\"destination\": "
            "\"/x\", \"type\": \"tmpfs\", \"options\": [\"ro\", \"size=1m\", \"rw\", \"noatime\", "
            "\"strictatime\", \"nosuid\", \"rro\", \"rslave\", \"huge\"]}]}",
            false),
        0);
    options = &config.mounts[0].options;
    assert_int_equal(options->attr_set, MOUNT_ATTR_STRICTATIME | MOUNT_ATTR_NOSUID);
    assert_int_equal(options->attr_clear & MOUNT_ATTR_RDONLY, MOUNT_ATTR_RDONLY);
    assert_int_equal(options->recursive_set, MOUNT_ATTR_RDONLY);
    assert_int_equal(options->propagation, MS_SLAVE);
    assert_true(options->propagation_recursive);
    assert_false(options->bind);
    assert_string_equal(options->data[0], "size=1m");
    assert_string_equal(options->data[1], "huge");
    assert_null(options->data[2]);
    oci_free(&config);
}

static void test_resources(void **state)
{
    const char *text = "{\"memory\": {\"limit\": 100, \"swap\": -1}, \"pids\": {\"limit\": 5}, "
                       "\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 0, "
                       "\"rate\": 10}], \"throttleWriteIOPSDevice\": [{\"major\": 8, \"minor\": 1, "
                       "\"rate\": 20}]}, \"devices\": [{\"allow\": true, \"type\": \"c\", "
                       "\"major\": 1, \"access\": \"rm\"}]}";
    json_t *json = json_parse_object(text, strlen(text), &error);
    struct node node = node_root(json, "resources");
    struct oci_resources resources;

    assert_int_equal(oci_parse_resources(&node, false, &resources, &error), 0);
    assert_int_equal(resources.memory_limit, 100);
    assert_int_equal(resources.memory_swap, -1);
    assert_true(resources.pids_given);
    assert_int_equal(resources.io_limit_count, 2);
    assert_true(resources.io_limits[1].write && resources.io_limits[1].operations);
    assert_int_equal(resources.device_rules[0].minor, -1);
    assert_true(resources.device_rules[0].mknod && !resources.device_rules[0].write);
    oci_free_resources(&resources);
    assert_int_equal(oci_parse_resources(&node, true, &resources, &error), -ENOTSUP);
    assert_string_equal(error.where, "resources.devices");
    json_decref(json);
}

static void test_io_priority(void **state)
{
    assert_int_equal(
        parse("{\"ociVersion\": \"1.1.0\", \"process\": {\"args\": [\"a\"], \"cwd\": "
              "\"/\", \"user\": {}, \"ioPriority\": {\"class\": \"IOPRIO_CLASS_IDLE\", "
              "\"priority\": 3}}, " LINUX "}",
              false),
        0);
    assert_int_equal(config.process.io_priority, IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT | 3);
    oci_free(&config);
}

/* A filter is compiled when the config is read, so that its errors are the config's. */
static void test_seccomp_is_compiled(void **state)
{
    assert_int_equal(
        parse("{\"ociVersion\": \"1.0.2\", " PROCESS
              ", \"linux\": {\"namespaces\": [{\"type\": \"mount\"}], \"seccomp\": "
              "{\"defaultAction\": \"SCMP_ACT_ERRNO\", \"syscalls\": [{\"names\": [\"read\", "
              "\"no_such_call\"], \"action\": \"SCMP_ACT_ALLOW\"}]}}}",
              false),
        0);
    assert_true(config.seccomp.len > 3);
    assert_non_null(config.seccomp.filter);
    oci_free(&config);
    assert_null(config.seccomp.filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least),
        cmocka_unit_test(test_mount_options),
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_io_priority),
        cmocka_unit_test(test_seccomp_is_compiled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
