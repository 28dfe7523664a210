// SPDX-License-Identifier: Apache-2.0
/*
 * Arithmetic that says when it wrapped. Every size that comes from outside (guest, file, command
 * line) is computed with these; each returns false and leaves *out alone on overflow.
 */
#ifndef HUSK_BASE_CHECKED_H
#define HUSK_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline bool checked_add(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

static inline bool checked_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

/* `align` must be a power of two. */
static inline bool checked_align_up(uint64_t value, uint64_t align, uint64_t *out)
{
    uint64_t sum;

    if (!checked_add(value, align - 1, &sum))
        return false;
    *out = sum & ~(align - 1);
    return true;
}

static inline uint64_t align_down(uint64_t value, uint64_t align)
{
    return value & ~(align - 1);
}

static inline bool is_aligned(uint64_t value, uint64_t align)
{
    return (value & (align - 1)) == 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
