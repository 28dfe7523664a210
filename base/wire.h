// SPDX-License-Identifier: Apache-2.0
/*
 * Writing and reading the fields of a message in a buffer of fixed size: little-endian integers
 * one after the other, strings and byte ranges with their length before them.
 *
 * Neither side ever leaves its buffer: what does not fit, or is not there, makes the object `bad`,
 * and everything after it does nothing (reads give 0, "" or nothing). One look at `bad` after the
 * last field is all the checking there is.
 */
#ifndef HUSK_BASE_WIRE_H
#define HUSK_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_writer {
    uint8_t *start, *at, *end;
    bool bad;
};

struct wire_reader {
    const uint8_t *at, *end;
    bool bad;
};

void wire_writer_init(struct wire_writer *writer, void *buf, size_t size);
size_t wire_written(const struct wire_writer *writer);

void wire_put_u8(struct wire_writer *writer, uint8_t value);
void wire_put_u16(struct wire_writer *writer, uint16_t value);
void wire_put_u32(struct wire_writer *writer, uint32_t value);
void wire_put_u64(struct wire_writer *writer, uint64_t value);

/* A length (32 bits) and the bytes. */
void wire_put_bytes(struct wire_writer *writer, const void *bytes, size_t len);

/* NULL stays NULL. */
void wire_put_string(struct wire_writer *writer, const char *text);

void wire_reader_init(struct wire_reader *reader, const void *buf, size_t len);

uint8_t wire_get_u8(struct wire_reader *reader);
uint16_t wire_get_u16(struct wire_reader *reader);
uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);

/* Exactly `len` bytes, which were put with that length. */
void wire_get_bytes(struct wire_reader *reader, void *out, size_t len);

/* A string inside the buffer, NUL-terminated and without another NUL; NULL when NULL was put, or
 * when bad. */
const char *wire_get_string(struct wire_reader *reader);

/* Whether every field was there and nothing is left. */
bool wire_complete(const struct wire_reader *reader);

#endif
