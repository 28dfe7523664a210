// SPDX-License-Identifier: Apache-2.0
/* boot/image.c: bounds of reads, and that mapping and copying give the same guest memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "boot/internal.h"
#include "tests/harness/boot_fixture.h"
#include "tests/harness/image_builder.h"

#define MEMORY_BYTES (4u << 20)
#define FILE_BYTES   300001u

struct fixture {
    struct boot_fixture boot;
    struct image_builder builder;
    struct boot_image image;
    int fd;
};

static int setup(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){0};
    boot_fixture_setup(&fixture.boot, MEMORY_BYTES, GUEST_MEMORY_PRIVATE);
    image_put_pattern(&fixture.builder, 0, FILE_BYTES);
    fixture.fd = image_memfd(&fixture.builder);
    assert_int_equal(boot_image_open(&fixture.image, fixture.fd, "kernel", "", NULL), 0);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    boot_image_close(&fixture->image);
    close_fd(&fixture->fd);
    image_free(&fixture->builder);
    boot_fixture_teardown(&fixture->boot);
    return 0;
}

static void test_reads_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    uint8_t buf[16];

    assert_int_equal(boot_image_read(&fixture->image, FILE_BYTES - 16, buf, 16), 0);
    assert_int_equal(buf[15], image_pattern(FILE_BYTES - 1));
    assert_int_equal(boot_image_read(&fixture->image, FILE_BYTES, buf, 0), 0);
    assert_int_equal(boot_image_read(&fixture->image, FILE_BYTES - 15, buf, 16), -ENODATA);
    assert_int_equal(boot_image_read(&fixture->image, FILE_BYTES + 1, buf, 0), -ENODATA);
    assert_int_equal(boot_image_read(&fixture->image, UINT64_MAX, buf, 2), -ENODATA);
    /* the file shrinks behind our back */
    assert_int_equal(ftruncate(fixture->fd, 100), 0);
    assert_int_equal(boot_image_read(&fixture->image, 96, buf, 16), -ENODATA);
}

/* Whatever the alignment and size: the right bytes, and nothing beside them. */
static void test_place(void **state)
{
    static const struct {
        uint64_t offset, address, len;
    } cases[] = {
        {0, 0x100000, FILE_BYTES},
        {0, 0x100000, 0x10000},
        {0, 0x100000, 0xffff},
        {0x1000, 0x100000, 0x20000},
        {0x123, 0x100123, 0x20000},
        {0xfff, 0x100fff, 0x10002},
        {0x123, 0x100124, 0x20000},
        {1, 0x100000, 0x20000},
        {5, 0x100000, 1},
        {FILE_BYTES - 0x10000, 0x200000 + ((FILE_BYTES - 0x10000) & 0xfff), 0x10000},
        {5, 0x100000, 0},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t *memory =
            guest_memory_at(fixture->boot.memory, gpa(cases[i].address - 64), cases[i].len + 128);

        memset(memory, 0xee, cases[i].len + 128);
        assert_int_equal(boot_image_place(&fixture->image, cases[i].offset, fixture->boot.memory,
                                          gpa(cases[i].address), cases[i].len),
                         0);
        for (uint64_t at = 0; at < cases[i].len + 128; at++) {
            bool inside = at >= 64 && at < cases[i].len + 64;

            assert_int_equal(memory[at], inside ? image_pattern(cases[i].offset + at - 64) : 0xee);
        }
    }
}

/* What a guest writes stays in the guest: the file is never changed. */
static void test_mapping_is_private(void **state)
{
    struct fixture *fixture = *state;
    uint8_t byte;

    assert_int_equal(
        boot_image_place(&fixture->image, 0, fixture->boot.memory, gpa(0x100000), FILE_BYTES), 0);
    memset(guest_memory_at(fixture->boot.memory, gpa(0x100000), FILE_BYTES), 0, FILE_BYTES);
    for (uint64_t at = 0; at < FILE_BYTES; at += 1000) {
        assert_int_equal(pread_full(fixture->fd, &byte, 1, at), 0);
        assert_int_equal(byte, image_pattern(at));
    }
}

static void test_place_outside(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(boot_image_place(&fixture->image, 0, fixture->boot.memory,
                                      gpa(MEMORY_BYTES - 0x10000), 0x10001),
                     -EFAULT);
    assert_int_equal(
        boot_image_place(&fixture->image, 0, fixture->boot.memory, gpa(MEMORY_BYTES), 1), -EFAULT);
    assert_int_equal(
        boot_image_place(&fixture->image, 1, fixture->boot.memory, gpa(0x100000), FILE_BYTES),
        -ENODATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mapping_is_private, setup, teardown),
        cmocka_unit_test_setup_teardown(test_place_outside, setup, teardown),
    };

    return cmocka_run_group_tests_name("boot/image", tests, NULL, NULL);
}
