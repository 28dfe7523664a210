// SPDX-License-Identifier: Apache-2.0
#include "cli/node/frames.h"

void frame_head(unsigned char out[FRAME_HEAD_BYTES], unsigned char channel, uint32_t len)
{
    out[0] = channel;
    for (unsigned i = 0; i < 4; i++)
        out[1 + i] = (unsigned char)(len >> (24 - 8 * i));
}

static size_t announced(const struct frame_reader *reader)
{
    size_t len = 0;

    for (unsigned i = 1; i < FRAME_HEAD_BYTES; i++)
        len = len << 8 | reader->bytes[i];
    return len;
}

unsigned char *frame_place(struct frame_reader *reader)
{
    return reader->bytes + reader->have;
}

size_t frame_room(const struct frame_reader *reader)
{
    if (reader->have < FRAME_HEAD_BYTES)
        return FRAME_HEAD_BYTES - reader->have;
    return FRAME_HEAD_BYTES + announced(reader) - reader->have;
}

bool frame_feed(struct frame_reader *reader, size_t len)
{
    reader->have += len;
    return reader->have < FRAME_HEAD_BYTES || announced(reader) <= FRAME_BYTES_MAX;
}

bool frame_is_whole(const struct frame_reader *reader)
{
    return reader->have >= FRAME_HEAD_BYTES && frame_room(reader) == 0;
}

unsigned frame_channel(const struct frame_reader *reader)
{
    return reader->bytes[0];
}

size_t frame_len(const struct frame_reader *reader)
{
    return reader->have - FRAME_HEAD_BYTES;
}

const char *frame_bytes(const struct frame_reader *reader)
{
    return (const char *)reader->bytes + FRAME_HEAD_BYTES;
}

void frame_next(struct frame_reader *reader)
{
    reader->have = 0;
}
