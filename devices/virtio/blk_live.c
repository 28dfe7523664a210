// SPDX-License-Identifier: Apache-2.0
/*
 * virtio-blk while the guest runs: another file behind the disk, another size, other limits, and
 * what was counted. Virtio 1.2, section 5.2.5.1: a change of the capacity is announced by a change
 * of the configuration.
 *
 * Replacing the backend keeps the I/O thread free: the calling thread sets `held`, waits until the
 * requests that were started have finished, and only then has the I/O thread exchange the backends.
 *
 * Threads: as devices.h says of each function; everything is guarded by the device's lock.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <time.h>

#include "base/bytes.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "devices/virtio/blk_internal.h"

struct replacement {
    struct virtio_blk *blk;
    struct block_backend *backend; /* the new one; afterwards the one to be destroyed */
    uint64_t size_bytes;
    int result;
};

/* Lock held. */
static void set_capacity(struct virtio_blk *blk, uint64_t size_bytes)
{
    blk->disk.capacity_sectors = size_bytes / BLK_SECTOR_BYTES;
    put_le64(blk->config + BLK_CONFIG_CAPACITY, blk->disk.capacity_sectors);
    virtio_device_config_changed(&blk->device);
}

static void exchange(struct replacement *replacement, struct event_source *completions)
{
    struct virtio_blk *blk = replacement->blk;
    struct block_backend *old = blk->backend;

    event_source_remove(blk->completions);
    blk->completions = completions;
    blk->backend = replacement->backend;
    replacement->backend = old;
    /* The features are the driver's already: a discard that this file cannot do is answered so. */
    if (!blk->disk.read_only)
        blk->config[BLK_CONFIG_ZERO_MAY_UNMAP] = block_backend_can_discard(blk->backend);
    set_capacity(blk, replacement->size_bytes);
}

/* On the I/O thread, or where that does not run, on the caller's. Nothing is in flight. */
static void exchange_and_go_on(void *arg)
{
    struct replacement *replacement = arg;
    struct virtio_blk *blk = replacement->blk;
    struct event_source *completions;

    virtio_device_lock(&blk->device);
    replacement->result = event_loop_add(blk->loop, block_backend_event_fd(replacement->backend),
                                         EPOLLIN, blk_completions_ready, blk, &completions);
    if (replacement->result == 0)
        exchange(replacement, completions);
    blk->held = false;
    blk_serve(blk, 0);
    virtio_device_unlock(&blk->device);
}

/* Have the device start nothing, and wait until what was started has finished: 0, or -ETIMEDOUT and
 * it goes on as before. */
static int hold(struct virtio_blk *blk, unsigned wait_ms)
{
    uint64_t until_ns = monotonic_ns() + (uint64_t)wait_ms * 1000000u;
    const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                                   .tv_nsec = (long)(until_ns % 1000000000u)};
    int rc = 0;

    virtio_device_lock(&blk->device);
    blk->held = true;
    while (block_backend_in_flight(blk->backend) > 0 && rc == 0)
        rc = pthread_cond_clockwait(&blk->idle, &blk->device.lock, CLOCK_MONOTONIC, &until);
    if (block_backend_in_flight(blk->backend) > 0) {
        blk->held = false;
        event_timer_arm(blk->timer, 0); /* for what waits in the rings */
    } else {
        rc = 0;
    }
    virtio_device_unlock(&blk->device);
    return -rc;
}

int virtio_blk_replace(struct virtio_device *device, struct block_backend *backend,
                       uint64_t size_bytes, unsigned wait_ms)
{
    struct virtio_blk *blk = to_blk(device);
    struct replacement replacement = {.blk = blk, .backend = backend, .size_bytes = size_bytes};
    int ret;

    if (size_bytes < BLK_SECTOR_BYTES || block_backend_depth(backend) < blk->slot_count)
        return -EINVAL;
    ret = hold(blk, wait_ms);
    if (ret)
        return ret;
    event_loop_call(blk->loop, exchange_and_go_on, &replacement);
    if (replacement.result == 0)
        block_backend_destroy(replacement.backend);
    return replacement.result;
}

int virtio_blk_resize(struct virtio_device *device, uint64_t size_bytes)
{
    struct virtio_blk *blk = to_blk(device);

    if (size_bytes < BLK_SECTOR_BYTES)
        return -EINVAL;
    virtio_device_lock(device);
    if (size_bytes / BLK_SECTOR_BYTES != blk->disk.capacity_sectors)
        set_capacity(blk, size_bytes);
    virtio_device_unlock(device);
    return 0;
}

bool virtio_blk_is_file(struct virtio_device *device, int fd)
{
    bool same;

    virtio_device_lock(device);
    same = block_backend_is_file(to_blk(device)->backend, fd);
    virtio_device_unlock(device);
    return same;
}

static void set_limit(struct token_bucket *bucket, const struct rate_limit *limit)
{
    if (limit)
        token_bucket_init(bucket, limit->per_second, limit->burst, monotonic_ns());
}

void virtio_blk_set_limits(struct virtio_device *device, const struct rate_limit *operations,
                           const struct rate_limit *bandwidth)
{
    struct virtio_blk *blk = to_blk(device);

    virtio_device_lock(device);
    set_limit(&blk->operations, operations);
    set_limit(&blk->bandwidth, bandwidth);
    /* Who waits for the old limit asks again. */
    if (blk->waiting && device->active && !device->paused)
        event_timer_arm(blk->timer, 0);
    virtio_device_unlock(device);
}

void virtio_blk_read_stats(struct virtio_device *device, struct virtio_blk_stats *out)
{
    const struct blk_counters *counters = &to_blk(device)->counters;

    *out = (struct virtio_blk_stats){
        .read_requests = counter_read(&counters->read_requests),
        .write_requests = counter_read(&counters->write_requests),
        .flush_requests = counter_read(&counters->flush_requests),
        .other_requests = counter_read(&counters->other_requests),
        .read_bytes = counter_read(&counters->read_bytes),
        .write_bytes = counter_read(&counters->write_bytes),
        .failed_requests = counter_read(&counters->failed_requests),
        .throttled = counter_read(&counters->throttled),
    };
}
