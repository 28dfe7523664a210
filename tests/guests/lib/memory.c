// SPDX-License-Identifier: Apache-2.0
/* Memory: what compilers call by themselves, and an allocator that only goes up. */
#include "guest.h"

#define ARENA_BYTES (4u << 20)

static uint8_t arena[ARENA_BYTES] __attribute__((aligned(4096)));
static size_t used;

void *memset(void *to, int value, size_t len)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(value) : "memory");
    return to;
}

void *memcpy(void *to, const void *from, size_t len)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
    const uint8_t *x = a, *y = b;

    for (size_t i = 0; i < len; i++) {
        if (x[i] != y[i])
            return x[i] - y[i];
    }
    return 0;
}

void *allocate(size_t len, size_t align)
{
    size_t at = (used + align - 1) & ~(align - 1);

    if (len > ARENA_BYTES || at > ARENA_BYTES - len)
        give_up("allocate", "the guest's own memory is used up");
    used = at + len;
    return memset(arena + at, 0, len);
}

size_t allocation_mark(void)
{
    return used;
}

void allocation_release(size_t mark)
{
    used = mark;
}
