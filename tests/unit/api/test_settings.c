// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "vmm/api/settings.h"

static struct bucket_settings bucket(uint64_t size, uint64_t refill_time)
{
    return (struct bucket_settings){
        .given = true, .size = {true, size}, .refill_time = {true, refill_time}};
}

static void expect_rate(struct bucket_settings settings, uint64_t per_second, uint64_t burst)
{
    struct husk_rate rate = rate_of_bucket(&settings);

    assert_true(rate.per_second == per_second);
    assert_true(rate.burst == burst);
}

static void test_rate(void **state)
{
    expect_rate(bucket(1000, 1000), 1000, 1000);
    expect_rate(bucket(1 << 20, 100), 10 << 20, 1 << 20);
    /* Slower than one a second is rounded up: a limit, never a stop. */
    expect_rate(bucket(1, 3600000), 1, 1);
    expect_rate(bucket(10, 3000), 4, 10);
}

static void test_no_rate(void **state)
{
    struct bucket_settings absent = {0};

    expect_rate(absent, 0, 0);
    expect_rate(bucket(0, 1000), 0, 0);
    expect_rate(bucket(1000, 0), 0, 0);
}

static void test_rate_does_not_wrap(void **state)
{
    expect_rate(bucket(INT64_MAX, 1), UINT64_MAX, INT64_MAX);
    expect_rate(bucket(INT64_MAX, INT64_MAX), 1000, INT64_MAX);
    expect_rate(bucket(1, INT64_MAX), 1, 1);
}

static void test_burst_once_is_not_kept(void **state)
{
    struct bucket_settings settings = bucket(100, 1000);

    settings.one_time_burst = (struct json_number){true, 5000};
    expect_rate(settings, 100, 100);
}

static void test_device_ids(void **state)
{
    static const char *const good[] = {"a", "root_drive", "0", "_", "eth0"};
    static const char *const bad[] = {"", "a-b", "a/b", "a b", "\xc3\xa4", "..", "a\n"};
    char long_id[API_ID_MAX + 2];
    struct api_fault fault;

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++)
        assert_int_equal(check_device_id(good[i], &fault), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_not_equal(check_device_id(bad[i], &fault), 0);
    memset(long_id, 'x', sizeof(long_id));
    long_id[API_ID_MAX + 1] = '\0';
    assert_int_not_equal(check_device_id(long_id, &fault), 0);
    long_id[API_ID_MAX] = '\0';
    assert_int_equal(check_device_id(long_id, &fault), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_no_rate),
        cmocka_unit_test(test_rate_does_not_wrap),
        cmocka_unit_test(test_burst_once_is_not_kept),
        cmocka_unit_test(test_device_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
