// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-rng (virtio 1.2, section 5.4): one queue of device-writable buffers that are filled with
 * entropy from the host's getrandom().
 *
 * Threads: notify runs on the I/O thread. A kick fills at most BUDGET_BYTES, so that a guest that
 * asks without end does not keep other devices waiting: the rest follows in a later round of the
 * loop. A chain gets at most CHAIN_BYTES; the used length says how much (5.4.6.1: the driver copes
 * with less). With a rate limit a chain waits in the ring until its bytes may be had.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/checked.h"
#include "base/counter.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "base/token_bucket.h"
#include "devices/virtio/devices.h"

#define QUEUE_SIZE   64
#define CHAIN_BYTES  4096u
#define BUDGET_BYTES (64u * 1024)

struct virtio_rng {
    struct virtio_device virtio;
    struct event_timer *again; /* the budget was spent, or the limit reached, and chains are left */
    struct token_bucket bytes;
    struct virtq_chain chain; /* scratch of rng_notify() */
    struct counter given_bytes;
};

static size_t wanted_bytes(const struct virtq_chain *chain)
{
    return min_u64(chain->writable_bytes, CHAIN_BYTES);
}

/* Entropy into one chain; returns the bytes written. */
static uint32_t fill_chain(const struct virtq_chain *chain)
{
    const struct iovec *writable = chain->iov + chain->readable_count;
    uint8_t entropy[CHAIN_BYTES];
    ssize_t got;

    /* Never waits: a host whose pool is not ready yet (early boot) gives nothing this time. */
    got = getrandom(entropy, wanted_bytes(chain), GRND_NONBLOCK);
    if (got <= 0)
        return 0;
    return (uint32_t)iov_from_buf(writable, chain->writable_count, 0, entropy, (size_t)got);
}

/* Serve one chain: 1, 0 when there is none, -EPROTO (the queue is broken), or -EAGAIN when the
 * limit is reached, for *wait_ns. */
static int serve_chain(struct virtio_rng *rng, struct virtqueue *queue, uint64_t *wait_ns)
{
    int ret = virtqueue_pop(queue, &rng->chain);
    uint32_t given;

    if (ret <= 0)
        return ret;
    if (!token_bucket_take(&rng->bytes, wanted_bytes(&rng->chain), monotonic_ns(), wait_ns)) {
        virtqueue_unpop(queue);
        return -EAGAIN;
    }
    /* 5.4.6.1: buffers are device-writable; others get nothing. */
    given = fill_chain(&rng->chain);
    virtqueue_push(queue, rng->chain.head, given);
    counter_add(&rng->given_bytes, given);
    return 1;
}

static void rng_notify(struct virtio_device *virtio, unsigned index)
{
    struct virtio_rng *rng = (struct virtio_rng *)virtio;
    struct virtqueue *queue = &virtio->queues[index];
    unsigned budget = BUDGET_BYTES / CHAIN_BYTES;
    uint64_t wait_ns = 0;
    int ret;

    do {
        do {
            ret = serve_chain(rng, queue, &wait_ns);
        } while (ret > 0 && --budget > 0);
    } while (ret == 0 && virtqueue_enable_notify(queue));
    if (ret < 0 && ret != -EAGAIN) {
        virtio_device_failed(virtio, "the driver broke the queue");
        return;
    }
    if (ret != 0)
        event_timer_arm(rng->again, wait_ns);
    virtio_device_signal_queue(virtio, index);
}

static void on_again(void *arg)
{
    virtio_device_kick(arg, 0);
}

static int rng_activate(struct virtio_device *virtio)
{
    return 0;
}

static void rng_reset(struct virtio_device *virtio)
{
    event_timer_disarm(((struct virtio_rng *)virtio)->again);
}

static void rng_destroy(struct virtio_device *virtio)
{
    struct virtio_rng *rng = (struct virtio_rng *)virtio;

    event_timer_remove(rng->again);
    free(rng);
}

static const struct virtio_device_ops rng_ops = {
    .name = "virtio-rng",
    .activate = rng_activate,
    .reset = rng_reset,
    .notify = rng_notify,
    .destroy = rng_destroy,
};

int virtio_rng_create(const struct device_env *env, const struct rate_limit *rate,
                      struct virtio_device **out)
{
    static const uint16_t sizes[] = {QUEUE_SIZE};
    struct virtio_rng *rng = calloc(1, sizeof(*rng));
    int ret;

    if (!rng)
        return -ENOMEM;
    ret = event_loop_add_timer(env->loop, on_again, &rng->virtio, &rng->again);
    if (ret) {
        free(rng);
        return ret;
    }
    ret = virtio_device_init(&rng->virtio, &rng_ops, VIRTIO_ID_RNG, 0, sizes, 1, 0, env);
    if (ret) {
        event_timer_remove(rng->again);
        free(rng);
        return ret;
    }
    token_bucket_init(&rng->bytes, rate->per_second, rate->burst, monotonic_ns());
    *out = &rng->virtio;
    return 0;
}

uint64_t virtio_rng_bytes(struct virtio_device *virtio)
{
    return counter_read(&((struct virtio_rng *)virtio)->given_bytes);
}
