// SPDX-License-Identifier: Apache-2.0
/* Tar archives: what is written is read again, and what others write that is wrong is refused. That
 * other programs understand them, and are understood, tests/e2e/agent/archive.py shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "guest/agent/tar.h"
#include "guest/agent/tar_header.h"

struct source {
    uint8_t bytes[64 * 1024];
    size_t len, at;
    struct tar_reader reader;
    struct tar_entry entry;
    struct husk_error err;
};

static int take(void *arg, void *buf, size_t len)
{
    struct source *source = arg;

    if (len > source->len - source->at)
        return -ENODATA;
    memcpy(buf, source->bytes + source->at, len);
    source->at += len;
    return 0;
}

static int set_up(void **state)
{
    struct source *source = calloc(1, sizeof(*source));

    assert_non_null(source);
    source->reader = (struct tar_reader){.source = take, .arg = source};
    *state = source;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void append(struct source *source, const void *bytes, size_t len)
{
    assert_true(source->len + len <= sizeof(source->bytes));
    memcpy(source->bytes + source->len, bytes, len);
    source->len += len;
}

static void append_zeros(struct source *source, size_t len)
{
    assert_true(source->len + len <= sizeof(source->bytes));
    source->len += len;
}

static void append_entry(struct source *source, const struct tar_entry *entry)
{
    uint8_t header[TAR_HEADER_MAX];
    size_t len = tar_encode(entry, header);

    assert_true(len <= sizeof(header) && len % TAR_BLOCK == 0);
    append(source, header, len);
}

static int next(struct source *source)
{
    return tar_next(&source->reader, &source->entry, &source->err);
}

static void test_round_trip(void **state)
{
    static const struct {
        size_t path_len, link_len;
        enum tar_type type;
        uint32_t id;
        int64_t mtime;
        uint64_t size;
    } cases[] = {
        {1, 0, TAR_FILE, 0, 0, 0},
        {100, 0, TAR_DIRECTORY, 07777777, 077777777777, 0},
        {101, 100, TAR_SYMLINK, 010000000, 0100000000000, 0},
        {TAR_PATH_MAX, TAR_PATH_MAX, TAR_HARD_LINK, TAR_ID_MAX, INT64_MAX, 0},
        {83, 0, TAR_FIFO, 1000, -1, 0}, /* a record of 99 bytes would need 100 */
        {92, 0, TAR_FILE, 1, -INT64_MAX, 077777777777},
        {992, 993, TAR_SYMLINK, 1, 1, 0},
        {2, 0, TAR_FILE, 1, 1, INT64_MAX},
        {2, 0, TAR_CHARACTER_DEVICE, 1, 1, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct tar_entry entry = {.type = cases[i].type,
                                  .mode = 04755,
                                  .uid = cases[i].id,
                                  .gid = cases[i].id,
                                  .mtime = cases[i].mtime,
                                  .size = cases[i].size};
        struct source *source;

        assert_int_equal(set_up((void **)&source), 0);
        memset(entry.path, 'p', cases[i].path_len);
        memset(entry.link, 'l', cases[i].link_len);
        if (entry.type == TAR_CHARACTER_DEVICE) {
            entry.major = 5;
            entry.minor = 1000;
        }
        append_entry(source, &entry);
        if (next(source) != 1)
            fail_msg("case %zu: %s", i, source->err.why);
        assert_string_equal(source->entry.path, entry.path);
        assert_string_equal(source->entry.link, entry.link);
        assert_int_equal(source->entry.type, entry.type);
        assert_int_equal(source->entry.mode, entry.mode);
        assert_int_equal(source->entry.uid, entry.uid);
        assert_int_equal(source->entry.gid, entry.gid);
        assert_true(source->entry.mtime == entry.mtime);
        assert_true(source->entry.size == entry.size);
        assert_int_equal(source->entry.major, entry.major);
        assert_int_equal(source->entry.minor, entry.minor);
        tear_down((void **)&source);
    }
    (void)state;
}

