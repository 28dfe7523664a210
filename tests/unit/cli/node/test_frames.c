// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/node/frames.h"

static void reads_frames_in_any_pieces(void **state)
{
    static const unsigned char bytes[] = {0, 0, 0, 0, 3, 'a', 'b', 'c', 255, 0,
                                          0, 0, 1, 0, 4, 0,   0,   0,   0};
    struct frame_reader *reader = calloc(1, sizeof(*reader));
    size_t at = 0;
    unsigned frames = 0;

    assert_non_null(reader);
    while (at < sizeof(bytes)) {
        *frame_place(reader) = bytes[at++];
        assert_true(frame_room(reader) >= 1);
        assert_true(frame_feed(reader, 1));
        if (!frame_is_whole(reader))
            continue;
        if (frames == 0) {
            assert_int_equal(frame_channel(reader), FRAME_STDIN);
            assert_int_equal(frame_len(reader), 3);
            assert_memory_equal(frame_bytes(reader), "abc", 3);
        } else {
            assert_int_equal(frame_channel(reader), frames == 1 ? FRAME_CLOSE : FRAME_RESIZE);
            assert_int_equal(frame_len(reader), frames == 1 ? 1 : 0);
        }
        frames++;
        frame_next(reader);
    }
    assert_int_equal(frames, 3);
    free(reader);
}

static void bounds_them(void **state)
{
    struct frame_reader *reader = calloc(1, sizeof(*reader));

    assert_non_null(reader);
    frame_head(frame_place(reader), FRAME_STDIN, FRAME_BYTES_MAX);
    assert_true(frame_feed(reader, FRAME_HEAD_BYTES));
    assert_int_equal(frame_room(reader), FRAME_BYTES_MAX);
    frame_next(reader);
    frame_head(frame_place(reader), FRAME_STDIN, FRAME_BYTES_MAX + 1);
    assert_false(frame_feed(reader, FRAME_HEAD_BYTES));
    frame_next(reader);
    frame_head(frame_place(reader), FRAME_STDIN, UINT32_MAX);
    assert_false(frame_feed(reader, FRAME_HEAD_BYTES));
    free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_frames_in_any_pieces),
                                       cmocka_unit_test(bounds_them)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
