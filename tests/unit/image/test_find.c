// SPDX-License-Identifier: Apache-2.0
/* image/find.c and find_ways.c: the search, on a disk that is one FAT file system. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/find.h"
#include "tests/harness/fat_image.h"

struct found {
    struct image_answer answer;
    char kernel[64], initrd[64];
    ssize_t kernel_len, initrd_len;
};

static struct found found;
static struct fat_image image;
static size_t root;

static void make(void)
{
    fat_image_make(&image, 12);
    root = image.root_at;
}

static void add(size_t *dir, const char *name, const char *content)
{
    fat_image_add(&image, dir, name, content, strlen(content));
}

static int search(void)
{
    int disk = memory_file(image.bytes, image.size);
    int kernel = memory_file("left over", 9), initrd = memory_file("left over", 9);
    struct image_source source = {.fd = disk, .size = image.size};
    int ret;

    memset(&found, 0, sizeof(found));
    ret = image_find_kernel(&source, 512, kernel, initrd, &found.answer);
    assert_int_equal(ret, -found.answer.error);
    found.kernel_len = pread(kernel, found.kernel, sizeof(found.kernel) - 1, 0);
    found.initrd_len = pread(initrd, found.initrd, sizeof(found.initrd) - 1, 0);
    close(disk);
    close(kernel);
    close(initrd);
    fat_image_release(&image);
    return ret;
}

static void test_newest_file(void **state)
{
    make();
    add(&root, "vmlinuz-1.9", "old");
    add(&root, "vmlinuz-1.10", "new");
    add(&root, "vmlinuz-1.11.old", "aside");
    add(&root, "initramfs-1.10.img", "its initrd");
    assert_int_equal(search(), 0);
    assert_string_equal(found.kernel, "new");
    assert_string_equal(found.initrd, "its initrd");
    assert_string_equal(found.answer.found, "the whole disk (vfat): /vmlinuz-1.10");
    assert_string_equal(found.answer.command_line, "");
}

static void test_entry_before_file(void **state)
{
    size_t loader, entries;

    make();
    add(&root, "vmlinuz-9", "a file");
    add(&root, "k", "named");
    loader = fat_image_add_directory(&image, &root, "loader");
    add(&loader, "loader.conf", "default mine-*\n");
    entries = fat_image_add_directory(&image, &loader, "entries");
    add(&entries, "mine-1.conf", "linux /k\noptions root=/dev/vda3 a\n");
    add(&entries, "other-2.conf", "linux /vmlinuz-9\n");
    assert_int_equal(search(), 0);
    assert_string_equal(found.kernel, "named");
    assert_int_equal(found.initrd_len, 0);
    assert_string_equal(found.answer.command_line, "root=/dev/vda3 a");
}

/* A way that ends half-way leaves nothing behind for the next. */
static void test_next_way(void **state)
{
    size_t loader, entries;

    make();
    add(&root, "vmlinuz", "the last resort");
    add(&root, "kernel", "of the entry");
    loader = fat_image_add_directory(&image, &root, "loader");
    entries = fat_image_add_directory(&image, &loader, "entries");
    add(&entries, "a.conf", "linux /kernel\ninitrd /gone\n");
    assert_int_equal(search(), 0);
    assert_string_equal(found.kernel, "the last resort");
    assert_int_equal(found.initrd_len, 0);
    assert_non_null(strstr(found.answer.looked_at, "/gone: is not there"));
}

static void test_nothing(void **state)
{
    make();
    add(&root, "readme", "x");
    assert_int_equal(search(), -ENOENT);
    assert_int_equal(found.kernel_len, 0);
    assert_int_equal(found.initrd_len, 0);
    assert_string_equal(found.answer.looked_at,
                        "the whole disk (vfat): no /EFI/Linux/*.efi, no /loader/entries/*.conf, "
                        "no grub.cfg in /grub, /grub2 or below /boot, no /boot/vmlinuz* and no "
                        "/vmlinuz*");
}

/* What is on the disk commands no terminal. */
static void test_printable(void **state)
{
    make();
    add(&root, "vmlinuz-\033[2J", "k");
    assert_int_equal(search(), 0);
    assert_null(strchr(found.answer.found, '\033'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_file), cmocka_unit_test(test_entry_before_file),
        cmocka_unit_test(test_next_way),    cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
