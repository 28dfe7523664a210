// SPDX-License-Identifier: Apache-2.0
/* vmm/machine_image.c: husk_image_find_kernel() with the real reader, and with programs in its
 * place that do not keep to the protocol. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "husk/husk.h"
#include "tests/harness/fat_image.h"

static struct husk_image_options options;
static struct husk_image_kernel found;
static struct husk_error err;

static int find(void)
{
    found = (struct husk_image_kernel)HUSK_IMAGE_KERNEL_INIT;
    memset(&err, 0, sizeof(err));
    return husk_image_find_kernel(&options, &found, &err);
}

/* A descriptor for reading alone of a disk with or without a kernel. */
static int make_disk(bool has_kernel)
{
    struct fat_image image;
    char path[32];
    size_t root;
    int fd, read_only;

    fat_image_make(&image, 12);
    root = image.root_at;
    if (has_kernel) {
        fat_image_add(&image, &root, "vmlinuz-1", "kernel", 6);
        fat_image_add(&image, &root, "initrd.img-1", "initrd!", 7);
    }
    fd = memory_file(image.bytes, image.size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    read_only = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(read_only >= 0);
    close(fd);
    fat_image_release(&image);
    return read_only;
}

static int reset(void **state)
{
    options = (struct husk_image_options)HUSK_IMAGE_OPTIONS_INIT;
    return 0;
}

static void test_found(void **state)
{
    char bytes[16];

    options.fd = make_disk(true);
    assert_int_equal(find(), 0);
    assert_int_equal(pread(found.kernel_fd, bytes, sizeof(bytes), 0), 6);
    assert_memory_equal(bytes, "kernel", 6);
    assert_int_equal(pread(found.initrd_fd, bytes, sizeof(bytes), 0), 7);
    /* Nobody changes them any more. */
    assert_int_equal(write(found.kernel_fd, "x", 1), -1);
    assert_int_equal(ftruncate(found.initrd_fd, 0), -1);
    assert_string_equal(found.found, "the whole disk (vfat): /vmlinuz-1");
    husk_image_kernel_release(&found);
    assert_int_equal(found.kernel_fd, -1);
    husk_image_kernel_release(&found);
    close(options.fd);
}

static void test_not_found(void **state)
{
    options.fd = make_disk(false);
    assert_int_equal(find(), -ENOENT);
    assert_int_equal(found.kernel_fd, -1);
    assert_non_null(strstr(found.looked_at, "the whole disk (vfat): no "));
    close(options.fd);
}

static void test_bad_options(void **state)
{
    int fd = make_disk(true);

    assert_int_equal(find(), -EINVAL);
    options.path = "/dev/zero";
    options.fd = fd;
    assert_int_equal(find(), -EINVAL);
    options.fd = -1;
    assert_true(find() < 0); /* no disk */
    options.path = "/does/not/exist";
    assert_int_equal(find(), -ENOENT);
    assert_string_equal(err.where, "/does/not/exist");
    assert_string_equal(found.looked_at, "");
    options.path = NULL;
    options.fd = memory_file("writable", 8);
    assert_int_equal(find(), -EBADF);
    close(options.fd);
    options.fd = fd;
    options.size = 0;
    assert_true(find() < 0);
    options.size = sizeof(options);
    assert_int_equal(husk_image_find_kernel(&options, NULL, &err), -EINVAL);
    found.size = 0;
    assert_int_equal(husk_image_find_kernel(&options, &found, &err), -EINVAL);
    close(fd);
}

/* A VM that writes the disk locks it. */
static void test_locked(void **state)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[] = "/tmp/husk-image-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    options.path = path;
    assert_int_equal(find(), -ENOENT);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_int_equal(find(), -EBUSY);
    close(fd);
    unlink(path);
}

static void test_other_programs(void **state)
{
    options.fd = make_disk(true);
    options.reader_path = "/does/not/exist";
    assert_int_equal(find(), -ENOENT);
    assert_string_equal(err.where, "/does/not/exist");
    assert_string_equal(found.looked_at, "");
    options.reader_path = "/bin/true";
    assert_int_equal(find(), -EIO);
    assert_string_equal(err.why, "the reader failed: it ended with status 0");
    close(options.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_found, reset),
        cmocka_unit_test_setup(test_not_found, reset),
        cmocka_unit_test_setup(test_bad_options, reset),
        cmocka_unit_test_setup(test_locked, reset),
        cmocka_unit_test_setup(test_other_programs, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
