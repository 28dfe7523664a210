// SPDX-License-Identifier: Apache-2.0
/* boot/decompress.c: whole, truncated, corrupt and oversized streams of both formats. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "boot/internal.h"
#include "tests/harness/image_builder.h"

#define PLAIN_BYTES 300000u
#define LIMIT       (1u << 20)

static const struct {
    enum boot_compression compression;
    void (*compress)(struct image_builder *image);
    const char *name;
} formats[] = {
    {BOOT_COMPRESSION_GZIP, image_gzip, "gzip"},
    {BOOT_COMPRESSION_ZSTD, image_zstd, "zstd"},
};

struct result {
    int r;
    struct boot_image out;
    char message[640];
};

static struct result decompress(const struct image_builder *image, size_t bytes, size_t format,
                                uint64_t limit)
{
    struct image_builder cut = {.bytes = image->bytes, .size = bytes};
    int fd = image_memfd(&cut);
    struct boot_image in = {.name = "kernel", .fd = fd, .size = bytes};
    struct result result = {0};
    struct husk_error err = {0};

    result.r = boot_decompress(&in, formats[format].compression, limit, &result.out, &err);
    error_format(&err, result.message, sizeof(result.message));
    close_fd(&fd);
    return result;
}

static void test_whole(void **state)
{
    for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
        struct image_builder image = {0};
        struct result result;

        image_put_pattern(&image, 0, PLAIN_BYTES);
        formats[f].compress(&image);
        result = decompress(&image, image.size, f, LIMIT);
        assert_int_equal(result.r, 0);
        assert_int_equal(result.out.size, PLAIN_BYTES);
        for (size_t i = 0; i < PLAIN_BYTES; i++)
            assert_int_equal(result.out.bytes[i], image_pattern(i));
        boot_image_close(&result.out);
        assert_null(result.out.bytes);
        image_free(&image);
    }
}

/* The limit is exact: as many bytes are fine, one more is not. */
static void test_limit(void **state)
{
    for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
        struct image_builder image = {0};
        struct result result;

        image_put_pattern(&image, 0, LIMIT);
        formats[f].compress(&image);
        result = decompress(&image, image.size, f, LIMIT);
        assert_int_equal(result.r, 0);
        boot_image_close(&result.out);
        result = decompress(&image, image.size, f, LIMIT - 1);
        assert_int_equal(result.r, -ENOMEM);
        assert_non_null(strstr(result.message, "unpacks to more than"));
        image_free(&image);
    }
}

/* 64 MiB of zeros in a few KiB: refused after the limit, not after 64 MiB. */
static void test_bomb(void **state)
{
    for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
        struct image_builder image = {0};
        struct result result;

        image_put(&image, (64u << 20) - 1, "", 1);
        formats[f].compress(&image);
        assert_true(image.size < 600000);
        result = decompress(&image, image.size, f, LIMIT);
        assert_int_equal(result.r, -ENOMEM);
        assert_null(result.out.bytes);
        image_free(&image);
    }
}

static void test_truncated_anywhere(void **state)
{
    for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
        struct image_builder image = {0};

        image_put_pattern(&image, 0, 5000);
        formats[f].compress(&image);
        for (size_t size = 1; size < image.size; size++) {
            struct result result = decompress(&image, size, f, LIMIT);

            assert_int_equal(result.r, -ENOEXEC);
            assert_non_null(strstr(result.message, "truncated"));
            assert_non_null(strstr(result.message, formats[f].name));
        }
        image_free(&image);
    }
}

static void test_corrupt(void **state)
{
    for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
        struct image_builder image = {0};
        struct result result;

        image_put_pattern(&image, 0, PLAIN_BYTES);
        formats[f].compress(&image);
        image.bytes[2] ^= 0xff;
        result = decompress(&image, image.size, f, LIMIT);
        assert_int_equal(result.r, -ENOEXEC);
        assert_non_null(strstr(result.message, "corrupt"));
        image_free(&image);
    }
}

/* gzip's trailer is checked: one changed bit of the sum is found. */
static void test_checksum(void **state)
{
    struct image_builder image = {0};
    struct result result;

    image_put_pattern(&image, 0, PLAIN_BYTES);
    image_gzip(&image);
    image.bytes[image.size - 8] ^= 1;
    result = decompress(&image, image.size, 0, LIMIT);
    assert_int_equal(result.r, -ENOEXEC);
    assert_non_null(strstr(result.message, "corrupt"));
    image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),   cmocka_unit_test(test_limit),
        cmocka_unit_test(test_bomb),    cmocka_unit_test(test_truncated_anywhere),
        cmocka_unit_test(test_corrupt), cmocka_unit_test(test_checksum),
    };

    return cmocka_run_group_tests_name("boot/decompress", tests, NULL, NULL);
}
