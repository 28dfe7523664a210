// SPDX-License-Identifier: Apache-2.0
/*
 * Little-endian integers at any alignment. Tables, rings, registers and files are read and written
 * through these, never by casting a byte pointer to a struct.
 */
#ifndef HUSK_BASE_BYTES_H
#define HUSK_BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get_le16(const void *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return le16toh(v);
}

static inline uint32_t get_le32(const void *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

static inline uint64_t get_le64(const void *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static inline void put_le16(void *p, uint16_t v)
{
    v = htole16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void put_le32(void *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void put_le64(void *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

/* The low `size` bytes (1, 2, 4 or 8) of a bus access as a number; other sizes give 0. */
static inline uint64_t get_le_sized(const void *p, unsigned size)
{
    switch (size) {
    case 1:
        return *(const uint8_t *)p;
    case 2:
        return get_le16(p);
    case 4:
        return get_le32(p);
    case 8:
        return get_le64(p);
    default:
        return 0;
    }
}

static inline void put_le_sized(void *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1:
        *(uint8_t *)p = (uint8_t)v;
        break;
    case 2:
        put_le16(p, (uint16_t)v);
        break;
    case 4:
        put_le32(p, (uint32_t)v);
        break;
    case 8:
        put_le64(p, v);
        break;
    default:
        break;
    }
}

#endif
