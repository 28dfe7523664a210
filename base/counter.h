// SPDX-License-Identifier: Apache-2.0
/*
 * Counters for statistics: written by one thread at a time (the only one, or whoever holds the
 * lock), read by any at any moment. Adding costs a load and a store, no locked instruction and no
 * lock; a reader sees each counter whole, but several of them not from one moment.
 */
#ifndef HUSK_BASE_COUNTER_H
#define HUSK_BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
    _Atomic uint64_t value; /* zero-initialise */
};

static inline void counter_add(struct counter *counter, uint64_t amount)
{
    uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);

    atomic_store_explicit(&counter->value, value + amount, memory_order_relaxed);
}

static inline uint64_t counter_read(const struct counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

#endif
