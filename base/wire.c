// SPDX-License-Identifier: Apache-2.0
/* Fields of messages: see wire.h. */
#include "base/wire.h"

#include <string.h>

#include "base/bytes.h"

#define NO_STRING UINT32_MAX /* the length that stands for NULL */

void wire_writer_init(struct wire_writer *writer, void *buf, size_t size)
{
    *writer = (struct wire_writer){.start = buf, .at = buf, .end = (uint8_t *)buf + size};
}

size_t wire_written(const struct wire_writer *writer)
{
    return (size_t)(writer->at - writer->start);
}

/* Room for `len` more bytes, or NULL. */
static uint8_t *reserve(struct wire_writer *writer, size_t len)
{
    uint8_t *at = writer->at;

    if (writer->bad || len > (size_t)(writer->end - at)) {
        writer->bad = true;
        return NULL;
    }
    writer->at += len;
    return at;
}

static void put_sized(struct wire_writer *writer, unsigned size, uint64_t value)
{
    uint8_t *at = reserve(writer, size);

    if (at)
        put_le_sized(at, size, value);
}

void wire_put_u8(struct wire_writer *writer, uint8_t value)
{
    put_sized(writer, 1, value);
}

void wire_put_u16(struct wire_writer *writer, uint16_t value)
{
    put_sized(writer, 2, value);
}

void wire_put_u32(struct wire_writer *writer, uint32_t value)
{
    put_sized(writer, 4, value);
}

void wire_put_u64(struct wire_writer *writer, uint64_t value)
{
    put_sized(writer, 8, value);
}

void wire_put_bytes(struct wire_writer *writer, const void *bytes, size_t len)
{
    uint8_t *at;

    if (len >= NO_STRING) {
        writer->bad = true;
        return;
    }
    wire_put_u32(writer, (uint32_t)len);
    at = reserve(writer, len);
    if (at && len > 0)
        memcpy(at, bytes, len);
}

void wire_put_string(struct wire_writer *writer, const char *text)
{
    if (text)
        wire_put_bytes(writer, text, strlen(text) + 1);
    else
        wire_put_u32(writer, NO_STRING);
}

void wire_reader_init(struct wire_reader *reader, const void *buf, size_t len)
{
    *reader = (struct wire_reader){.at = buf, .end = (const uint8_t *)buf + len};
}

/* The next `len` bytes, or NULL. */
static const uint8_t *take(struct wire_reader *reader, size_t len)
{
    const uint8_t *at = reader->at;

    if (reader->bad || len > (size_t)(reader->end - at)) {
        reader->bad = true;
        return NULL;
    }
    reader->at += len;
    return at;
}

static uint64_t get_sized(struct wire_reader *reader, unsigned size)
{
    const uint8_t *at = take(reader, size);

    return at ? get_le_sized(at, size) : 0;
}

uint8_t wire_get_u8(struct wire_reader *reader)
{
    return (uint8_t)get_sized(reader, 1);
}

uint16_t wire_get_u16(struct wire_reader *reader)
{
    return (uint16_t)get_sized(reader, 2);
}

uint32_t wire_get_u32(struct wire_reader *reader)
{
    return (uint32_t)get_sized(reader, 4);
}

uint64_t wire_get_u64(struct wire_reader *reader)
{
    return get_sized(reader, 8);
}

void wire_get_bytes(struct wire_reader *reader, void *out, size_t len)
{
    uint32_t there = wire_get_u32(reader);
    const uint8_t *at;

    if (there != len)
        reader->bad = true;
    at = take(reader, len);
    if (at && len > 0)
        memcpy(out, at, len);
}

const char *wire_get_string(struct wire_reader *reader)
{
    uint32_t len = wire_get_u32(reader);
    const uint8_t *at;

    if (len == NO_STRING)
        return NULL;
    at = take(reader, len);
    if (at && (len == 0 || memchr(at, '\0', len) != at + len - 1)) {
        reader->bad = true;
        return NULL;
    }
    return (const char *)at;
}

bool wire_complete(const struct wire_reader *reader)
{
    return !reader->bad && reader->at == reader->end;
}
