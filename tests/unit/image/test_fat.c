// SPDX-License-Identifier: Apache-2.0
/* image/fat.c: FAT12, FAT16 and FAT32, and what is wrong with them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "image/filesystem.h"
#include "tests/harness/fat_image.h"

#define LONG_NAME "a-file-whose-name-is-rather-long.conf"

struct opened {
    struct fat_image image;
    size_t long_entry;
    char content[1500];
    int fd;
    struct image_filesystem *fs;
};

static int reopen(struct opened *o)
{
    struct image_source source;

    image_filesystem_close(o->fs);
    o->fs = NULL;
    if (o->fd >= 0)
        close(o->fd);
    o->fd = memory_file(o->image.bytes, o->image.size);
    source = (struct image_source){.fd = o->fd, .size = o->image.size};
    return image_fat_open(&source, &o->fs);
}

static void make(struct opened *o, unsigned bits)
{
    size_t root, sub;

    memset(o, 0, sizeof(*o));
    o->fd = -1;
    for (size_t i = 0; i < sizeof(o->content); i++)
        o->content[i] = (char)('a' + i % 23);
    fat_image_make(&o->image, bits);
    root = o->image.root_at;
    if (bits == 32) /* the root is the first chain */
        root = o->image.data_at;
    o->long_entry = fat_image_add(&o->image, &root, LONG_NAME, o->content, sizeof(o->content));
    sub = fat_image_add_directory(&o->image, &root, "Sub");
    fat_image_add(&o->image, &sub, "inner", "inner text", 10);
    fat_image_add(&o->image, &root, "empty", "", 0);
    assert_int_equal(reopen(o), 0);
}

static void release(struct opened *o)
{
    image_filesystem_close(o->fs);
    close(o->fd);
    fat_image_release(&o->image);
}

static void test_files(void **state)
{
    static const unsigned bits[] = {12, 16, 32};

    for (unsigned i = 0; i < 3; i++) {
        struct opened o;
        uint64_t size;
        char *text;

        make(&o, bits[i]);
        assert_int_equal(image_file_text(o.fs, "/" LONG_NAME, &text), 0);
        assert_int_equal(strlen(text), sizeof(o.content));
        assert_memory_equal(text, o.content, sizeof(o.content));
        free(text);
        assert_int_equal(image_file_text(o.fs, "//sub///INNER", &text), 0);
        assert_string_equal(text, "inner text");
        free(text);
        assert_int_equal(image_file_size(o.fs, "/empty", &size), 0);
        assert_int_equal(size, 0);
        assert_int_equal(image_file_size(o.fs, "/none", &size), -ENOENT);
        assert_int_equal(image_file_size(o.fs, "/empty/x", &size), -ENOENT);
        assert_int_equal(image_file_size(o.fs, "/Sub", &size), -EISDIR);
        release(&o);
    }
}

struct names {
    unsigned count;
    char all[256];
};

static bool note(void *arg, const char *name)
{
    struct names *names = arg;

    names->count++;
    strcat(strcat(names->all, name), " ");
    return names->count < 10;
}

static void test_list(void **state)
{
    struct names names = {0};
    struct opened o;

    make(&o, 16);
    assert_int_equal(image_list(o.fs, "/", note, &names), 0);
    assert_string_equal(names.all, LONG_NAME " Sub empty ");
    assert_int_equal(image_list(o.fs, "/empty", note, &names), -ENOTDIR);
    assert_int_equal(image_list(o.fs, "/none", note, &names), -ENOENT);
    release(&o);
}

/* A long name that does not belong to its short one is none. */
static void test_short_names(void **state)
{
    struct names names = {0};
    struct opened o;

    make(&o, 12);
    memcpy(o.image.bytes + o.long_entry, "KERNEL  IMG", 11);
    assert_int_equal(reopen(&o), 0);
    assert_int_equal(image_list(o.fs, "/", note, &names), 0);
    assert_string_equal(names.all, "kernel.img Sub empty ");
    release(&o);
}

static int text_of(struct opened *o)
{
    char *text;
    int ret = reopen(o);

    if (!ret)
        ret = image_file_text(o->fs, "/" LONG_NAME, &text);
    if (!ret)
        free(text);
    return ret;
}

/* Chains that loop, end early, or lead nowhere. */
static void test_bad_chains(void **state)
{
    struct opened o;
    uint16_t first;

    make(&o, 16);
    first = get_le16(o.image.bytes + o.long_entry + 26);
    put_le16(o.image.bytes + o.image.table_at + (size_t)first * 2, 0xffff);
    assert_int_equal(text_of(&o), -EIO); /* shorter than its size */
    put_le16(o.image.bytes + o.image.table_at + (size_t)first * 2, 60000);
    assert_int_equal(text_of(&o), -EIO);
    put_le16(o.image.bytes + o.image.table_at + (size_t)first * 2, 0);
    assert_int_equal(text_of(&o), -EIO);
    put_le16(o.image.bytes + o.image.table_at + (size_t)first * 2, first);
    put_le32(o.image.bytes + o.long_entry + 28, UINT32_MAX);
    assert_int_equal(text_of(&o), -EFBIG);
    assert_int_equal(reopen(&o), 0);
    put_le16(o.image.bytes + o.long_entry + 26, 1);
    put_le32(o.image.bytes + o.long_entry + 28, 100);
    assert_int_equal(text_of(&o), -EIO);
    release(&o);
}

/* A directory that contains itself for ever ends all the same. */
static void test_looping_directory(void **state)
{
    struct opened o;
    uint64_t size;
    uint32_t root;

    make(&o, 32);
    root = get_le32(o.image.bytes + 44);
    /* Full of deleted entries, and its own successor. */
    memset(o.image.bytes + o.image.data_at, 0xe5, FAT_IMAGE_SECTOR);
    put_le32(o.image.bytes + o.image.table_at + (size_t)root * 4, root);
    assert_int_equal(reopen(&o), 0);
    assert_int_equal(image_file_size(o.fs, "/none", &size), -ENOENT);
    release(&o);
}

static void test_bad_geometry(void **state)
{
    static const struct {
        unsigned at, len;
        uint32_t value;
    } cases[] = {
        {11, 2, 0},      {11, 2, 513},  {11, 2, 8192},   {13, 1, 0}, {13, 1, 3},
        {13, 1, 0x80},   {14, 2, 0},    {16, 1, 0},      {22, 2, 0}, {19, 2, 1},
        {14, 2, 0xffff}, {22, 2, 1000}, {19, 2, 0xffff},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct opened o;

        make(&o, 12);
        put_le_sized(o.image.bytes + cases[i].at, cases[i].len, cases[i].value);
        if (reopen(&o) == 0 && !(cases[i].at == 13 && cases[i].value == 0x80))
            fail_msg("bytes at %u: %u", cases[i].at, cases[i].value);
        release(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_short_names),
        cmocka_unit_test(test_bad_chains),
        cmocka_unit_test(test_looping_directory),
        cmocka_unit_test(test_bad_geometry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
