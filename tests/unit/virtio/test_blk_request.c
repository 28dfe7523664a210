// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/blk_internal.h"

#define SECTORS 1000u

/* A request as a driver lays it out: readable bytes, then writable bytes. */
struct fixture {
    uint8_t readable[8192];
    uint8_t writable[8192];
    struct blk_disk disk;
    struct blk_request request;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->disk = (struct blk_disk){
        .capacity_sectors = SECTORS, .discard = true, .write_zeroes = true, .id = "serial"};
    *state = f;
    return f ? 0 : -1;
}

static int teardown(void **state)
{
    free(*state);
    return 0;
}

/* Cut both directions into descriptors of `piece` bytes and parse. */
static enum blk_verdict parse_pieces(struct fixture *f, uint64_t readable, uint64_t writable,
                                     uint64_t piece)
{
    struct virtq_chain *chain = &f->request.chain;
    unsigned count = 0;

    memset(&f->request, 0, sizeof(f->request));
    for (uint64_t at = 0; at < readable; at += piece)
        chain->iov[count++] =
            (struct iovec){f->readable + at, readable - at < piece ? readable - at : piece};
    chain->readable_count = (uint16_t)count;
    for (uint64_t at = 0; at < writable; at += piece)
        chain->iov[count++] =
            (struct iovec){f->writable + at, writable - at < piece ? writable - at : piece};
    chain->writable_count = (uint16_t)(count - chain->readable_count);
    chain->readable_bytes = readable;
    chain->writable_bytes = writable;
    return blk_request_parse(&f->request, &f->disk);
}

static enum blk_verdict parse(struct fixture *f, uint64_t readable, uint64_t writable)
{
    return parse_pieces(f, readable, writable, 65536);
}

static void put_header(struct fixture *f, uint32_t type, uint64_t sector)
{
    put_le32(f->readable, type);
    put_le32(f->readable + 4, 0xdeadbeef); /* reserved: means nothing */
    put_le64(f->readable + 8, sector);
}

static void put_segment(struct fixture *f, uint64_t sector, uint32_t count, uint32_t flags)
{
    put_le64(f->readable + 16, sector);
    put_le32(f->readable + 24, count);
    put_le32(f->readable + 28, flags);
}

static void expect_answer(struct fixture *f, uint64_t readable, uint64_t writable, uint8_t status)
{
    assert_int_equal(parse(f, readable, writable), BLK_ANSWER);
    assert_int_equal(f->request.answer, status);
    assert_ptr_equal(f->request.status, f->writable + writable - 1);
}

static void test_read_in_any_framing(void **state)
{
    struct fixture *f = *state;
    static const uint64_t pieces[] = {11, 16, 17, 100, 512, 513, 8192};

    put_header(f, BLK_T_IN, 7);
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        uint8_t *expected = f->writable;

        assert_int_equal(parse_pieces(f, 16, 1024 + 1, pieces[i]), BLK_SUBMIT);
        assert_int_equal(f->request.io.op, BLOCK_READ);
        assert_int_equal(f->request.io.offset_bytes, 7 * 512);
        assert_int_equal(f->request.io.len_bytes, 1024);
        assert_int_equal(f->request.written, 1025);
        assert_ptr_equal(f->request.status, f->writable + 1024);
        for (unsigned j = 0; j < f->request.io.iov_count; j++) {
            assert_ptr_equal(f->request.io.iov[j].iov_base, expected);
            assert_true(f->request.io.iov[j].iov_len > 0);
            expected += f->request.io.iov[j].iov_len;
        }
        assert_ptr_equal(expected, f->writable + 1024);
    }
}

static void test_write_in_any_framing(void **state)
{
    struct fixture *f = *state;
    static const uint64_t pieces[] = {11, 16, 17, 100, 512, 513, 8192};

    put_header(f, BLK_T_OUT, 0);
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        uint8_t *expected = f->readable + 16;

        assert_int_equal(parse_pieces(f, 16 + 1536, 1, pieces[i]), BLK_SUBMIT);
        assert_int_equal(f->request.io.op, BLOCK_WRITE);
        assert_int_equal(f->request.io.len_bytes, 1536);
        assert_int_equal(f->request.written, 1);
        assert_false(f->request.io.stable);
        for (unsigned j = 0; j < f->request.io.iov_count; j++) {
            assert_ptr_equal(f->request.io.iov[j].iov_base, expected);
            assert_true(f->request.io.iov[j].iov_len > 0);
            expected += f->request.io.iov[j].iov_len;
        }
        assert_ptr_equal(expected, f->readable + 16 + 1536);
    }
    f->disk.write_through = true;
    assert_int_equal(parse(f, 16 + 512, 1), BLK_SUBMIT);
    assert_true(f->request.io.stable);
}

