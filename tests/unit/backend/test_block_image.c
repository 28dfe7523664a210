// SPDX-License-Identifier: Apache-2.0
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/backend/block.h"

struct fixture {
    char dir[64];
    char path[96];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->dir, "/tmp/husk-image-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/disk.img", f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    unlink(f->path);
    rmdir(f->path);
    rmdir(f->dir);
    free(f);
    return 0;
}

static void make_file(const char *path, off_t size, mode_t mode)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, size), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int open_image(const char *path, bool read_only, uint64_t *size, struct husk_error *err)
{
    const struct block_open_options options = {.path = path, .fd = -1, .read_only = read_only};

    memset(err, 0, sizeof(*err));
    return block_image_open(&options, size, err);
}

static int open_fd(int fd, bool read_only, struct husk_error *err)
{
    const struct block_open_options options = {.path = "fd", .fd = fd, .read_only = read_only};
    uint64_t size;

    memset(err, 0, sizeof(*err));
    return block_image_open(&options, &size, err);
}

static void expect_failure(struct fixture *f, bool read_only, int code, const char *why)
{
    struct husk_error err;
    uint64_t size;

    assert_int_equal(open_image(f->path, read_only, &size, &err), -code);
    assert_int_equal(err.code, code);
    assert_string_equal(err.where, f->path);
    assert_true(err.what[0] != '\0');
    if (!strstr(err.why, why))
        fail_msg("\"%s\" does not say \"%s\"", err.why, why);
}

static void test_opens_and_measures(void **state)
{
    struct fixture *f = *state;
    struct husk_error err;
    uint64_t size = 0;
    int fd;

    make_file(f->path, 4096 + 100, 0600);
    fd = open_image(f->path, false, &size, &err);
    assert_true(fd >= 0);
    assert_int_equal(size, 4096 + 100);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);

    fd = open_image(f->path, true, &size, &err);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    close(fd);
}

static void test_refuses_what_is_no_disk(void **state)
{
    struct fixture *f = *state;

    expect_failure(f, false, ENOENT, "No such file");
    assert_int_equal(access(f->path, F_OK), -1); /* and does not make one */

    make_file(f->path, 0, 0600);
    expect_failure(f, false, EINVAL, "empty");
    make_file(f->path, 511, 0600);
    expect_failure(f, true, EINVAL, "511 bytes");
    unlink(f->path);

    assert_int_equal(mkdir(f->path, 0700), 0);
    expect_failure(f, false, EISDIR, "directory");
    expect_failure(f, true, EISDIR, "directory");
    rmdir(f->path);

    assert_int_equal(mkfifo(f->path, 0600), 0);
    expect_failure(f, false, ENOTBLK, "pipe");
    expect_failure(f, true, ENOTBLK, "pipe"); /* without waiting for a writer */
    unlink(f->path);

    assert_int_equal(symlink("/dev/null", f->path), 0);
    expect_failure(f, false, ENOTBLK, "character device");
    unlink(f->path);

    assert_int_equal(symlink(f->path, f->path), 0);
    expect_failure(f, false, ELOOP, "symbolic links");
}

static void test_permission_denied(void **state)
{
    struct fixture *f = *state;
    struct husk_error err;
    uint64_t size;
    uid_t uid = geteuid();

    make_file(f->path, 512, 0444);
    assert_int_equal(chmod(f->dir, 0755), 0);
    if (uid == 0 && seteuid(65534))
        skip();
    expect_failure(f, false, EACCES, "read-only");
    int fd = open_image(f->path, true, &size, &err);
    if (uid == 0)
        assert_int_equal(seteuid(0), 0);
    assert_true(fd >= 0);
    close(fd);
}

static void test_one_writer_or_many_readers(void **state)
{
    struct fixture *f = *state;
    struct husk_error err;
    uint64_t size;
    int writer, reader, other;

    make_file(f->path, 8192, 0600);
    writer = open_image(f->path, false, &size, &err);
    assert_true(writer >= 0);
    expect_failure(f, false, EBUSY, "in use by another virtual machine");
    expect_failure(f, true, EBUSY, "in use by another virtual machine");
    close(writer);

    reader = open_image(f->path, true, &size, &err);
    other = open_image(f->path, true, &size, &err);
    assert_true(reader >= 0 && other >= 0);
    expect_failure(f, false, EBUSY, "in use");
    close(reader);
    expect_failure(f, false, EBUSY, "in use");
    close(other);
    writer = open_image(f->path, false, &size, &err);
    assert_true(writer >= 0);
    close(writer);
}

static void test_lock_lives_as_long_as_a_duplicate(void **state)
{
    struct fixture *f = *state;
    struct husk_error err;
    uint64_t size;
    int fd, copy;

    make_file(f->path, 8192, 0600);
    fd = open_image(f->path, false, &size, &err);
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    close(fd);
    expect_failure(f, false, EBUSY, "in use");
    close(copy);
    fd = open_image(f->path, false, &size, &err);
    assert_true(fd >= 0);
    close(fd);
}

static void test_passed_descriptor(void **state)
{
    struct fixture *f = *state;
    struct husk_error err;
    uint64_t size;
    int fd;

    make_file(f->path, 8192, 0600);
    fd = open(f->path, O_RDWR);
    assert_int_equal(open_fd(fd, false, &err), fd);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    expect_failure(f, true, EBUSY, "in use");
    close(fd);

    /* refused ones stay open, and unlocked */
    const struct {
        int flags;
        bool read_only;
        const char *why;
    } bad[] = {
        {O_RDONLY, false, "not open for writing"},
        {O_WRONLY, true, "not open for reading"},
        {O_PATH, true, "O_PATH"},
        {O_RDWR | O_APPEND, false, "O_APPEND"},
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fd = open(f->path, bad[i].flags | O_CLOEXEC);
        assert_true(open_fd(fd, bad[i].read_only, &err) < 0);
        assert_non_null(strstr(err.why, bad[i].why));
        assert_true(fcntl(fd, F_GETFD) >= 0);
        int second = open_image(f->path, false, &size, &err);
        assert_true(second >= 0);
        close(second);
        close(fd);
    }

    assert_int_equal(open_fd(1000, false, &err), -EBADF);

    fd = memfd_create("disk", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 4096), 0);
    assert_int_equal(open_fd(fd, false, &err), fd);
    close(fd);
}

static void test_needs_a_path_or_a_descriptor(void **state)
{
    struct husk_error err;
    uint64_t size;

    assert_int_equal(open_image(NULL, false, &size, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opens_and_measures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_what_is_no_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_permission_denied, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_writer_or_many_readers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock_lives_as_long_as_a_duplicate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_passed_descriptor, setup, teardown),
        cmocka_unit_test(test_needs_a_path_or_a_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
