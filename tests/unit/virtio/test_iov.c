// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "devices/virtio/queue.h"

#define TOTAL 12u

/* "abc" "defgh" "i" "jkl" in four places, so that no piece lies behind another. */
struct fixture {
    char a[4], b[8], c[4], d[4];
    struct iovec iov[4];
};

static void fill(struct fixture *f)
{
    memcpy(f->a, "abc.", 4);
    memcpy(f->b, "defgh...", 8);
    memcpy(f->c, "i...", 4);
    memcpy(f->d, "jkl.", 4);
    f->iov[0] = (struct iovec){f->a, 3};
    f->iov[1] = (struct iovec){f->b, 5};
    f->iov[2] = (struct iovec){f->c, 1};
    f->iov[3] = (struct iovec){f->d, 3};
}

static void every_part_can_be_read(void **state)
{
    static const char all[] = "abcdefghijkl";
    struct fixture f;

    fill(&f);
    for (size_t skip = 0; skip <= TOTAL + 1; skip++) {
        for (size_t len = 0; len <= TOTAL + 1; len++) {
            size_t left = skip < TOTAL ? TOTAL - skip : 0, expected = len < left ? len : left;
            char out[TOTAL + 2] = {0};

            assert_int_equal(iov_to_buf(f.iov, 4, skip, out, len), expected);
            if (expected)
                assert_memory_equal(out, all + skip, expected);
            assert_int_equal(out[expected], 0);
        }
    }
}

static void every_part_can_be_written_and_nothing_else(void **state)
{
    for (size_t skip = 0; skip <= TOTAL + 1; skip++) {
        for (size_t len = 0; len <= TOTAL + 1; len++) {
            size_t left = skip < TOTAL ? TOTAL - skip : 0, expected = len < left ? len : left;
            char expected_all[] = "abcdefghijkl", out[TOTAL];
            struct fixture f;

            fill(&f);
            assert_int_equal(iov_from_buf(f.iov, 4, skip, "ZZZZZZZZZZZZZZ", len), expected);
            if (expected)
                memset(expected_all + skip, 'Z', expected);
            iov_to_buf(f.iov, 4, 0, out, TOTAL);
            assert_memory_equal(out, expected_all, TOTAL);
            assert_int_equal(f.a[3], '.');
            assert_memory_equal(f.b + 5, "...", 3);
            assert_memory_equal(f.c + 1, "...", 3);
            assert_int_equal(f.d[3], '.');
        }
    }
}

static void slices_are_lists_of_the_same_bytes(void **state)
{
    static const char all[] = "abcdefghijkl";
    struct fixture f;

    fill(&f);
    for (size_t skip = 0; skip <= TOTAL; skip++) {
        for (size_t len = 0; skip + len <= TOTAL; len++) {
            struct iovec out[4];
            char bytes[TOTAL];
            int count = iov_slice(f.iov, 4, skip, len, out, 4);

            assert_true(count >= 0);
            assert_int_equal(iov_to_buf(out, (unsigned)count, 0, bytes, sizeof(bytes)), len);
            if (len)
                assert_memory_equal(bytes, all + skip, len);
            for (int i = 0; i < count; i++)
                assert_true(out[i].iov_len > 0);
        }
    }
}

static void impossible_slices_are_refused(void **state)
{
    struct iovec out[4];
    struct fixture f;

    fill(&f);
    assert_int_equal(iov_slice(f.iov, 4, 0, TOTAL + 1, out, 4), -EINVAL);
    assert_int_equal(iov_slice(f.iov, 4, TOTAL, 1, out, 4), -EINVAL);
    assert_int_equal(iov_slice(f.iov, 4, SIZE_MAX, 1, out, 4), -EINVAL);
    assert_int_equal(iov_slice(f.iov, 4, 2, 5, out, 1), -ENOSPC);
    assert_int_equal(iov_slice(f.iov, 4, 2, 5, out, 2), 2);
    assert_int_equal(iov_slice(f.iov, 0, 0, 0, out, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_can_be_read),
        cmocka_unit_test(every_part_can_be_written_and_nothing_else),
        cmocka_unit_test(slices_are_lists_of_the_same_bytes),
        cmocka_unit_test(impossible_slices_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
