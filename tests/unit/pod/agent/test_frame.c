// SPDX-License-Identifier: Apache-2.0
/* Frames over a socket pair: in pieces, several at a time, too long, with descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"
#include "pod/agent/frame.h"

#define LIMIT 1000u

struct pair {
    int ours, theirs;
    struct frame_reader reader;
    struct frame_writer writer;
};

static int set_up(void **state)
{
    struct pair *pair = calloc(1, sizeof(*pair));
    int ends[2];

    assert_non_null(pair);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    *pair = (struct pair){.ours = ends[0],
                          .theirs = ends[1],
                          .reader = {.limit = LIMIT},
                          .writer = {.limit = 4 * LIMIT}};
    *state = pair;
    return 0;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;

    frame_reader_clear(&pair->reader);
    frame_writer_clear(&pair->writer);
    close_fd(&pair->ours);
    close_fd(&pair->theirs);
    free(pair);
    return 0;
}

static void put(struct pair *pair, const void *bytes, size_t len)
{
    assert_int_equal(send(pair->theirs, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void put_frame(struct pair *pair, const char *json)
{
    uint8_t header[4];

    put_le32(header, (uint32_t)strlen(json));
    put(pair, header, sizeof(header));
    put(pair, json, strlen(json));
}

static int take(struct pair *pair, json_t **out)
{
    struct husk_error err = {.code = 0};
    int ret;

    *out = NULL;
    ret = frame_read(&pair->reader, pair->ours, "the peer", out, &err);
    assert_int_equal(ret < 0 ? -ret : 0, err.code);
    if (ret < 0)
        assert_string_equal(err.where, "the peer");
    assert_true((ret == 1) == (*out != NULL));
    return ret;
}

static void expect(struct pair *pair, const char *key, json_int_t value)
{
    json_t *object;

    assert_int_equal(take(pair, &object), 1);
    assert_int_equal(json_integer_value(json_object_get(object, key)), value);
    json_decref(object);
}

static void test_byte_by_byte(void **state)
{
    static const char frame[] = "\x09\0\0\0{\"a\": 42}";
    struct pair *pair = *state;
    json_t *object;

    for (size_t i = 0; i + 1 < sizeof(frame); i++) {
        assert_int_equal(take(pair, &object), 0);
        put(pair, frame + i, 1);
    }
    expect(pair, "a", 42);
    assert_int_equal(take(pair, &object), 0);
}

/* What follows a frame stays in the socket: it may be another's. */
static void test_takes_one_frame_at_a_time(void **state)
{
    struct pair *pair = *state;
    char rest[16];

    put_frame(pair, "{\"a\": 1}");
    put_frame(pair, "{\"b\": 2}");
    put(pair, "rest", 4);
    expect(pair, "a", 1);
    expect(pair, "b", 2);
    assert_int_equal(recv(pair->ours, rest, sizeof(rest), MSG_DONTWAIT), 4);
}

static void test_ends(void **state)
{
    static const char *const beginnings[] = {"", "\x02", "\x02\0\0\0", "\x02\0\0\0{"};
    static const size_t lengths[] = {0, 1, 4, 5};

    for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++) {
        struct pair *pair;
        json_t *object;

        set_up((void **)&pair);
        put(pair, beginnings[i], lengths[i]);
        close_fd(&pair->theirs);
        assert_int_equal(take(pair, &object), i ? -ECONNRESET : -ENODATA);
        tear_down((void **)&pair);
    }
    (void)state;
}

