// SPDX-License-Identifier: Apache-2.0
/* boot/aml.c: encodings at their edges, nesting, and the bound. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "boot/aml.h"

static void expect(const struct aml *aml, const char *bytes, size_t len)
{
    assert_true(aml_fits(aml));
    assert_int_equal(aml->used, len);
    assert_memory_equal(aml->bytes, bytes, len);
}

static void test_integers(void **state)
{
    static const struct {
        uint64_t value;
        const char *bytes;
        size_t len;
    } cases[] = {
        {0, "\x00", 1},
        {1, "\x01", 1},
        {2, "\x0a\x02", 2},
        {0xff, "\x0a\xff", 2},
        {0x100, "\x0b\x00\x01", 3},
        {0xffff, "\x0b\xff\xff", 3},
        {0x10000, "\x0c\x00\x00\x01\x00", 5},
        {0x100000000, "\x0e\x00\x00\x00\x00\x01\x00\x00\x00", 9},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t buf[16];
        struct aml aml;

        aml_init(&aml, buf, sizeof(buf));
        aml_integer(&aml, cases[i].value);
        expect(&aml, cases[i].bytes, cases[i].len);
    }
}

static void test_paths(void **state)
{
    uint8_t buf[64];
    struct aml aml;

    aml_init(&aml, buf, sizeof(buf));
    aml_name_string(&aml, "PCI0.S1");
    aml_call(&aml, "\\_SB.PCI0.PCNT");
    expect(&aml, "\x2ePCI0S1__\\\x2f\x03_SB_PCI0PCNT", 24);
}

static void test_words(void **state)
{
    static const char *const fields[] = {"AA", "BB"};
    uint8_t buf[128];
    struct aml aml;

    aml_init(&aml, buf, sizeof(buf));
    aml_word_fields(&aml, "REG", fields, 2);
    aml_argument_word(&aml, 3, 8, "AA");
    aml_store(&aml, 2, "AA");
    aml_local0_differs(&aml, "AA");
    aml_and(&aml, "AA", 1);
    aml_or(&aml, "AA", 2);
    expect(&aml,
           "\x5b\x81\x10REG_\x03"
           "AA__\x20"
           "BB__\x20"
           "\x8a\x6b\x0a\x08"
           "AA__"
           "\x70\x0a\x02"
           "AA__"
           "\x92\x93\x60"
           "AA__"
           "\x7b"
           "AA__\x01"
           "AA__"
           "\x7d"
           "AA__\x0a\x02"
           "AA__",
           61);
}

static void test_names(void **state)
{
    uint8_t buf[32];
    struct aml aml;

    aml_init(&aml, buf, sizeof(buf));
    aml_name(&aml, "_S5");
    aml_name_string(&aml, "\\_SB");
    aml_string(&aml, "ab");
    aml_eisa_id(&aml, "PNP0C0C");
    expect(&aml,
           "\x08_S5_\\_SB_\x0d"
           "ab\0\x0c\x41\xd0\x0c\x0c",
           19);
}

/* The length of a scope with `body` bytes in it, name included, is read back from its encoding. */
static void test_package_lengths(void **state)
{
    static const size_t bodies[] = {4, 62, 63, 64, 4093, 4094, 4095, 70000, 1048571};
    static const size_t counts[] = {1, 1, 2, 2, 2, 3, 3, 3, 3};
    static uint8_t buf[2 << 20];

    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        static const uint8_t zeros[1048576];
        size_t mark, count, length;
        struct aml aml;

        aml_init(&aml, buf, sizeof(buf));
        mark = aml_begin_scope(&aml, "ABCD");
        aml_bytes(&aml, zeros, bodies[i] - 4);
        aml_end(&aml, mark);
        count = (buf[1] >> 6) + 1u;
        length = count == 1 ? buf[1] & 0x3f : buf[1] & 0x0f;
        for (size_t byte = 1; byte < count; byte++)
            length |= (size_t)buf[1 + byte] << (8 * byte - 4);
        assert_int_equal(count, counts[i]);
        assert_int_equal(length, bodies[i] + count);
        assert_int_equal(aml.used, 1 + length);
        assert_memory_equal(buf + 1 + count, "ABCD", 4);
    }
}

static void test_nesting(void **state)
{
    uint8_t buf[64];
    struct aml aml;
    size_t outer, inner;

    aml_init(&aml, buf, sizeof(buf));
    outer = aml_begin_device(&aml, "GED");
    inner = aml_begin_method(&aml, "_EVT", 1, true);
    aml_notify(&aml, "PWRB", 0x80);
    aml_end(&aml, inner);
    aml_end(&aml, outer);
    expect(&aml, "\x5b\x82\x13GED_\x14\x0d_EVT\x09\x86PWRB\x0a\x80", 21);
}

static void test_resources(void **state)
{
    uint8_t buf[64];
    struct aml aml;
    size_t mark;

    aml_init(&aml, buf, sizeof(buf));
    mark = aml_begin_resources(&aml);
    aml_resource_interrupt(&aml, 5);
    aml_end_resources(&aml, mark);
    expect(&aml, "\x11\x0e\x0a\x0b\x89\x06\x00\x03\x01\x05\x00\x00\x00\x79\x00", 15);
}

/* Into every smaller buffer: it does not fit, the need is told, nothing behind is touched. */
static void test_bound(void **state)
{
    uint8_t buf[64];

    for (size_t size = 0; size < 33; size++) {
        struct aml aml;
        size_t device, resources;

        memset(buf, 0xee, sizeof(buf));
        aml_init(&aml, buf, size);
        device = aml_begin_device(&aml, "VR00");
        aml_name(&aml, "_CRS");
        resources = aml_begin_resources(&aml);
        aml_resource_memory32(&aml, 0xd0000000, 0x1000);
        aml_end_resources(&aml, resources);
        aml_end(&aml, device);
        assert_int_equal(aml.used, 30);
        assert_int_equal(aml_fits(&aml), size >= 30);
        for (size_t i = size; i < sizeof(buf); i++)
            assert_int_equal(buf[i], 0xee);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_words),           cmocka_unit_test(test_names),
        cmocka_unit_test(test_package_lengths), cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_resources),       cmocka_unit_test(test_bound),
    };

    return cmocka_run_group_tests_name("boot/aml", tests, NULL, NULL);
}
