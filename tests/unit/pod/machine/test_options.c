// SPDX-License-Identifier: Apache-2.0
/* The machine's options: there and back, and each thing that is wrong by its name. Also disk.c. */
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

#include "pod/machine/options.h"

static int decode(const char *text, struct pod_machine_options *out, struct husk_error *err)
{
    json_t *object = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    int ret;

    assert_non_null(object);
    ret = pod_machine_options_decode(object, out, err);
    json_decref(object);
    return ret;
}

static void goes_there_and_back(void **state)
{
    static const char text[] =
        "{\"memory_bytes\": 134217728, \"vcpus\": 3, \"scratch_bytes\": 1073741824, "
        "\"disks\": [{\"volume\": \"a.b\", \"path\": \"/x/y\", \"type\": \"ext4\", \"readonly\": "
        "false}, "
        "{\"volume\": \"c\", \"path\": \"/z\", \"type\": \"erofs\", \"readonly\": true}], "
        "\"kernel\": \"/k\", \"network\": {\"tap\": \"tap0\", \"routes\": [{\"to\": \"0.0.0.0/0\", "
        "\"via\": \"10.0.0.1\"}, {\"to\": \"10.9.0.0/16\"}], \"mac\": \"02:00:00:00:00:07\", "
        "\"mtu\": 1400, \"addresses\": [\"10.0.0.2/24\", \"fd00::2/64\"]}}";
    json_t *expected = json_loads(text, 0, NULL), *again;
    struct pod_machine_options options;

    assert_int_equal(pod_machine_options_decode(expected, &options, NULL), 0);
    assert_int_equal(options.memory_bytes, 128 << 20);
    assert_int_equal(options.vcpus, 3);
    assert_int_equal(options.disk_count, 2);
    assert_true(options.disks[1].read_only);
    assert_string_equal(options.network.routes[1].via, "");
    assert_int_equal(options.network.mac[5], 7);
    again = pod_machine_options_encode(&options);
    assert_true(json_equal(expected, again));
    json_decref(expected);
    json_decref(again);
}

static void finds_an_interface_elsewhere(void **state)
{
    static const char *const texts[] = {
        "{\"network\": {\"tap\": \"t\", \"netns\": \"/run/netns/a\", \"addresses\": [], "
        "\"routes\": []}}",
        "{\"network\": {\"vfio\": \"0000:01:10.0\", \"mac\": \"02:00:00:00:00:01\", "
        "\"addresses\": [], \"routes\": []}}",
    };

    for (unsigned i = 0; i < 2; i++) {
        json_t *given = json_loads(texts[i], 0, NULL), *again;
        struct pod_machine_options options;

        assert_int_equal(pod_machine_options_decode(given, &options, NULL), 0);
        again = pod_machine_options_encode(&options);
        assert_true(
            json_equal(json_object_get(given, "network"), json_object_get(again, "network")));
        json_decref(given);
        json_decref(again);
    }
}

static void needs_nothing(void **state)
{
    static const struct pod_machine_options none;
    struct pod_machine_options options;

    assert_int_equal(decode("{}", &options, NULL), 0);
    assert_memory_equal(&options, &none, sizeof(none));
}

