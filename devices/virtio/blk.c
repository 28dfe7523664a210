// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-blk (virtio 1.2, section 5.2): a disk. Requests are checked (blk_request.c), handed to an
 * asynchronous backend that reads and writes guest memory directly, and answered as they finish, in
 * any order. All queues share the backend and its request slots.
 *
 * A queue is served until it is empty, or until it must wait; then its bit is in `waiting` and its
 * driver need not kick:
 *
 *     all slots are in flight    goes on when a request finishes
 *     a rate limit is reached    goes on by the timer; the chain stays in the ring
 *     its turn is over           goes on by the timer, after the other devices of the I/O thread
 *     the backend is replaced    goes on when that is done (blk_live.c)
 *
 * Threads: everything is guarded by the device's lock. blk_serve() runs on the I/O thread and never
 * waits for the disk; reset and pause wait for what is in flight.
 *
 * Invariants:
 *  1. There are as many slots as the backend takes requests, so that submitting cannot fail.
 *  2. While `held`, nothing is submitted; what the driver asks for waits in its rings.
 *  3. After a reset or a failure no status and no used ring is written for an older request:
 *     `forgetting`, or an inactive device, turns a completion into the release of its slot.
 */
#include "devices/virtio/devices.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "devices/virtio/blk_internal.h"

#define MAX_QUEUES 16u
#define NEVER      UINT64_MAX

/* What one turn may ask for: transfers that the page cache can serve are copied while they are
 * submitted, and the other devices of the I/O thread wait. */
#define TURN_BYTES (4u << 20)

static struct blk_request *take_slot(struct virtio_blk *blk)
{
    struct blk_request *request = blk->unused;

    if (request)
        blk->unused = request->next_unused;
    else if (blk->fresh < blk->slot_count)
        request = &blk->slots[blk->fresh++];
    return request;
}

static void release_slot(struct virtio_blk *blk, struct blk_request *request)
{
    request->next_unused = blk->unused;
    blk->unused = request;
}

static bool has_slot(const struct virtio_blk *blk)
{
    return blk->unused || blk->fresh < blk->slot_count;
}

static void count_request(struct blk_counters *counters, const struct blk_request *request,
                          uint8_t status)
{
    bool ok = status == BLK_S_OK;

    if (!ok)
        counter_add(&counters->failed_requests, 1);
    switch (request->type) {
    case BLK_T_IN:
        counter_add(&counters->read_requests, 1);
        counter_add(&counters->read_bytes, ok ? request->written - 1 : 0);
        break;
    case BLK_T_OUT:
        counter_add(&counters->write_requests, 1);
        counter_add(&counters->write_bytes, ok ? request->io.len_bytes : 0);
        break;
    case BLK_T_FLUSH:
        counter_add(&counters->flush_requests, 1);
        break;
    default:
        counter_add(&counters->other_requests, 1);
    }
}

/* A failed request wrote its status only. */
static void answer_request(struct virtio_blk *blk, struct blk_request *request, uint8_t status)
{
    *request->status = status;
    virtqueue_push(&blk->device.queues[request->queue], request->chain.head,
                   status == BLK_S_OK ? request->written : 1);
    count_request(&blk->counters, request, status);
    blk->to_signal |= 1u << request->queue;
}

static void report_error(struct virtio_blk *blk, const struct block_request *io, int result)
{
    static const char *const names[] = {"read", "write", "flush", "discard", "zeroing"};

    log_limited(blk->device.log, &blk->error_limit, LOG_LEVEL_WARN, "virtio-blk",
                "%s of %llu bytes at %llu failed: %s", names[io->op],
                (unsigned long long)io->len_bytes, (unsigned long long)io->offset_bytes,
                error_text(-result));
}

static void request_done(struct block_request *io, int result)
{
    struct blk_request *request = container_of(io, struct blk_request, io);
    struct virtio_blk *blk = request->blk;

    if (result)
        report_error(blk, io, result);
    if (blk->device.active && !blk->forgetting)
        answer_request(blk, request,
                       result == 0             ? BLK_S_OK
                       : result == -EOPNOTSUPP ? BLK_S_UNSUPP
                                               : BLK_S_IOERR);
    release_slot(blk, request);
    if (blk->held && block_backend_in_flight(blk->backend) == 0)
        pthread_cond_signal(&blk->idle);
}

