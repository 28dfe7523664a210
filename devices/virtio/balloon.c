// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-balloon (virtio 1.2, section 5.5), for what its driver gives back by itself: free page
 * reporting (5.5.6.7). The host asks for no page (num_pages is 0); a driver that inflates all the
 * same loses those pages, as it wished.
 *
 * What is given back is dropped from guest memory: the guest finds zeroes, or what the kernel's
 * file has there, when it uses the page again. While memory is pinned for a device of the host's
 * nothing is dropped, and the pages count as given back for the driver only.
 *
 * Queues: 0 inflates, 1 deflates. The queue of reports is 4 by the specification (5.5.2) and 2 by
 * Linux, which leaves out the numbers of queues that no accepted feature asks for; here each of
 * 2 to 4 takes reports, for the two between them belong to features that are not offered.
 *
 * Threads: notify runs on the I/O thread. A kick serves at most BUDGET_CHAINS, the rest follows in
 * a later round of the loop. Dropping pages takes time by their number only, and to get many a
 * guest has to touch many.
 */
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/counter.h"
#include "base/event_loop.h"
#include "devices/virtio/devices.h"
#include "vmm/memory.h"

#define QUEUE_SIZE    128
#define QUEUES        5u
#define BUDGET_CHAINS 32u
#define PFNS_MAX      256u /* of one inflation that are looked at; Linux' driver sends no more */

enum { INFLATE, DEFLATE, FIRST_REPORTS };

/* struct virtio_balloon_config as far as offered features reach (5.5.4). */
struct balloon_config {
    uint8_t num_pages[4];
    uint8_t actual[4]; /* the driver's */
};

struct virtio_balloon {
    struct virtio_device virtio;
    struct guest_memory *memory;
    struct event_timer *again; /* a budget was spent, and chains are left */
    struct virtq_chain chain;  /* scratch of balloon_notify() */
    struct balloon_config config;
    unsigned waiting; /* queues that `again` is for, a bit each */
    struct counter dropped_bytes;
};

static void drop(struct virtio_balloon *balloon, void *at, uint64_t len)
{
    uint64_t dropped = guest_memory_drop(balloon->memory, at, len);

    counter_add(&balloon->dropped_bytes, dropped);
}

/* 5.5.6.7: the pages are the buffers. */
static void take_report(struct virtio_balloon *balloon)
{
    const struct virtq_chain *chain = &balloon->chain;

    for (unsigned i = 0; i < chain->writable_count; i++) {
        const struct iovec *pages = &chain->iov[chain->readable_count + i];

        drop(balloon, pages->iov_base, pages->iov_len);
    }
}

/* 5.5.6: an array of page frame numbers of 4 KiB each, little-endian, 32 bits. */
static void take_inflation(struct virtio_balloon *balloon)
{
    const struct virtq_chain *chain = &balloon->chain;
    uint8_t pfns[PFNS_MAX * 4];
    size_t len = iov_to_buf(chain->iov, chain->readable_count, 0, pfns, sizeof(pfns));

    for (size_t i = 0; i + 4 <= len; i += 4) {
        gpa_t address = gpa((uint64_t)get_le32(pfns + i) << VIRTIO_BALLOON_PFN_SHIFT);
        void *page = guest_memory_at(balloon->memory, address, 1u << VIRTIO_BALLOON_PFN_SHIFT);

        if (page)
            drop(balloon, page, 1u << VIRTIO_BALLOON_PFN_SHIFT);
    }
}

/* 1, 0 when there is none, or -EPROTO: the queue is broken. */
static int serve_chain(struct virtio_balloon *balloon, unsigned index)
{
    struct virtqueue *queue = &balloon->virtio.queues[index];
    int ret = virtqueue_pop(queue, &balloon->chain);

    if (ret <= 0)
        return ret;
    if (index == INFLATE)
        take_inflation(balloon);
    else if (index >= FIRST_REPORTS &&
             virtio_device_has_feature(&balloon->virtio, VIRTIO_BALLOON_F_REPORTING))
        take_report(balloon);
    /* A page that is taken back by deflating needs nothing: it is there when it is touched. */
    virtqueue_push(queue, balloon->chain.head, 0);
    return 1;
}

