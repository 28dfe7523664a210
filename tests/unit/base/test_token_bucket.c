// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/token_bucket.h"

#define SECOND 1000000000ull

static void test_unlimited(void **state)
{
    struct token_bucket b;
    uint64_t wait;

    token_bucket_init(&b, 0, 0, 5);
    for (int i = 0; i < 100; i++)
        assert_true(token_bucket_take(&b, UINT64_MAX, 5, &wait));
}

static void test_rate_is_kept(void **state)
{
    struct token_bucket b;
    uint64_t now = 1000, wait = 0, taken = 0;

    token_bucket_init(&b, 1000, 10, now);
    while (now < 1000 + 10 * SECOND) {
        if (token_bucket_take(&b, 1, now, &wait)) {
            taken++;
        } else {
            assert_true(wait >= 1 && wait <= SECOND / 1000);
            now += wait;
        }
    }
    /* ten seconds' worth plus the initial burst, within one token */
    assert_in_range(taken, 10 * 1000 + 9, 10 * 1000 + 11);
}

static void test_slow_rate_adds_up_over_many_questions(void **state)
{
    struct token_bucket b;
    uint64_t wait, now = 0;
    unsigned taken = 0;

    token_bucket_init(&b, 1, 1, 0);
    assert_true(token_bucket_take(&b, 1, 0, &wait));
    for (; now <= 3 * SECOND; now += SECOND / 1000)
        taken += token_bucket_take(&b, 1, now, &wait);
    assert_int_equal(taken, 3);
}

static void test_large_request_goes_into_debt(void **state)
{
    struct token_bucket b;
    uint64_t wait;

    token_bucket_init(&b, 100, 100, 0);
    assert_true(token_bucket_take(&b, 1000, 0, &wait)); /* 900 owed: 9 s, then 1 token: 10 ms */
    assert_false(token_bucket_take(&b, 1, 0, &wait));
    assert_int_equal(wait, 9 * SECOND + SECOND / 100);
    assert_false(token_bucket_take(&b, 1, 9 * SECOND, &wait));
    assert_true(token_bucket_take(&b, 1, 9 * SECOND + SECOND / 100, &wait));
}

static void test_extremes_do_not_wrap(void **state)
{
    struct token_bucket b;
    uint64_t wait;

    token_bucket_init(&b, UINT64_MAX, UINT64_MAX, 0);
    assert_true(token_bucket_take(&b, UINT64_MAX, 0, &wait));
    token_bucket_take(&b, UINT64_MAX, UINT64_MAX, &wait);
    token_bucket_init(&b, 1, 1, UINT64_MAX);
    assert_true(token_bucket_take(&b, UINT64_MAX, UINT64_MAX, &wait));
    assert_false(token_bucket_take(&b, UINT64_MAX, UINT64_MAX, &wait));
    assert_true(wait >= 1);
    /* a clock that goes backwards neither earns nor crashes */
    assert_false(token_bucket_take(&b, 1, 0, &wait));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unlimited),
        cmocka_unit_test(test_rate_is_kept),
        cmocka_unit_test(test_slow_rate_adds_up_over_many_questions),
        cmocka_unit_test(test_large_request_goes_into_debt),
        cmocka_unit_test(test_extremes_do_not_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
