// SPDX-License-Identifier: Apache-2.0
/* image/uki.c: sections of EFI programs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "image/uki.h"
#include "tests/harness/fat_image.h"

#define TABLE_AT 88u /* behind 64 bytes of DOS header and 24 of COFF */

static uint8_t file[1024];
static struct uki uki;

static void put_section(unsigned index, const char *name, const char *content, uint32_t at)
{
    uint8_t *raw = file + TABLE_AT + (size_t)index * 40;

    memset(raw, 0, 40);
    memcpy(raw, name, strlen(name));
    put_le32(raw + 8, (uint32_t)strlen(content));
    put_le32(raw + 16, (uint32_t)strlen(content) + 8); /* padded in the file */
    put_le32(raw + 20, at);
    memcpy(file + at, content, strlen(content));
}

static void make(unsigned sections)
{
    memset(file, 0, sizeof(file));
    memcpy(file, "MZ", 2);
    put_le32(file + 0x3c, 64);
    memcpy(file + 64, "PE\0\0", 4);
    put_le16(file + 68, 0x8664);
    put_le16(file + 70, (uint16_t)sections);
}

static int parse(size_t len)
{
    int fd = memory_file(file, len);
    struct image_source source = {.fd = fd, .size = len};
    int ret = uki_parse(&source, &uki);

    close(fd);
    return ret;
}

static void test_sections(void **state)
{
    make(5);
    put_section(0, ".osrel", "ID=x", 400);
    put_section(1, ".linux", "kernel", 500);
    put_section(2, ".initrd", "initrd", 600);
    put_section(3, ".cmdline", "root=x\nro \n", 700);
    put_section(4, ".linux", "second", 800);
    assert_int_equal(parse(sizeof(file)), 0);
    assert_int_equal(uki.kernel.offset, 500);
    assert_int_equal(uki.kernel.size, 6);
    assert_int_equal(uki.initrd.offset, 600);
    assert_string_equal(uki.options, "root=x ro");
}

static void test_profiles(void **state)
{
    make(3);
    put_section(0, ".linux", "kernel", 500);
    put_section(1, ".profile", "ID=other", 600);
    put_section(2, ".cmdline", "other", 700);
    assert_int_equal(parse(sizeof(file)), 0);
    assert_string_equal(uki.options, "");
}

static void test_refused(void **state)
{
    make(1);
    put_section(0, ".text", "x", 500);
    assert_int_equal(parse(sizeof(file)), -ENOENT);
    assert_int_equal(parse(10), -EINVAL);
    put_le16(file + 68, 0xaa64);
    assert_int_equal(parse(sizeof(file)), -EINVAL);
    make(2);
    put_section(0, ".linux", "x", 500);
    assert_int_equal(parse(TABLE_AT + 40), -EIO); /* the second section's header is cut */
    make(1);
    put_section(0, ".linux", "kernel", 500);
    assert_int_equal(parse(505), -EIO);
    put_le32(file + 0x3c, 0xfffffff0u);
    assert_int_equal(parse(sizeof(file)), -EINVAL);
}

static void test_long_command_line(void **state)
{
    make(2);
    put_section(0, ".linux", "kernel", 500);
    put_section(1, ".cmdline", "x", 600);
    put_le32(file + TABLE_AT + 48, IMAGE_OPTIONS_MAX);
    put_le32(file + TABLE_AT + 56, IMAGE_OPTIONS_MAX);
    assert_int_equal(parse(sizeof(file)), -EIO);
    {
        static uint8_t large[8192];
        int fd;
        struct image_source source = {.size = sizeof(large)};

        memcpy(large, file, sizeof(file));
        fd = memory_file(large, sizeof(large));
        source.fd = fd;
        assert_int_equal(uki_parse(&source, &uki), -EFBIG);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sections), cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_long_command_line)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
