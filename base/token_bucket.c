// SPDX-License-Identifier: Apache-2.0
/* Token bucket arithmetic: see token_bucket.h. */
#include "base/token_bucket.h"

#include "base/checked.h"

#define SECOND_NS 1000000000ull

/* tokens * SECOND_NS / rate, rounded up, saturating. */
static uint64_t time_for(uint64_t tokens, uint64_t rate_per_s)
{
    unsigned __int128 ns = (unsigned __int128)tokens * SECOND_NS + rate_per_s - 1;

    ns /= rate_per_s;
    return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

static void refill(struct token_bucket *bucket, uint64_t now_ns)
{
    unsigned __int128 earned;
    uint64_t tokens;

    if (now_ns <= bucket->last_ns)
        return;
    earned = (unsigned __int128)(now_ns - bucket->last_ns) * bucket->rate_per_s / SECOND_NS;
    if (earned == 0)
        return; /* keep last_ns, so that slow rates still add up */
    if (earned >= (unsigned __int128)bucket->debt + bucket->capacity) {
        bucket->debt = 0;
        bucket->level = bucket->capacity;
        bucket->last_ns = now_ns;
        return;
    }
    tokens = (uint64_t)earned;
    /* Only the time that whole tokens took is spent. */
    bucket->last_ns += (uint64_t)(earned * SECOND_NS / bucket->rate_per_s);
    if (tokens <= bucket->debt) {
        bucket->debt -= tokens;
        return;
    }
    tokens -= bucket->debt;
    bucket->debt = 0;
    bucket->level = min_u64(bucket->capacity, bucket->level + tokens);
}

void token_bucket_init(struct token_bucket *bucket, uint64_t rate_per_s, uint64_t capacity,
                       uint64_t now_ns)
{
    bucket->rate_per_s = rate_per_s;
    bucket->capacity = capacity ? capacity : rate_per_s;
    /* Half the range keeps level + earned from wrapping. */
    bucket->capacity = min_u64(bucket->capacity, UINT64_MAX / 2);
    bucket->level = bucket->capacity;
    bucket->debt = 0;
    bucket->last_ns = now_ns;
}

bool token_bucket_take(struct token_bucket *bucket, uint64_t tokens, uint64_t now_ns,
                       uint64_t *wait_ns)
{
    uint64_t missing;

    if (bucket->rate_per_s == 0)
        return true;
    refill(bucket, now_ns);
    if (bucket->debt == 0) {
        if (tokens <= bucket->level) {
            bucket->level -= tokens;
            return true;
        }
        if (bucket->level == bucket->capacity) {
            bucket->debt = min_u64(tokens - bucket->level, UINT64_MAX / 2);
            bucket->level = 0;
            return true;
        }
    }
    missing = bucket->debt + min_u64(tokens, bucket->capacity) - bucket->level;
    *wait_ns = max_u64(1, time_for(missing, bucket->rate_per_s));
    return false;
}
