// SPDX-License-Identifier: Apache-2.0
/*
 * A token bucket: pure arithmetic on times given by the caller. Used to limit bytes and operations
 * per second of a device. Not locked.
 */
#ifndef HUSK_BASE_TOKEN_BUCKET_H
#define HUSK_BASE_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct token_bucket {
    uint64_t rate_per_s; /* 0: unlimited */
    uint64_t capacity;   /* burst size in tokens */
    uint64_t level;      /* tokens present; may be "in debt" through `debt` */
    uint64_t debt;       /* tokens owed by one request larger than the capacity */
    uint64_t last_ns;    /* time of the last refill */
};

/* Starts full. capacity 0 means one second's worth of rate_per_s. */
void token_bucket_init(struct token_bucket *bucket, uint64_t rate_per_s, uint64_t capacity,
                       uint64_t now_ns);

/*
 * Take `tokens`. A request larger than the capacity passes when the bucket is full and puts it into
 * debt, so that big requests are slowed, not starved. Returns true when taken; false (and nothing
 * is taken) otherwise, with *wait_ns set to when it is worth asking again (at least 1).
 */
bool token_bucket_take(struct token_bucket *bucket, uint64_t tokens, uint64_t now_ns,
                       uint64_t *wait_ns);

#endif