static void test_bytes(void **state)
{
    struct source *source = *state;
    const struct tar_entry first = {.path = "a", .type = TAR_FILE, .size = 700};
    const struct tar_entry second = {.path = "b", .type = TAR_FILE, .size = 512};
    char content[700], got[1000];

    memset(content, 'c', sizeof(content));
    append_entry(source, &first);
    append(source, content, 700);
    append_zeros(source, tar_padding(700));
    append_entry(source, &second);
    append(source, content, 512);
    append_zeros(source, 1024);
    assert_int_equal(next(source), 1);
    assert_int_equal(tar_read(&source->reader, got, 300, &source->err), 300);
    assert_int_equal(tar_read(&source->reader, got, 1000, &source->err), 400);
    assert_int_equal(tar_read(&source->reader, got, 1000, &source->err), 0);
    assert_int_equal(next(source), 1); /* its bytes are passed over */
    assert_string_equal(source->entry.path, "b");
    assert_int_equal(next(source), 0);
}

/* Headers as others write them. */
static void set_sum(struct tar_header *header)
{
    const uint8_t *bytes = (const uint8_t *)header;
    unsigned sum = 0;

    memset(header->checksum, ' ', 8);
    for (size_t i = 0; i < sizeof(*header); i++)
        sum += bytes[i];
    snprintf(header->checksum, 8, "%06o", sum);
}

static void append_raw(struct source *source, char type, const char *name, const char *text,
                       size_t len)
{
    struct tar_header header = {.type = type};

    memcpy(header.name, name, strlen(name));
    memcpy(header.magic, "ustar", 6);
    snprintf(header.size, sizeof(header.size), "%011zo", len);
    set_sum(&header);
    append(source, &header, sizeof(header));
    append(source, text, len);
    append_zeros(source, tar_padding(len));
}

static void append_pax(struct source *source, const char *records)
{
    append_raw(source, 'x', "pax", records, strlen(records));
    append_raw(source, '0', "named", "", 0);
}

static void test_other_formats(void **state)
{
    struct source *source = *state;
    struct tar_header header = {.name = "old/", .type = '\0'};

    snprintf(header.mode, sizeof(header.mode), "   755 ");
    set_sum(&header);
    append(source, &header, sizeof(header));
    append_raw(source, 'L', "././@LongLink", "a-long-name\0", 12);
    append_raw(source, 'K', "././@LongLink", "a-long-link\0", 12);
    append_raw(source, '2', "short", "", 0);
    append_raw(source, 'g', "pax_global_header", "18 path=everywhere\n", 19);
    header = (struct tar_header){.name = "name", .prefix = "prefix", .magic = "ustar", .type = '7'};
    memcpy(header.size, "\x80\0\0\0\0\0\0\0\0\0\0\x01", 12); /* base 256 */
    memcpy(header.uid, "\x80\0\0\0\xff\0\0\0", 8);
    set_sum(&header);
    append(source, &header, sizeof(header));
    append_zeros(source, 512);
    append_pax(source, "14 path=other\n17 mtime=12.3456\n7 uid=\n13 strange=\x01\n");

    assert_int_equal(next(source), 1);
    assert_int_equal(source->entry.type, TAR_DIRECTORY);
    assert_int_equal(source->entry.mode, 0755);
    assert_int_equal(next(source), 1);
    assert_string_equal(source->entry.path, "a-long-name");
    assert_string_equal(source->entry.link, "a-long-link");
    assert_int_equal(next(source), 1);
    assert_string_equal(source->entry.path, "prefix/name");
    assert_int_equal(source->entry.type, TAR_FILE);
    assert_int_equal(source->entry.size, 1);
    assert_int_equal(source->entry.uid, 0xff000000);
    assert_int_equal(next(source), 1);
    assert_string_equal(source->entry.path, "other");
    assert_int_equal(source->entry.mtime, 12);
    assert_int_equal(next(source), -ENODATA);
}

static void test_bad_records(void **state)
{
    static const char *const records[] = {
        "x",
        "9",
        "9 ",
        "9 a=b",
        "0 a=b\n",
        "5 a=b\n",
        "7 a=b\n",

        "6 a=b ",
        "-6 a=b\n",
        " 6 a=b\n",
        "6a=b\n",
        "5 ab\n",
        "99999999 a=b\n",
        "3 \n",
        "10 size=x\n",
        "11 size=-1\n",
        "28 size=9223372036854775808\n",
        "18 uid=4294967295\n",
        "9 gid=q\n",
        "13 mtime=1x\n",
        "12 mtime=.\n",
        "11 mtime=-\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        struct source *source;
        int ret;

        set_up((void **)&source);
        append_pax(source, records[i]);
        ret = next(source);
        if (ret != -EINVAL)
            fail_msg("%s: %d", records[i], ret);
        tear_down((void **)&source);
    }
    (void)state;
}

