// SPDX-License-Identifier: Apache-2.0
/* base/pages.c: what is not touched is not there, and what is freed is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/pages.h"

#define PAGES 20u

static unsigned resident(void *pages, size_t bytes)
{
    unsigned char there[PAGES];
    unsigned count = 0;

    assert_int_equal(mincore(pages, bytes, there), 0);
    for (unsigned i = 0; i < PAGES; i++)
        count += there[i] & 1;
    return count;
}

/* However often it has been full before. */
static void test_costs_what_is_touched(void **state)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = PAGES * page - 100;

    for (unsigned round = 0; round < 3; round++) {
        uint8_t *pages = pages_alloc(bytes);

        assert_non_null(pages);
        assert_int_equal((uintptr_t)pages % page, 0);
        assert_int_equal(resident(pages, bytes), 0);
        pages[3 * page] = 1;
        assert_int_equal(resident(pages, bytes), 1);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(pages[i], i == 3 * page);
            pages[i] = 0xff;
        }
        assert_int_equal(resident(pages, bytes), PAGES);
        pages_free(pages, bytes);
    }
}

static void test_free_preserves_errno(void **state)
{
    errno = EXDEV;
    pages_free(NULL, 4096);
    assert_int_equal(errno, EXDEV);
    pages_free((void *)1, 4096); /* which munmap() refuses */
    assert_int_equal(errno, EXDEV);
}

static void test_no_memory(void **state)
{
    assert_null(pages_alloc(SIZE_MAX / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs_what_is_touched),
        cmocka_unit_test(test_free_preserves_errno),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
