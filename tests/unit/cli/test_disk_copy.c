// SPDX-License-Identifier: Apache-2.0
/* cli/disk_copy.c: a copy is there whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/disk_copy.h"

#define BYTES 65536u

static char directory[] = "/tmp/husk-copy-XXXXXX";
static char from[64], to[64], part[64];
static struct husk_error err;
static unsigned asked;

static bool go_on(void)
{
    return false;
}

static bool stop_at_once(void)
{
    asked++;
    return true;
}

static struct disk_copy make(bool (*should_stop)(void))
{
    struct disk_copy copy = {.from = from,
                             .format = "raw",
                             .size_bytes = BYTES,
                             .to = to,
                             .mode = 0600,
                             .should_stop = should_stop};

    copy.from_fd = open(from, O_RDONLY | O_CLOEXEC);
    assert_true(copy.from_fd >= 0);
    unlink(to);
    unlink(part);
    return copy;
}

static void need_qemu_img(void)
{
    if (access("/usr/bin/qemu-img", X_OK)) {
        print_message("skipped: disk_copy: qemu-img is not installed\n");
        skip();
    }
}

static int set_up(void **state)
{
    static uint8_t bytes[BYTES];
    int fd;

    if (!mkdtemp(directory))
        return -1;
    snprintf(from, sizeof(from), "%s/from:raw", directory); /* no protocol */
    snprintf(to, sizeof(to), "%s/to", directory);
    snprintf(part, sizeof(part), "%s/to.part", directory);
    memset(bytes, 'x', BYTES / 2);
    fd = open(from, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 || write_full(fd, bytes, sizeof(bytes)) || close(fd);
}

static int clean(void **state)
{
    unlink(from);
    unlink(to);
    unlink(part);
    return rmdir(directory);
}

static void test_copy(void **state)
{
    struct disk_copy copy = make(go_on);
    uint8_t bytes[2];
    int fd;

    need_qemu_img();
    assert_int_equal(disk_copy_make(&copy, &err), 0);
    assert_int_equal(access(part, F_OK), -1);
    fd = open(to, O_RDONLY | O_CLOEXEC);
    assert_int_equal(lseek(fd, 0, SEEK_END), BYTES);
    assert_int_equal(pread(fd, bytes, 2, BYTES / 2 - 1), 2);
    assert_int_equal(bytes[0], 'x');
    assert_int_equal(bytes[1], 0);
    close(fd);
    close(copy.from_fd);
}

static void test_there_already(void **state)
{
    struct disk_copy copy = make(stop_at_once);
    int fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    close(fd);
    assert_int_equal(disk_copy_make(&copy, &err), 0);
    assert_int_equal(access(part, F_OK), -1);
    close(copy.from_fd);
}

static void test_stopped(void **state)
{
    struct disk_copy copy = make(stop_at_once);

    need_qemu_img();
    assert_int_equal(disk_copy_make(&copy, &err), -ECANCELED);
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(access(to, F_OK), -1);
    close(copy.from_fd);
}

static void test_failed(void **state)
{
    struct disk_copy copy = make(go_on);

    need_qemu_img();
    copy.format = "qcow2"; /* which it is not */
    assert_int_equal(disk_copy_make(&copy, &err), -EIO);
    assert_non_null(strstr(err.why, "qcow2"));
    assert_int_equal(access(part, F_OK), -1);
    assert_int_equal(access(to, F_OK), -1);
    close(copy.from_fd);
}

/* Somebody else is at it: it is waited for. What a killed process left is not in the way. */
static void test_locked(void **state)
{
    struct disk_copy copy = make(stop_at_once);
    int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    asked = 0;
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(disk_copy_make(&copy, &err), -ECANCELED);
    assert_int_equal(asked, 1);
    assert_int_equal(access(part, F_OK), 0); /* theirs */
    close(fd);
    need_qemu_img();
    copy.should_stop = go_on;
    assert_int_equal(disk_copy_make(&copy, &err), 0);
    assert_int_equal(access(to, F_OK), 0);
    close(copy.from_fd);
}

static void test_source_in_use(void **state)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct disk_copy copy = make(go_on);
    int fd = open(from, O_RDWR | O_CLOEXEC);

    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_int_equal(disk_copy_make(&copy, &err), -EBUSY);
    assert_int_equal(access(part, F_OK), -1);
    close(fd);
    close(copy.from_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copy),    cmocka_unit_test(test_there_already),
        cmocka_unit_test(test_stopped), cmocka_unit_test(test_failed),
        cmocka_unit_test(test_locked),  cmocka_unit_test(test_source_in_use),
    };

    return cmocka_run_group_tests(tests, set_up, clean);
}