static void test_status_is_the_last_writable_byte(void **state)
{
    struct fixture *f = *state;

    put_header(f, BLK_T_OUT, 0);
    assert_int_equal(parse(f, 16 + 512, 100), BLK_SUBMIT);
    assert_ptr_equal(f->request.status, f->writable + 99);
}

static void test_without_header_or_status(void **state)
{
    struct fixture *f = *state;

    put_header(f, BLK_T_IN, 0);
    assert_int_equal(parse(f, 15, 513), BLK_MALFORMED);
    assert_int_equal(parse(f, 0, 513), BLK_MALFORMED);
    assert_int_equal(parse(f, 16, 0), BLK_MALFORMED);
}

static void test_ranges(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t sector, bytes;
        int ok;
    } cases[] = {
        {0, 512, 1},
        {SECTORS - 1, 512, 1},
        {SECTORS - 1, 1024, 0},
        {SECTORS, 512, 0},
        {SECTORS + 1, 512, 0},
        {UINT64_MAX, 512, 0},
        {UINT64_MAX / 512, 512, 0},
        {UINT64_MAX / 512 + 1, 512, 0}, /* times 512 is 0 */
        {0, 511, 0},
        {0, 513, 0},
        {0, 1, 0},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_header(f, BLK_T_IN, cases[i].sector);
        if (cases[i].ok)
            assert_int_equal(parse(f, 16, cases[i].bytes + 1), BLK_SUBMIT);
        else
            expect_answer(f, 16, cases[i].bytes + 1, BLK_S_IOERR);
        put_header(f, BLK_T_OUT, cases[i].sector);
        if (cases[i].ok)
            assert_int_equal(parse(f, 16 + cases[i].bytes, 1), BLK_SUBMIT);
        else
            expect_answer(f, 16 + cases[i].bytes, 1, BLK_S_IOERR);
    }
    put_header(f, BLK_T_IN, SECTORS);
    expect_answer(f, 16, 1, BLK_S_OK); /* nothing, at the end */
    put_header(f, BLK_T_IN, SECTORS + 1);
    expect_answer(f, 16, 1, BLK_S_IOERR);
}

static void test_transfer_length_is_capped(void **state)
{
    struct fixture *f = *state;
    struct virtq_chain *chain = &f->request.chain;

    f->disk.capacity_sectors = UINT64_MAX / 512;
    put_header(f, BLK_T_IN, 0);
    memset(&f->request, 0, sizeof(f->request));
    chain->iov[0] = (struct iovec){f->readable, 16};
    chain->iov[1] = (struct iovec){f->writable, BLK_MAX_TRANSFER_BYTES + 512 + 1};
    chain->readable_count = chain->writable_count = 1;
    chain->readable_bytes = 16;
    chain->writable_bytes = BLK_MAX_TRANSFER_BYTES + 512 + 1;
    assert_int_equal(blk_request_parse(&f->request, &f->disk), BLK_ANSWER);
    assert_int_equal(f->request.answer, BLK_S_IOERR);
}

static void test_read_only(void **state)
{
    struct fixture *f = *state;

    f->disk.read_only = true;
    f->disk.discard = f->disk.write_zeroes = false;
    put_header(f, BLK_T_OUT, 0);
    expect_answer(f, 16 + 512, 1, BLK_S_IOERR);
    put_header(f, BLK_T_FLUSH, 0);
    expect_answer(f, 16, 1, BLK_S_OK);
    put_header(f, BLK_T_IN, 0);
    assert_int_equal(parse(f, 16, 513), BLK_SUBMIT);
}

static void test_flush(void **state)
{
    struct fixture *f = *state;

    put_header(f, BLK_T_FLUSH, 0);
    assert_int_equal(parse(f, 16, 1), BLK_SUBMIT);
    assert_int_equal(f->request.io.op, BLOCK_FLUSH);
    assert_int_equal(f->request.written, 1);
}