/* ---- queues ---- */

enum step {
    STEP_TAKEN,     /* one chain was answered or submitted */
    STEP_EMPTY,     /* the ring is empty */
    STEP_FULL,      /* no slot */
    STEP_THROTTLED, /* *wait_ns says how long */
    STEP_FAILED,    /* the device needs a reset */
};

/* What the bandwidth limit counts: bytes that move, or may have to. */
static uint64_t charged_bytes(const struct block_request *io)
{
    return io->op == BLOCK_DISCARD || io->op == BLOCK_FLUSH ? 0 : io->len_bytes;
}

static bool take_tokens(struct token_bucket *bucket, uint64_t tokens, uint64_t *wait_ns)
{
    return bucket->rate_per_s == 0 || tokens == 0 ||
           token_bucket_take(bucket, tokens, monotonic_ns(), wait_ns);
}

/* Pop, check and start one chain into a slot; the slot is the caller's unless STEP_TAKEN. */
static enum step start_chain(struct virtio_blk *blk, unsigned index, struct blk_request *request,
                             uint64_t *wait_ns)
{
    struct virtqueue *queue = &blk->device.queues[index];
    enum blk_verdict verdict;
    int rc = virtqueue_pop(queue, &request->chain);

    if (rc == 0)
        return STEP_EMPTY;
    if (rc < 0) {
        virtio_device_failed(&blk->device, "queue %u: malformed ring or descriptors", index);
        return STEP_FAILED;
    }
    verdict = blk_request_parse(request, &blk->disk);
    if (verdict == BLK_MALFORMED) {
        virtio_device_failed(&blk->device, "queue %u: a request without header or status", index);
        return STEP_FAILED;
    }
    if (verdict == BLK_SUBMIT &&
        !take_tokens(&blk->bandwidth, charged_bytes(&request->io), wait_ns)) {
        virtqueue_unpop(queue);
        return STEP_THROTTLED;
    }

    blk->operation_paid = false;
    request->blk = blk;
    request->queue = index;
    request->io.done = request_done;
    if (verdict == BLK_SUBMIT && block_backend_submit(blk->backend, &request->io) == 0) {
        blk->turn_bytes += charged_bytes(&request->io);
        return STEP_TAKEN;
    }
    answer_request(blk, request, verdict == BLK_SUBMIT ? BLK_S_IOERR : request->answer);
    release_slot(blk, request);
    return STEP_TAKEN;
}

static enum step take_chain(struct virtio_blk *blk, unsigned index, uint64_t *wait_ns)
{
    struct blk_request *request;
    enum step step;

    if (virtqueue_pending(&blk->device.queues[index]) == 0)
        return STEP_EMPTY;
    request = take_slot(blk);
    if (!request)
        return STEP_FULL;
    if (!blk->operation_paid && !take_tokens(&blk->operations, 1, wait_ns)) {
        release_slot(blk, request);
        return STEP_THROTTLED;
    }
    blk->operation_paid = true;
    step = start_chain(blk, index, request, wait_ns);
    if (step != STEP_TAKEN)
        release_slot(blk, request);
    return step;
}

/* One queue's part of a turn, at most one ring full of chains. Returns when to come back: after so
 * many nanoseconds, or NEVER when a kick or a completion will tell. */
static uint64_t serve_queue(struct virtio_blk *blk, unsigned index)
{
    struct virtqueue *queue = &blk->device.queues[index];
    enum step step = STEP_TAKEN;
    uint64_t wait_ns = 0;

    blk->waiting &= ~(1u << index);
    virtqueue_disable_notify(queue);
    for (unsigned budget = queue->size; budget && blk->turn_bytes < TURN_BYTES; budget--) {
        step = take_chain(blk, index, &wait_ns);
        /* Chains that came between the last look and the enabling have no kick. */
        if (step == STEP_FAILED || (step == STEP_EMPTY && !virtqueue_enable_notify(queue)))
            return NEVER;
        if (step == STEP_FULL || step == STEP_THROTTLED)
            break;
    }
    if (step == STEP_THROTTLED)
        counter_add(&blk->counters.throttled, 1);
    blk->waiting |= 1u << index;
    return step == STEP_FULL ? NEVER : wait_ns;
}

