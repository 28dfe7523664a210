// SPDX-License-Identifier: Apache-2.0
/* image/ext.c: file systems that mke2fs makes, and what is left of them when bytes are spoiled. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image/filesystem.h"

static const char make_image[] =
    "set -e; cd \"$HUSK_TEST_DIRECTORY\"; PATH=$PATH:/usr/sbin:/sbin; mkdir -p tree/boot/sub;"
    "printf 'a kernel' > tree/boot/vmlinuz-1; ln -s boot/vmlinuz-1 tree/vmlinuz;"
    "ln -s loop tree/loop; ln -s /boot tree/b; : > tree/empty; mkfifo tree/fifo;"
    "truncate -s 100000 tree/holes;"
    "truncate -s 4M image; mke2fs -q -F -t ext4 -d tree image >/dev/null 2>&1";

static char directory[] = "/tmp/husk-ext-XXXXXX";
static struct image_source source = {.fd = -1};

static int make(void **state)
{
    char path[64];

    if (!mkdtemp(directory) || setenv("HUSK_TEST_DIRECTORY", directory, 1))
        return -1;
    if (system(make_image)) { /* NOLINT(cert-env33-c) */
        print_message("skipped: ext: mke2fs (e2fsprogs) cannot make the image\n");
        return 0;
    }
    snprintf(path, sizeof(path), "%s/image", directory);
    source.fd = open(path, O_RDWR | O_CLOEXEC);
    source.size = 4u << 20;
    return source.fd < 0 ? -1 : 0;
}

static int clean(void **state)
{
    if (source.fd >= 0)
        close(source.fd);
    return system("rm -rf \"$HUSK_TEST_DIRECTORY\""); /* NOLINT(cert-env33-c) */
}

static struct image_filesystem *opened(void)
{
    struct image_filesystem *fs = NULL;

    if (source.fd < 0)
        skip();
    assert_int_equal(image_filesystem_open(&source, "ext4", &fs), 0);
    return fs;
}

static void test_files(void **state)
{
    static const char *const same[] = {"/boot/vmlinuz-1", "/vmlinuz", "//b//vmlinuz-1"};
    struct image_filesystem *fs = opened();
    uint64_t size;
    char *text;

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(image_file_text(fs, same[i], &text), 0);
        assert_string_equal(text, "a kernel");
        free(text);
    }
    assert_int_equal(image_file_size(fs, "/empty", &size), 0);
    assert_int_equal(size, 0);
    assert_int_equal(image_file_text(fs, "/holes", &text), 0);
    assert_int_equal(strlen(text), 100000); /* zeros, which a text cannot hold */
    free(text);
    assert_int_equal(image_file_size(fs, "/none", &size), -ENOENT);
    assert_int_equal(image_file_size(fs, "/empty/x", &size), -ENOENT);
    assert_int_equal(image_file_size(fs, "/boot", &size), -EISDIR);
    assert_int_equal(image_file_size(fs, "/fifo", &size), -EINVAL);
    assert_true(image_file_size(fs, "/loop", &size) < 0);
    image_filesystem_close(fs);
}

static bool count(void *arg, const char *name)
{
    unsigned *n = arg;

    assert_string_not_equal(name, ".");
    return ++*n < 100;
}

static void test_list(void **state)
{
    struct image_filesystem *fs = opened();
    unsigned n = 0;

    assert_int_equal(image_list(fs, "/boot", count, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(image_list(fs, "/empty", count, &n), -ENOTDIR);
    assert_int_equal(image_list(fs, "/none", count, &n), -ENOENT);
    image_filesystem_close(fs);
}

/* No byte of the superblock or the first tables makes it crash or read on for ever. */
static void test_spoiled(void **state)
{
    image_filesystem_close(opened());
    for (unsigned at = 1024; at < 1024 + 264; at += 3) {
        struct image_filesystem *fs = NULL;
        unsigned n = 0;
        uint8_t was, bad = 0xff;
        char *text;

        assert_int_equal(pread(source.fd, &was, 1, at), 1);
        assert_int_equal(pwrite(source.fd, &bad, 1, at), 1);
        if (image_filesystem_open(&source, "ext4", &fs) == 0) {
            image_list(fs, "/boot", count, &n);
            if (image_file_text(fs, "/vmlinuz", &text) == 0)
                free(text);
            image_filesystem_close(fs);
        }
        assert_int_equal(pwrite(source.fd, &was, 1, at), 1);
    }
}

static void test_nothing(void **state)
{
    struct image_source none = source;
    struct image_filesystem *fs;

    image_filesystem_close(opened());
    none.size = 512;
    assert_true(image_filesystem_open(&none, "ext4", &fs) < 0);
    none.size = 1u << 20; /* cut: what lies behind is an error when it is read */
    if (image_filesystem_open(&none, "ext4", &fs) == 0)
        image_filesystem_close(fs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_list),
                                       cmocka_unit_test(test_spoiled),
                                       cmocka_unit_test(test_nothing)};

    return cmocka_run_group_tests(tests, make, clean);
}
