// SPDX-License-Identifier: Apache-2.0
/* image/partitions.c: an MBR made by hand, and disks without one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "image/partitions.h"
#include "tests/harness/fat_image.h"

static uint8_t bytes[256 * 512];
static struct image_disk disk;

static void put_entry(unsigned index, uint8_t type, uint32_t start, uint32_t sectors)
{
    uint8_t *entry = bytes + 446 + (size_t)index * 16;

    entry[4] = type;
    put_le32(entry + 8, start);
    put_le32(entry + 12, sectors);
}

static void make(void)
{
    memset(bytes, 0, sizeof(bytes));
    put_le32(bytes + 440, 0x12345678);
    put_le16(bytes + 510, 0xaa55);
}

static void read_disk(void)
{
    int fd = memory_file(bytes, sizeof(bytes));
    struct image_source source = {.fd = fd, .size = sizeof(bytes)};

    assert_int_equal(image_disk_read(&source, 512, &disk), 0);
    close(fd);
}

static void test_mbr(void **state)
{
    make();
    put_entry(0, 0x83, 8, 16);
    put_entry(2, 0x83, 32, 200);
    memcpy(bytes + 32 * 512 + 4086, "SWAPSPACE2", 10);
    put_le32(bytes + 32 * 512 + 1024, 1);
    put_le32(bytes + 32 * 512 + 1028, 2);
    read_disk();
    assert_string_equal(disk.table, "dos");
    assert_int_equal(disk.count, 2);
    assert_int_equal(disk.partitions[0].number, 1);
    assert_int_equal(disk.partitions[0].bytes.offset, 8 * 512);
    assert_string_equal(disk.partitions[0].content, "");
    assert_string_equal(disk.partitions[1].id, "12345678-03");
    assert_string_equal(disk.partitions[1].content, "swap");
    assert_string_equal(disk.partitions[1].kind, "");
}

static void test_outside(void **state)
{
    make();
    put_entry(0, 0x83, 250, 16);
    put_entry(1, 0x83, 8, 8);
    read_disk();
    for (unsigned i = 0; i < disk.count; i++)
        assert_true(disk.partitions[i].bytes.offset + disk.partitions[i].bytes.size <=
                    sizeof(bytes));
}

static void test_no_table(void **state)
{
    memset(bytes, 0, sizeof(bytes));
    read_disk();
    assert_string_equal(disk.table, "");
    assert_int_equal(disk.count, 1);
    assert_int_equal(disk.partitions[0].number, 0);
    assert_int_equal(disk.partitions[0].bytes.size, sizeof(bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mbr), cmocka_unit_test(test_outside),
                                       cmocka_unit_test(test_no_table)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