/* Interrupt once per queue for all that was answered. */
static void signal_queues(struct virtio_blk *blk)
{
    for (unsigned i = 0; i < blk->device.queue_count; i++) {
        if (blk->to_signal & (1u << i) && blk->device.active)
            virtio_device_signal_queue(&blk->device, i);
    }
    blk->to_signal = 0;
}

void blk_serve(struct virtio_blk *blk, uint32_t queues)
{
    struct virtio_device *device = &blk->device;
    unsigned count = device->queue_count ? device->queue_count : 1; /* never 0: see create */
    uint64_t again_ns = NEVER;

    block_backend_reap(blk->backend);
    queues |= blk->waiting;
    blk->turn_bytes = 0;
    if (blk->held) { /* they are served when it is over */
        blk->waiting = queues;
        queues = 0;
    }
    for (unsigned i = 0; i < count && device->active && !device->paused; i++) {
        unsigned index = (blk->first + i) % count;

        if (queues & (1u << index))
            again_ns = min_u64(again_ns, serve_queue(blk, index));
    }
    blk->first = (blk->first + 1) % count;

    block_backend_kick(blk->backend);
    /* What the page cache held is finished already: answer without another round of the loop. */
    block_backend_reap(blk->backend);
    if (blk->waiting && again_ns == NEVER && has_slot(blk) && !blk->held)
        again_ns = 0;
    if (again_ns != NEVER && device->active && !device->paused)
        event_timer_arm(blk->timer, again_ns);
    signal_queues(blk);
}

void blk_completions_ready(void *arg, uint32_t events)
{
    struct virtio_blk *blk = arg;

    virtio_device_lock(&blk->device);
    blk_serve(blk, 0);
    virtio_device_unlock(&blk->device);
}

static void timer_expired(void *arg)
{
    blk_completions_ready(arg, 0);
}

/* ---- operations of the device ---- */

static int blk_activate(struct virtio_device *device)
{
    struct virtio_blk *blk = to_blk(device);

    blk->disk.discard = virtio_device_has_feature(device, BLK_F_DISCARD);
    blk->disk.write_zeroes = virtio_device_has_feature(device, BLK_F_WRITE_ZEROES);
    blk->disk.write_through = !virtio_device_has_feature(device, BLK_F_FLUSH);
    return 0;
}

static void blk_reset(struct virtio_device *device)
{
    struct virtio_blk *blk = to_blk(device);

    blk->forgetting = true;
    block_backend_drain(blk->backend);
    blk->forgetting = false;
    event_timer_disarm(blk->timer);
    blk->waiting = 0;
    blk->to_signal = 0;
    blk->operation_paid = false;
}

static void blk_notify(struct virtio_device *device, unsigned queue)
{
    blk_serve(to_blk(device), 1u << queue);
}

static void blk_config_read(struct virtio_device *device, uint32_t offset, void *data,
                            unsigned size)
{
    memcpy(data, to_blk(device)->config + offset, size);
}

static void blk_pause(struct virtio_device *device)
{
    struct virtio_blk *blk = to_blk(device);

    block_backend_drain(blk->backend);
    event_timer_disarm(blk->timer);
    signal_queues(blk);
}

static void blk_resume(struct virtio_device *device)
{
    blk_serve(to_blk(device), 0);
}

static void blk_destroy(struct virtio_device *device)
{
    struct virtio_blk *blk = to_blk(device);

    blk->forgetting = true;
    event_source_remove(blk->completions);
    if (blk->timer)
        event_timer_remove(blk->timer);
    block_backend_destroy(blk->backend);
    pthread_cond_destroy(&blk->idle);
    free(blk->slots);
    free(blk);
}

static const struct virtio_device_ops blk_ops = {
    .name = "virtio-blk",
    .activate = blk_activate,
    .reset = blk_reset,
    .notify = blk_notify,
    .config_read = blk_config_read,
    .pause = blk_pause,
    .resume = blk_resume,
    .destroy = blk_destroy,
};