static void test_get_id(void **state)
{
    struct fixture *f = *state;
    static const char id[20] = "serial";

    put_header(f, BLK_T_GET_ID, 0);
    memset(f->writable, 0xff, sizeof(f->writable));
    expect_answer(f, 16, 21, BLK_S_OK);
    assert_memory_equal(f->writable, id, 20);
    assert_int_equal(f->request.written, 21);

    memset(f->writable, 0xff, sizeof(f->writable));
    expect_answer(f, 16, 4, BLK_S_OK); /* short buffer: as much as fits, not the status */
    assert_memory_equal(f->writable, "ser\xff", 4);
    assert_int_equal(f->request.written, 4);
    expect_answer(f, 16, 1, BLK_S_OK);
    assert_int_equal(f->request.written, 1);
}

static void test_unknown_types(void **state)
{
    struct fixture *f = *state;
    static const uint32_t types[] = {2, 3, 5, 7, 9, 10, 12, 14, 0x80000000, UINT32_MAX};

    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        put_header(f, types[i], 0);
        expect_answer(f, 16 + 512, 513, BLK_S_UNSUPP);
    }
}

static void test_discard(void **state)
{
    struct fixture *f = *state;

    f->disk.capacity_sectors = 1ull << 40;
    put_header(f, BLK_T_DISCARD, UINT64_MAX); /* its sector means nothing */
    put_segment(f, 8, BLK_MAX_DISCARD_SECTORS, 0);
    assert_int_equal(parse_pieces(f, 32, 1, 5), BLK_SUBMIT);
    assert_int_equal(f->request.io.op, BLOCK_DISCARD);
    assert_int_equal(f->request.io.offset_bytes, 8 * 512);
    assert_int_equal(f->request.io.len_bytes, (uint64_t)BLK_MAX_DISCARD_SECTORS * 512);

    put_segment(f, 8, BLK_MAX_DISCARD_SECTORS + 1, 0);
    expect_answer(f, 32, 1, BLK_S_IOERR);
    put_segment(f, 8, 1, BLK_SEGMENT_F_UNMAP);
    expect_answer(f, 32, 1, BLK_S_UNSUPP);
    put_segment(f, 8, 1, 2);
    expect_answer(f, 32, 1, BLK_S_UNSUPP);
    put_segment(f, 8, 0, 0);
    expect_answer(f, 32, 1, BLK_S_OK);
    f->disk.discard = false;
    put_segment(f, 8, 1, 0);
    expect_answer(f, 32, 1, BLK_S_UNSUPP);
}

static void test_write_zeroes(void **state)
{
    struct fixture *f = *state;

    put_header(f, BLK_T_WRITE_ZEROES, 0);
    put_segment(f, SECTORS - 4, 4, BLK_SEGMENT_F_UNMAP);
    assert_int_equal(parse(f, 32, 1), BLK_SUBMIT);
    assert_int_equal(f->request.io.op, BLOCK_WRITE_ZEROES);
    assert_true(f->request.io.may_unmap);
    put_segment(f, SECTORS - 4, 4, 0);
    assert_int_equal(parse(f, 32, 1), BLK_SUBMIT);
    assert_false(f->request.io.may_unmap);

    put_segment(f, SECTORS - 4, 5, 0);
    expect_answer(f, 32, 1, BLK_S_IOERR);
    put_segment(f, UINT64_MAX, 1, 0);
    expect_answer(f, 32, 1, BLK_S_IOERR);
    put_segment(f, 0, UINT32_MAX, 0);
    expect_answer(f, 32, 1, BLK_S_IOERR);
    put_segment(f, 0, 1, 0x80000001);
    expect_answer(f, 32, 1, BLK_S_UNSUPP);
    put_segment(f, 0, 1, 0);
    expect_answer(f, 16, 1, BLK_S_IOERR); /* no segment, a part of one, two */
    expect_answer(f, 31, 1, BLK_S_IOERR);
    expect_answer(f, 48, 1, BLK_S_IOERR);
    f->disk.write_zeroes = false;
    expect_answer(f, 32, 1, BLK_S_UNSUPP);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read_in_any_framing),
        TEST(test_write_in_any_framing),
        TEST(test_status_is_the_last_writable_byte),
        TEST(test_without_header_or_status),
        TEST(test_ranges),
        TEST(test_transfer_length_is_capped),
        TEST(test_read_only),
        TEST(test_flush),
        TEST(test_get_id),
        TEST(test_unknown_types),
        TEST(test_discard),
        TEST(test_write_zeroes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
