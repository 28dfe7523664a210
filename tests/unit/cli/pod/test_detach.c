// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/checked.h"
#include "cli/pod/detach.h"

static struct detach_filter filter_of(const char *keys)
{
    struct detach_filter filter;

    assert_int_equal(detach_keys_parse(keys, &filter), 0);
    return filter;
}

/* What comes through of `in`, byte by byte and at once; "!" at the end when it detached. */
static void check(const char *keys, const char *in, const char *out)
{
    for (unsigned step = 1; step <= 64; step *= 8) {
        struct detach_filter filter = filter_of(keys);
        uint8_t buffer[64 + DETACH_KEYS_MAX];
        char all[256] = "";
        size_t len = 0;

        for (size_t at = 0; at < strlen(in); at += step) {
            size_t count = min_u64(step, strlen(in) - at);
            bool detached;

            len += detach_filter(&filter, (const uint8_t *)in + at, count, buffer, &detached);
            strncat(all, (char *)buffer, len - strlen(all));
            if (detached) {
                all[len++] = '!';
                break;
            }
        }
        all[len] = '\0';
        assert_string_equal(all, out);
    }
}

static void test_plain_text(void **state)
{
    check("ctrl-p,ctrl-q", "hello\r", "hello\r");
    check("", "\x10\x11", "\x10\x11");
}

static void test_sequence(void **state)
{
    check("ctrl-p,ctrl-q",
          "ab\x10\x11"
          "dropped",
          "ab!");
    check("ctrl-p,ctrl-q",
          "ab\x10"
          "c",
          "ab\x10"
          "c");
    /* The first key twice: one goes through, the other may begin the sequence. */
    check("ctrl-p,ctrl-q", "\x10\x10\x11", "\x10!");
    check("ctrl-p,ctrl-q", "\x10", "");
    check("a", "xa", "x!");
}

static void test_overlaps(void **state)
{
    check("a,a,b", "aaab", "a!");
    check("a,b,a,b,c",
          "ababab"
          "c",
          "ab!");
    check("a,b,a,b,c", "ababx", "ababx");
    check("a,b,a,b,c",
          "abaabab"
          "c",
          "aba!");
}

static void test_names(void **state)
{
    static const char *const bad[] = {
        "ctrl-", "ctrl-A", "ctrl-1",  "ctrl-p,", ",a",
        "a,,b",  " ",      "ctrl-pp", "alt-p",   "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"};
    struct detach_filter filter = filter_of("ctrl-@,ctrl-a,ctrl-z,ctrl-[,ctrl-_,x,~");
    static const uint8_t keys[] = {0, 1, 26, 27, 31, 'x', '~'};

    assert_int_equal(filter.count, sizeof(keys));
    assert_memory_equal(filter.keys, keys, sizeof(keys));
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        assert_true(detach_keys_parse(bad[i], &filter) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text),
        cmocka_unit_test(test_sequence),
        cmocka_unit_test(test_overlaps),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
