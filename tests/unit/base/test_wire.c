// SPDX-License-Identifier: Apache-2.0
/* Message fields: round trips, and what hostile or short messages give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/wire.h"

static void test_round_trip(void **state)
{
    uint8_t buf[128], bytes[6] = {1, 2, 3, 4, 5, 6}, out[6];
    struct wire_writer writer;
    struct wire_reader reader;

    wire_writer_init(&writer, buf, sizeof(buf));
    wire_put_u8(&writer, 0xab);
    wire_put_u16(&writer, 0xbeef);
    wire_put_u32(&writer, 0xdeadbeef);
    wire_put_u64(&writer, 0x0123456789abcdefull);
    wire_put_bytes(&writer, bytes, sizeof(bytes));
    wire_put_string(&writer, "text");
    wire_put_string(&writer, "");
    wire_put_string(&writer, NULL);
    assert_false(writer.bad);
    assert_int_equal(buf[1], 0xef); /* little-endian */

    wire_reader_init(&reader, buf, wire_written(&writer));
    assert_int_equal(wire_get_u8(&reader), 0xab);
    assert_int_equal(wire_get_u16(&reader), 0xbeef);
    assert_int_equal(wire_get_u32(&reader), 0xdeadbeef);
    assert_true(wire_get_u64(&reader) == 0x0123456789abcdefull);
    wire_get_bytes(&reader, out, sizeof(out));
    assert_memory_equal(out, bytes, sizeof(out));
    assert_string_equal(wire_get_string(&reader), "text");
    assert_string_equal(wire_get_string(&reader), "");
    assert_null(wire_get_string(&reader));
    assert_true(wire_complete(&reader));
}

/* Every shorter buffer makes the writer bad, and nothing is written past it. */
static void test_writer_stays_inside(void **state)
{
    for (size_t size = 0; size < 19; size++) {
        uint8_t buf[32];
        struct wire_writer writer;

        memset(buf, 0x77, sizeof(buf));
        wire_writer_init(&writer, buf, size);
        wire_put_u64(&writer, 0);
        wire_put_string(&writer, "sixty");
        wire_put_u8(&writer, 0);
        assert_true(writer.bad);
        assert_true(wire_written(&writer) <= size);
        for (size_t i = size; i < sizeof(buf); i++)
            assert_int_equal(buf[i], 0x77);
    }
}

static void test_short_message(void **state)
{
    uint8_t buf[32];
    struct wire_writer writer;
    size_t len;

    wire_writer_init(&writer, buf, sizeof(buf));
    wire_put_u32(&writer, 7);
    wire_put_string(&writer, "abc");
    len = wire_written(&writer);
    for (size_t cut = 0; cut < len; cut++) {
        struct wire_reader reader;

        wire_reader_init(&reader, buf, cut);
        wire_get_u32(&reader);
        assert_null(wire_get_string(&reader));
        assert_false(wire_complete(&reader));
        assert_int_equal(wire_get_u64(&reader), 0);
    }
}

static void check_bad_string(const uint8_t *buf, size_t len)
{
    struct wire_reader reader;

    wire_reader_init(&reader, buf, len);
    assert_null(wire_get_string(&reader));
    assert_true(reader.bad);
}

static void test_hostile_strings(void **state)
{
    check_bad_string((const uint8_t *)"\2\0\0\0ab", 6);    /* no NUL */
    check_bad_string((const uint8_t *)"\3\0\0\0a\0\0", 7); /* NUL inside */
    check_bad_string((const uint8_t *)"\0\0\0\0", 4);      /* not even a NUL */
    check_bad_string((const uint8_t *)"\xfe\xff\xff\xff"
                                      "ab",
                     6); /* huge */
}

static void test_length_must_match(void **state)
{
    const uint8_t buf[] = {3, 0, 0, 0, 1, 2, 3};
    struct wire_reader reader;
    uint8_t out[4] = {0};

    wire_reader_init(&reader, buf, sizeof(buf));
    wire_get_bytes(&reader, out, 2);
    assert_true(reader.bad);
    assert_int_equal(out[0], 0);

    wire_reader_init(&reader, buf, sizeof(buf));
    wire_get_bytes(&reader, out, 3);
    assert_true(wire_complete(&reader));
    wire_reader_init(&reader, buf, sizeof(buf));
    wire_get_u8(&reader);
    assert_false(wire_complete(&reader)); /* something is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),        cmocka_unit_test(test_writer_stays_inside),
        cmocka_unit_test(test_short_message),     cmocka_unit_test(test_hostile_strings),
        cmocka_unit_test(test_length_must_match),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