static void test_bad_frames(void **state)
{
    static const struct {
        uint32_t announced;
        const char *body;
    } frames[] = {
        {0, ""},     {1, "{"},  {LIMIT + 1, "{}"}, {UINT32_MAX, "{}"},        {2, "[]"},
        {4, "null"}, {2, "{]"}, {6, "{\"a\":1"},   {13, "{\"a\":1,\"a\":1}"}, {5, "{}{}x"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
        struct pair *pair;
        uint8_t header[4];
        json_t *object;

        set_up((void **)&pair);
        put_le32(header, frames[i].announced);
        put(pair, header, sizeof(header));
        put(pair, frames[i].body, strlen(frames[i].body));
        assert_int_equal(take(pair, &object), -EPROTO);
        tear_down((void **)&pair);
    }
    (void)state;
}

static void test_depth(void **state)
{
    struct pair *pair = *state;
    char deep[200] = "";
    json_t *object;

    for (int i = 0; i < 31; i++)
        strcat(deep, "{\"\":");
    strcat(deep, "{}");
    for (int i = 0; i < 31; i++)
        strcat(deep, "}");
    put_frame(pair, deep);
    assert_int_equal(take(pair, &object), 1);
    json_decref(object);
    memmove(deep + 4, deep, strlen(deep) + 1);
    memcpy(deep, "{\"\":", 4);
    strcat(deep, "}");
    put_frame(pair, deep);
    assert_int_equal(take(pair, &object), -EPROTO);
}

/* Nothing near what is announced is allocated for what has not come. */
static void test_space_follows_what_arrives(void **state)
{
    struct pair *pair = *state;
    uint8_t header[4];
    json_t *object;

    pair->reader.limit = 1u << 30;
    put_le32(header, 1u << 30);
    put(pair, header, sizeof(header));
    put(pair, "{\"a\":", 5);
    assert_int_equal(take(pair, &object), 0);
    assert_in_range(pair->reader.body_space, 5, 65536);
}

static json_t *number(int value)
{
    return json_pack("{s:i}", "n", value);
}

static int queue(struct pair *pair, json_t *message, const int *fds, unsigned count)
{
    int ret = frame_queue_fds(&pair->writer, message, LIMIT, fds, count);

    json_decref(message);
    return ret;
}

static void test_written_frames_can_be_read(void **state)
{
    struct pair *pair = *state;

    for (int i = 0; i < 20; i++)
        assert_int_equal(queue(pair, number(i), NULL, 0), 0);
    assert_true(frame_waiting(&pair->writer) > 0);
    assert_int_equal(frame_flush(&pair->writer, pair->theirs), 0);
    assert_int_equal(frame_waiting(&pair->writer), 0);
    for (int i = 0; i < 20; i++)
        expect(pair, "n", i);
}

static void test_writer_limits(void **state)
{
    struct pair *pair = *state;
    char text[LIMIT + 1];
    size_t waiting;
    int ret = 0, count = 0;

    memset(text, 'x', LIMIT);
    text[LIMIT] = '\0';
    assert_int_equal(queue(pair, json_pack("{s:s}", "t", text), NULL, 0), -EMSGSIZE);
    assert_int_equal(queue(pair, NULL, NULL, 0), -EINVAL);
    assert_int_equal(frame_waiting(&pair->writer), 0);
    text[LIMIT - 20] = '\0';
    while (!ret) {
        ret = queue(pair, json_pack("{s:s}", "t", text), NULL, 0);
        count += !ret;
    }
    assert_int_equal(ret, -ENOBUFS);
    assert_int_equal(count, 4);
    waiting = frame_waiting(&pair->writer);
    assert_true(waiting <= pair->writer.limit);
}

/* A socket that takes a little at a time: nothing is lost, sent twice, or out of order. */
static void test_a_slow_peer(void **state)
{
    struct pair *pair = *state;
    int size = 1, next = 0, queued = 0;
    char text[800];

    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(setsockopt(pair->theirs, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    while (next < 100) {
        json_t *object;

        while (queued < 100 &&
               !queue(pair, json_pack("{s:i, s:s}", "n", queued, "t", text), NULL, 0))
            queued++;
        assert_int_equal(frame_flush(&pair->writer, pair->theirs), 0);
        while (take(pair, &object) == 1) {
            assert_int_equal(json_integer_value(json_object_get(object, "n")), next++);
            json_decref(object);
        }
    }
}

static void test_peer_is_gone(void **state)
{
    struct pair *pair = *state;

    close_fd(&pair->ours);
    assert_int_equal(queue(pair, number(1), NULL, 0), 0);
    assert_int_equal(frame_flush(&pair->writer, pair->theirs), -EPIPE);
}

static int open_file(const char *text)
{
    int fd = memfd_create("fd", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write_full(fd, text, strlen(text)), 0);
    return fd;
}

static void expect_file(int fd, const char *text)
{
    char got[8] = "";

    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_true(pread(fd, got, sizeof(got) - 1, 0) > 0);
    assert_string_equal(got, text);
    close(fd);
}

static void test_descriptors_come_with_their_frame(void **state)
{
    struct pair *pair = *state;
    const int first[] = {open_file("a"), open_file("b"), open_file("c")};
    const int second[] = {open_file("d")};
    int fds[FRAME_FDS_MAX];

    pair->reader.fds_max = 3;
    assert_int_equal(queue(pair, number(0), NULL, 0), 0);
    assert_int_equal(queue(pair, number(1), first, 3), 0);
    assert_int_equal(queue(pair, number(2), NULL, 0), 0);
    assert_int_equal(queue(pair, number(3), second, 1), 0);
    assert_int_equal(frame_flush(&pair->writer, pair->theirs), 0);
    assert_int_equal(fcntl(first[0], F_GETFD), -1); /* they were taken */

    expect(pair, "n", 0);
    assert_int_equal(frame_take_fds(&pair->reader, fds), 0);
    expect(pair, "n", 1);
    assert_int_equal(frame_take_fds(&pair->reader, fds), 3);
    expect_file(fds[0], "a");
    expect_file(fds[1], "b");
    expect_file(fds[2], "c");
    assert_int_equal(frame_take_fds(&pair->reader, fds), 0);
    expect(pair, "n", 2);
    assert_int_equal(frame_take_fds(&pair->reader, fds), 0);
    expect(pair, "n", 3); /* and nobody takes it: closed with the reader */
}

/* How many descriptors this process has. */
static int count_open(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_unwanted_descriptors(void **state)
{
    /* How many are wanted, how many come, what becomes of it. */
    static const struct {
        unsigned wanted, sent;
        int ret;
    } cases[] = {{0, 1, 1}, {1, 1, 1}, {1, 2, -EPROTO}, {2, 4, -EPROTO}, {4, 4, 1}};
    int before = count_open();

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int fds[FRAME_FDS_MAX];
        struct pair *pair;
        json_t *object;

        set_up((void **)&pair);
        pair->reader.fds_max = cases[i].wanted;
        for (unsigned at = 0; at < cases[i].sent; at++)
            fds[at] = open_file("x");
        assert_int_equal(queue(pair, number(1), fds, cases[i].sent), 0);
        assert_int_equal(frame_flush(&pair->writer, pair->theirs), 0);
        assert_int_equal(take(pair, &object), cases[i].ret);
        json_decref(object);
        tear_down((void **)&pair);
        assert_int_equal(count_open(), before);
    }
    (void)state;
}

static void test_descriptors_that_were_not_sent(void **state)
{
    struct pair *pair = *state;
    int before = count_open(), fd = open_file("x"), many[FRAME_FDS_MAX + 1] = {0};

    assert_int_equal(queue(pair, number(1), many, FRAME_FDS_MAX + 1), -EINVAL);
    assert_int_equal(queue(pair, number(1), &fd, 1), 0);
    frame_writer_clear(&pair->writer);
    assert_int_equal(count_open(), before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_byte_by_byte),
        TEST(test_takes_one_frame_at_a_time),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_bad_frames),
        TEST(test_depth),
        TEST(test_space_follows_what_arrives),
        TEST(test_written_frames_can_be_read),
        TEST(test_writer_limits),
        TEST(test_a_slow_peer),
        TEST(test_peer_is_gone),
        TEST(test_descriptors_come_with_their_frame),
        cmocka_unit_test(test_unwanted_descriptors),
        TEST(test_descriptors_that_were_not_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