static void test_bad_paths(void **state)
{
    struct source *source;
    char text[5000];
    int len;

    set_up((void **)&source);
    append_raw(source, 'x', "pax", "11 path=a\0b\n", 12);
    append_raw(source, '0', "x", "", 0);
    assert_int_equal(next(source), -EINVAL);
    tear_down((void **)&source);

    for (size_t size = TAR_PATH_MAX; size <= TAR_PATH_MAX + 1; size++) {
        set_up((void **)&source);
        len = snprintf(text, sizeof(text), "%zu path=", size + 11);
        memset(text + len, 'p', size);
        text[(size_t)len + size] = '\n';
        append_raw(source, 'x', "pax", text, (size_t)len + size + 1);
        append_raw(source, '0', "x", "", 0);
        assert_int_equal(next(source), size > TAR_PATH_MAX ? -EINVAL : 1);
        tear_down((void **)&source);
    }
    set_up((void **)&source);
    append_raw(source, '0', "", "", 0);
    assert_int_equal(next(source), -EINVAL);
    tear_down((void **)&source);
    set_up((void **)&source);
    append_raw(source, '2', "nowhere", "", 0);
    assert_int_equal(next(source), -EINVAL);
    tear_down((void **)&source);
    (void)state;
}

static void test_bad_headers(void **state)
{
    static const struct {
        size_t offset;
        const char *bytes;
        size_t len;
        int ret;
    } cases[] = {
        {offsetof(struct tar_header, type), "S", 1, -ENOTSUP},
        {offsetof(struct tar_header, type), "V", 1, -ENOTSUP},
        {offsetof(struct tar_header, mode), "9", 1, -EINVAL},
        {offsetof(struct tar_header, size), "7 7", 3, -EINVAL},
        {offsetof(struct tar_header, size), "\xff\xff\xff\xff\xff\xff\xff\xff", 8, -EINVAL},
        {offsetof(struct tar_header, size), "\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 12,
         -EINVAL},
        {offsetof(struct tar_header, uid), "\x80\0\0\0\xff\xff\xff\xff", 8, -EINVAL},
        {offsetof(struct tar_header, name), "y", 1, 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct tar_header header = {.name = "x", .magic = "ustar", .type = '0'};
        struct source *source;
        int ret;

        set_up((void **)&source);
        memcpy((char *)&header + cases[i].offset, cases[i].bytes, cases[i].len);
        set_sum(&header);
        append(source, &header, sizeof(header));
        ret = next(source);
        if (ret != cases[i].ret)
            fail_msg("case %zu: %d", i, ret);
        tear_down((void **)&source);
    }
    (void)state;
}

static void test_limits(void **state)
{
    struct source *source = *state;
    struct tar_header header = {.name = "x", .magic = "ustar", .type = 'x'};

    for (int i = 0; i < 20; i++)
        append_raw(source, 'g', "g", "", 0);
    assert_int_equal(next(source), -EINVAL);

    source->len = source->at = 0;
    source->reader = (struct tar_reader){.source = take, .arg = source};
    memcpy(header.size, "00000200001", 12);
    set_sum(&header);
    append(source, &header, sizeof(header));
    assert_int_equal(next(source), -EINVAL);

    source->len = source->at = 0;
    memset(source->bytes, 0, sizeof(source->bytes));
    source->reader = (struct tar_reader){.source = take, .arg = source};
    append_raw(source, 'g', "g", "", 0);
    append_zeros(source, 1024);
    assert_int_equal(next(source), -EINVAL); /* a header of nothing */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        TEST(test_bytes),
        TEST(test_other_formats),
        cmocka_unit_test(test_bad_records),
        cmocka_unit_test(test_bad_paths),
        cmocka_unit_test(test_bad_headers),
        TEST(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