static void names_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *where;
        int code;
    } cases[] = {
        {"[]", "machine", EINVAL},
        {"{\"memory_bytes\": \"1\"}", "machine.memory_bytes", EINVAL},
        {"{\"memory_bytes\": -1}", "machine.memory_bytes", EINVAL},
        {"{\"memory_bytes\": 1048576}", "machine.memory_bytes", ERANGE},
        {"{\"memory_bytes\": 9000000000000000000}", "machine.memory_bytes", ERANGE},
        {"{\"vcpus\": 256}", "machine.vcpus", EINVAL},
        {"{\"scratch_bytes\": 4096}", "machine.scratch_bytes", ERANGE},
        {"{\"kernel\": \"k\"}", "machine.kernel", EINVAL},
        {"{\"kernel\": \"/k\\u0000x\"}", "machine.kernel", EINVAL},
        {"{\"network\": {\"tap\": \"more-than-15-characters\"}}", "machine.network.tap", EINVAL},
        {"{\"network\": {\"mtu\": 1500}}", "machine.network", EINVAL},
        {"{\"network\": {\"netns\": \"/run/netns/a\"}}", "machine.network.netns", EINVAL},
        {"{\"network\": {\"tap\": \"t\", \"netns\": \"a\"}}", "machine.network.netns", EINVAL},
        {"{\"network\": {\"vfio\": \"01:10.0\", \"mac\": \"02:00:00:00:00:01\"}}",
         "machine.network.vfio", EINVAL},
        {"{\"network\": {\"vfio\": \"0000:01:10.0\", \"tap\": \"t\"}}", "machine.network.vfio",
         EINVAL},
        {"{\"network\": {\"vfio\": \"0000:01:10.0\"}}", "machine.network.mac", EINVAL},
        {"{\"network\": {\"tap\": \"t\", \"mac\": \"03:00:00:00:00:00\"}}", "machine.network.mac",
         EINVAL},
        {"{\"network\": {\"tap\": \"t\", \"mtu\": 67}}", "machine.network.mtu", ERANGE},
        {"{\"network\": {\"tap\": \"t\", \"routes\": [{}]}}", "machine.network.routes[0].to",
         EINVAL},
        {"{\"network\": {\"tap\": \"t\", \"addresses\": [1]}}", "machine.network.addresses",
         EINVAL},
        {"{\"network\": {\"tap\": \"t\", \"addresses\": {}}}", "machine.network.addresses", EINVAL},
        {"{\"disks\": [1,2,3,4,5,6,7,8,9,10,11]}", "machine.disks", EINVAL},
        {"{\"disks\": [{\"volume\": \"a\", \"path\": \"p\", \"type\": \"ext4\"}]}",
         "machine.disks[0]", EINVAL},
        {"{\"disks\": [{\"volume\": \"a\", \"path\": \"/p\", \"type\": \"xfs\"}]}",
         "machine.disks[0]", EINVAL},
        {"{\"disks\": [{\"volume\": \"a\", \"path\": \"/p\", \"type\": \"erofs\"}]}",
         "machine.disks[0]", EINVAL},
        {"{\"disks\": [{\"volume\": \"scratch\", \"path\": \"/p\", \"type\": \"ext4\"}]}",
         "machine.disks[0]", EINVAL},
        {"{\"disks\": [{\"volume\": \"layers\", \"path\": \"/p\", \"type\": \"ext4\"}]}",
         "machine.disks[0]", EINVAL},
        {"{\"disks\": [{\"volume\": \"../a\", \"path\": \"/p\", \"type\": \"ext4\"}]}",
         "machine.disks[0]", EINVAL},
        {"{\"disks\": [{\"volume\": \"a\", \"path\": \"/p\", \"type\": \"ext4\"}, {\"volume\": "
         "\"a\", "
         "\"path\": \"/q\", \"type\": \"ext4\"}]}",
         "machine.disks[1]", EINVAL},
        {"{\"disks\": [{\"volume\": \"a\", \"path\": \"/p\", \"readonly\": 1}]}",
         "machine.disks[0].readonly", EINVAL},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pod_machine_options options;
        struct husk_error err = {.code = 0};

        assert_int_equal(decode(cases[i].text, &options, &err), -cases[i].code);
        assert_string_equal(err.where, cases[i].where);
    }
}

static void recognise(const char *path, const char *bytes, size_t len, size_t at, int expected,
                      const char *type)
{
    struct husk_error err;
    char found[16];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(pwrite(fd, bytes, len, (off_t)at), (ssize_t)len);
    close(fd);
    assert_int_equal(pod_machine_disk_recognise(path, found, &err), expected);
    if (!expected)
        assert_string_equal(found, type);
    else
        assert_string_equal(err.where, path);
}

static void recognises_file_systems(void **state)
{
    char path[] = "/tmp/husk-disk-XXXXXX", found[16];
    struct husk_error err;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(pod_machine_disk_recognise(path, found, &err), -EINVAL); /* empty */
    close(fd);
    recognise(path, "\x53\xef", 2, 1024 + 56, 0, "ext4");
    recognise(path, "\xe2\xe1\xf5\xe0", 4, 1024, 0, "erofs");
    recognise(path, "XFSB", 4, 0, -EINVAL, NULL);
    unlink(path);
    assert_int_equal(pod_machine_disk_recognise(path, found, &err), -ENOENT);
    assert_int_equal(pod_machine_disk_recognise("/tmp", found, &err), -EINVAL);
    assert_int_equal(pod_machine_disk_recognise("/dev/zero", found, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_there_and_back),     cmocka_unit_test(finds_an_interface_elsewhere),
        cmocka_unit_test(needs_nothing),           cmocka_unit_test(names_what_is_wrong),
        cmocka_unit_test(recognises_file_systems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