static void balloon_notify(struct virtio_device *virtio, unsigned index)
{
    struct virtio_balloon *balloon = (struct virtio_balloon *)virtio;
    unsigned budget = BUDGET_CHAINS;
    int ret;

    do {
        do {
            ret = serve_chain(balloon, index);
        } while (ret > 0 && --budget > 0);
    } while (ret == 0 && virtqueue_enable_notify(&virtio->queues[index]));
    if (ret < 0) {
        virtio_device_failed(virtio, "the driver broke the queue");
        return;
    }
    if (ret > 0) {
        balloon->waiting |= 1u << index;
        event_timer_arm(balloon->again, 0);
    }
    virtio_device_signal_queue(virtio, index);
}

static void on_again(void *arg)
{
    struct virtio_balloon *balloon = arg;
    unsigned waiting;

    virtio_device_lock(&balloon->virtio);
    waiting = balloon->waiting;
    balloon->waiting = 0;
    virtio_device_unlock(&balloon->virtio);
    for (unsigned i = 0; i < QUEUES; i++) {
        if (waiting & 1u << i)
            virtio_device_kick(&balloon->virtio, i);
    }
}

static void balloon_config_read(struct virtio_device *virtio, uint32_t offset, void *data,
                                unsigned size)
{
    const struct virtio_balloon *balloon = (const struct virtio_balloon *)virtio;

    memcpy(data, (const uint8_t *)&balloon->config + offset, size);
}

/* 5.5.6.1: the driver says how many pages the balloon has. Nothing else is its to write. */
static void balloon_config_write(struct virtio_device *virtio, uint32_t offset, const void *data,
                                 unsigned size)
{
    struct virtio_balloon *balloon = (struct virtio_balloon *)virtio;

    if (offset == offsetof(struct balloon_config, actual) && size == sizeof(balloon->config.actual))
        memcpy(balloon->config.actual, data, size);
}

static int balloon_activate(struct virtio_device *virtio)
{
    return 0;
}

static void balloon_reset(struct virtio_device *virtio)
{
    struct virtio_balloon *balloon = (struct virtio_balloon *)virtio;

    event_timer_disarm(balloon->again);
    balloon->waiting = 0;
    memset(balloon->config.actual, 0, sizeof(balloon->config.actual));
}

static void balloon_destroy(struct virtio_device *virtio)
{
    struct virtio_balloon *balloon = (struct virtio_balloon *)virtio;

    event_timer_remove(balloon->again);
    free(balloon);
}

static const struct virtio_device_ops balloon_ops = {
    .name = "virtio-balloon",
    .activate = balloon_activate,
    .reset = balloon_reset,
    .notify = balloon_notify,
    .config_read = balloon_config_read,
    .config_write = balloon_config_write,
    .destroy = balloon_destroy,
};

int virtio_balloon_create(const struct device_env *env, struct virtio_device **out)
{
    static const uint16_t sizes[QUEUES] = {QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE, QUEUE_SIZE,
                                           QUEUE_SIZE};
    struct virtio_balloon *balloon = calloc(1, sizeof(*balloon));
    int ret;

    if (!balloon)
        return -ENOMEM;
    ret = event_loop_add_timer(env->loop, on_again, balloon, &balloon->again);
    if (ret) {
        free(balloon);
        return ret;
    }
    ret = virtio_device_init(&balloon->virtio, &balloon_ops, VIRTIO_ID_BALLOON,
                             UINT64_C(1) << VIRTIO_BALLOON_F_REPORTING, sizes, QUEUES,
                             sizeof(balloon->config), env);
    if (ret) {
        event_timer_remove(balloon->again);
        free(balloon);
        return ret;
    }
    balloon->memory = env->memory;
    *out = &balloon->virtio;
    return 0;
}

uint64_t virtio_balloon_dropped(struct virtio_device *virtio)
{
    return counter_read(&((struct virtio_balloon *)virtio)->dropped_bytes);
}
