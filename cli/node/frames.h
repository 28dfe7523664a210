// SPDX-License-Identifier: Apache-2.0
/* Frames of a session (visit_session.c): a channel, a length, bytes. Pure. */
#ifndef HUSK_CLI_NODE_FRAMES_H
#define HUSK_CLI_NODE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEAD_BYTES 5u
#define FRAME_BYTES_MAX  65536u /* of a client's */

enum frame_channels {
    FRAME_STDIN = 0,
    FRAME_STDOUT = 1,
    FRAME_STDERR = 2,
    FRAME_STATUS = 3,
    FRAME_RESIZE = 4,
    FRAME_CLOSE = 255,
};

/* Zero-initialise. */
struct frame_reader {
    size_t have;
    unsigned char bytes[FRAME_HEAD_BYTES + FRAME_BYTES_MAX];
};

void frame_head(unsigned char out[FRAME_HEAD_BYTES], unsigned char channel, uint32_t len);

/* Where the next bytes go, and how many of them there may be: never beyond the frame's end. */
unsigned char *frame_place(struct frame_reader *reader);
size_t frame_room(const struct frame_reader *reader);
/* So many have come. False for a frame that is too long. */
bool frame_feed(struct frame_reader *reader, size_t len);

bool frame_is_whole(const struct frame_reader *reader);
/* Of a whole one. */
unsigned frame_channel(const struct frame_reader *reader);
size_t frame_len(const struct frame_reader *reader);
const char *frame_bytes(const struct frame_reader *reader);
/* On to the next. */
void frame_next(struct frame_reader *reader);

#endif
