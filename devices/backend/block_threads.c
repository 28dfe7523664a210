// SPDX-License-Identifier: Apache-2.0
/*
 * The thread engine: a pool executes every request with blocking calls. It works on every kernel
 * and in every sandbox; the io_uring engine is faster where it is permitted.
 */
#include "devices/backend/block_engine.h"

#include <errno.h>
#include <stdlib.h>

struct block_threads {
    struct block_backend backend;
    struct block_pool *pool;
};

static void threads_start(struct block_backend *backend)
{
    struct block_threads *threads = (struct block_threads *)backend;

    block_pool_start(threads->pool, &backend->queued);
}

static void threads_reap(struct block_backend *backend)
{
    struct block_threads *threads = (struct block_threads *)backend;
    struct block_task *task;

    while ((task = block_pool_take_finished(threads->pool)))
        block_backend_finish(backend, task, task->result);
}

static void threads_destroy(struct block_backend *backend)
{
    struct block_threads *threads = (struct block_threads *)backend;

    block_pool_destroy(threads->pool);
    block_backend_release(backend);
    free(threads);
}

static int threads_start_threads(struct block_backend *backend,
                                 const struct thread_prologue *prologue)
{
    struct block_threads *threads = (struct block_threads *)backend;

    return block_pool_start_threads(threads->pool, prologue);
}

static const struct block_engine_ops threads_ops = {
    .name = "threads",
    .start = threads_start,
    .reap = threads_reap,
    .start_threads = threads_start_threads,
    .wait = block_backend_wait_event,
    .destroy = threads_destroy,
};

int block_threads_create(int fd, unsigned depth, struct block_backend **out)
{
    struct block_threads *threads = calloc(1, sizeof(*threads));
    int rc;

    if (!threads)
        return -ENOMEM;
    rc = block_backend_init(&threads->backend, &threads_ops, fd, depth);
    if (rc == 0)
        rc = block_pool_create(&threads->backend, BLOCK_POOL_MAX_THREADS, &threads->pool);
    if (rc) {
        threads_destroy(&threads->backend);
        return rc;
    }
    *out = &threads->backend;
    return 0;
}