static uint64_t offered_features(const struct virtio_blk_config *config)
{
    uint64_t features = 1u << BLK_F_SEG_MAX | 1u << BLK_F_BLK_SIZE;

    if (config->queues > 1)
        features |= 1u << BLK_F_MQ;
    if (config->read_only)
        return features | 1u << BLK_F_RO;
    features |= 1u << BLK_F_FLUSH | 1u << BLK_F_WRITE_ZEROES;
    if (config->can_discard)
        features |= 1u << BLK_F_DISCARD;
    return features;
}

static void fill_config_space(uint8_t *space, const struct virtio_blk_config *config)
{
    put_le64(space + BLK_CONFIG_CAPACITY, config->size_bytes / BLK_SECTOR_BYTES);
    /* All of the longest chain but header and status. */
    put_le32(space + BLK_CONFIG_SEG_MAX, VIRTQUEUE_MAX_SIZE - 2);
    put_le32(space + BLK_CONFIG_BLK_SIZE, BLK_SECTOR_BYTES);
    put_le16(space + BLK_CONFIG_NUM_QUEUES, (uint16_t)config->queues);
    if (config->read_only)
        return;
    put_le32(space + BLK_CONFIG_MAX_ZERO_SECTORS, BLK_MAX_ZERO_SECTORS);
    put_le32(space + BLK_CONFIG_MAX_ZERO_SEG, 1);
    space[BLK_CONFIG_ZERO_MAY_UNMAP] = config->can_discard;
    if (config->can_discard) {
        put_le32(space + BLK_CONFIG_MAX_DISCARD_SECTORS, BLK_MAX_DISCARD_SECTORS);
        put_le32(space + BLK_CONFIG_MAX_DISCARD_SEG, 1);
        put_le32(space + BLK_CONFIG_DISCARD_ALIGNMENT, BLK_DISCARD_ALIGN_SECTORS);
    }
}

/* What needs the loop: last, because from here on callbacks may come. */
static int watch(struct virtio_blk *blk)
{
    int rc = event_loop_add_timer(blk->loop, timer_expired, blk, &blk->timer);

    if (rc == 0)
        rc = event_loop_add(blk->loop, block_backend_event_fd(blk->backend), EPOLLIN,
                            blk_completions_ready, blk, &blk->completions);
    return rc;
}

int virtio_blk_create(const struct device_env *env, const struct virtio_blk_config *config,
                      struct virtio_device **out)
{
    uint64_t now = monotonic_ns();
    uint16_t queue_sizes[MAX_QUEUES];
    struct virtio_blk *blk;
    int rc;

    if (config->queues == 0 || config->queues > MAX_QUEUES || config->size_bytes < BLK_SECTOR_BYTES)
        return -EINVAL;
    blk = calloc(1, sizeof(*blk));
    if (!blk)
        return -ENOMEM;
    blk->slot_count = block_backend_depth(config->backend);
    blk->slots = calloc(blk->slot_count, sizeof(*blk->slots));
    if (!blk->slots) {
        free(blk);
        return -ENOMEM;
    }
    blk->disk.capacity_sectors = config->size_bytes / BLK_SECTOR_BYTES;
    blk->disk.read_only = config->read_only;
    memcpy(blk->disk.id, config->serial, sizeof(blk->disk.id));
    fill_config_space(blk->config, config);
    token_bucket_init(&blk->operations, config->operations.per_second, config->operations.burst,
                      now);
    token_bucket_init(&blk->bandwidth, config->bandwidth.per_second, config->bandwidth.burst, now);

    for (unsigned i = 0; i < config->queues; i++)
        queue_sizes[i] = VIRTQUEUE_MAX_SIZE;
    rc = virtio_device_init(&blk->device, &blk_ops, VIRTIO_ID_BLOCK, offered_features(config),
                            queue_sizes, config->queues, BLK_CONFIG_BYTES, env);
    if (rc) {
        free(blk->slots);
        free(blk);
        return rc;
    }
    pthread_cond_init(&blk->idle, NULL);
    blk->loop = env->loop;
    blk->backend = config->backend;
    rc = watch(blk);
    if (rc) {
        blk->backend = NULL; /* still the caller's */
        virtio_device_destroy(&blk->device);
        return rc;
    }
    *out = &blk->device;
    return 0;
}
