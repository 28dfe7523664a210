// SPDX-License-Identifier: Apache-2.0
/* The socket device in a configuration: checks, and whose file is removed in the end. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "vmm/config.h"

static struct {
    struct machine_config config;
    struct husk_error err;
} t;

static int setup(void **state)
{
    struct husk_vm_options options = HUSK_VM_OPTIONS_INIT;

    options.kernel_path = "kernel";
    return machine_config_init(&t.config, &options, &t.err);
}

static int teardown(void **state)
{
    machine_config_release(&t.config);
    return 0;
}

static int set(uint32_t cid, const char *path)
{
    struct husk_vsock_options options = HUSK_VSOCK_OPTIONS_INIT;

    options.guest_cid = cid;
    options.path = path;
    return machine_config_set_vsock(&t.config, &options, &t.err);
}

static void test_set(void **state)
{
    assert_false(t.config.vsock.present);
    assert_int_equal(set(3, "/run/v"), 0);
    assert_true(t.config.vsock.present);
    assert_int_equal(t.config.vsock.guest_cid, 3);
    assert_string_equal(t.config.vsock.path, "/run/v");
    assert_string_equal(t.config.vsock.connect_prefix, "/run/v");
    assert_int_equal(t.config.vsock.listen_fd, -1);
    assert_int_equal(set(4, "/run/w"), -EEXIST);
    assert_int_equal(t.config.vsock.guest_cid, 3);
}

static void test_cid(void **state)
{
    static const uint32_t bad[] = {0, 1, 2, UINT32_MAX};

    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(set(bad[i], "v"), -ERANGE);
        assert_string_equal(t.err.where, "vsock: cid");
        assert_false(t.config.vsock.present);
    }
    assert_int_equal(set(UINT32_MAX - 1, "v"), 0);
}

/* "PATH_4294967295" must fit into a socket's address. */
static void test_path(void **state)
{
    char path[110];

    assert_int_equal(set(3, NULL), -EINVAL);
    assert_int_equal(set(3, ""), -EINVAL);
    assert_string_equal(t.err.where, "vsock: path");
    memset(path, 'x', sizeof(path));
    path[97] = '\0';
    assert_int_equal(set(3, path), -ENAMETOOLONG);
    path[96] = '\0';
    assert_int_equal(set(3, path), 0);
}

static void test_no_room(void **state)
{
    struct husk_drive_options drive = HUSK_DRIVE_OPTIONS_INIT;
    int ret = 0;

    drive.path = "disk";
    for (unsigned i = 0; i < 100 && !ret; i++)
        ret = machine_config_add_drive(&t.config, &drive, &t.err);
    assert_int_equal(ret, -ENOSPC);
    assert_int_equal(set(3, "v"), -ENOSPC);
    t.config.drive_count--;
    drive_config_release(&t.config.drives[t.config.drive_count]);
    assert_int_equal(set(3, "v"), 0);
    assert_int_equal(machine_config_add_drive(&t.config, &drive, &t.err), -ENOSPC);
}

/* A file as machine_open() would have made it. */
static void make_file(const char *path)
{
    struct stat info;
    int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    assert_int_equal(fstat(fd, &info), 0);
    t.config.vsock.socket_made = true;
    t.config.vsock.socket_device = info.st_dev;
    t.config.vsock.socket_inode = info.st_ino;
    t.config.vsock.listen_fd = fd;
}

static void test_removal(void **state)
{
    char directory[] = "/tmp/husk-vsock-XXXXXX", path[64], other[64];

    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/v", directory);
    snprintf(other, sizeof(other), "%s/w", directory);
    assert_int_equal(set(3, path), 0);
    make_file(path);
    teardown(state);
    assert_int_equal(access(path, F_OK), -1);

    /* Somebody has put another file there. */
    setup(state);
    assert_int_equal(set(3, path), 0);
    make_file(path);
    assert_int_equal(rename(path, other), 0);
    close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    teardown(state);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    unlink(other);

    /* Nothing was opened: nothing is removed. */
    setup(state);
    assert_int_equal(set(3, path), 0);
    close(open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    teardown(state);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    assert_int_equal(rmdir(directory), 0);
    setup(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_set), TEST(test_cid), TEST(test_path), TEST(test_no_room), TEST(test_removal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
