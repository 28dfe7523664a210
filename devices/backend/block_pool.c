// SPDX-License-Identifier: Apache-2.0
/*
 * A few threads that execute block tasks with blocking calls. They are started one by one as tasks
 * find no idle thread, so that a disk that is never used, or is served by a ring, costs none.
 *
 * Threads: the functions of block_engine.h run under the device's lock; `lock` is held for moments
 * only and guards what the workers share with them. Workers take no other lock.
 *
 * Invariant: event_fd is signalled after `finished` became non-empty, so a caller who drains
 * event_fd and then empties the list misses nothing.
 */
#include "devices/backend/block_engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/thread.h"

#define STACK_BYTES (256u * 1024)

struct block_pool {
    const struct block_backend *backend; /* whose files these are; constant */
    int event_fd;
    unsigned max_threads;
    pthread_t threads[BLOCK_POOL_MAX_THREADS];
    unsigned thread_count;

    pthread_mutex_t lock;
    pthread_cond_t work;
    struct block_task_list waiting;
    struct block_task_list finished;
    unsigned waiting_count;
    unsigned idle_count;
    bool stopping;
};

static void append_finished(struct block_pool *pool, struct block_task *task)
{
    bool first = !pool->finished.first;

    block_task_list_append(&pool->finished, task);
    if (first)
        eventfd_signal(pool->event_fd);
}

static int execute(const struct block_backend *backend, struct block_task *task)
{
    if (backend->joint)
        return block_joint_execute(backend->joint, task);
    return block_task_execute(backend->fd, backend->is_block_device, task);
}

static void *worker(void *arg)
{
    struct block_pool *pool = arg;

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        struct block_task *task = block_task_list_take(&pool->waiting);

        if (task) {
            pool->waiting_count--;
            pthread_mutex_unlock(&pool->lock);
            task->result = execute(pool->backend, task);
            pthread_mutex_lock(&pool->lock);
            append_finished(pool, task);
        } else if (pool->stopping) {
            break;
        } else {
            pool->idle_count++;
            pthread_cond_wait(&pool->work, &pool->lock);
            pool->idle_count--;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Returns 0 or -errno. */
static int add_worker(struct block_pool *pool, const struct thread_prologue *prologue)
{
    int rc = thread_start_with(&pool->threads[pool->thread_count], "husk-disk", STACK_BYTES,
                               prologue, worker, pool);

    if (rc == 0)
        pool->thread_count++;
    return rc;
}

int block_pool_create(const struct block_backend *backend, unsigned max_threads,
                      struct block_pool **out)
{
    struct block_pool *pool;

    if (max_threads == 0 || max_threads > BLOCK_POOL_MAX_THREADS)
        return -EINVAL;
    pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pool->backend = backend;
    pool->event_fd = backend->event_fd;
    pool->max_threads = max_threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    *out = pool;
    return 0;
}

void block_pool_destroy(struct block_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

int block_pool_start_threads(struct block_pool *pool, const struct thread_prologue *prologue)
{
    int rc = 0;

    pthread_mutex_lock(&pool->lock);
    while (rc == 0 && pool->thread_count < pool->max_threads)
        rc = add_worker(pool, prologue);
    pthread_mutex_unlock(&pool->lock);
    return rc;
}

void block_pool_start(struct block_pool *pool, struct block_task_list *tasks)
{
    struct block_task *task;
    int rc = 0;

    pthread_mutex_lock(&pool->lock);
    while ((task = block_task_list_take(tasks))) {
        block_task_list_append(&pool->waiting, task);
        pool->waiting_count++;
        if (pool->waiting_count <= pool->idle_count)
            pthread_cond_signal(&pool->work);
        else if (pool->thread_count < pool->max_threads && rc == 0)
            rc = add_worker(pool, NULL);
    }
    /* Any thread serves all tasks in the end; without a single one they fail. */
    while (pool->thread_count == 0 && (task = block_task_list_take(&pool->waiting))) {
        pool->waiting_count--;
        task->result = rc;
        append_finished(pool, task);
    }
    pthread_mutex_unlock(&pool->lock);
}

struct block_task *block_pool_take_finished(struct block_pool *pool)
{
    struct block_task *task;

    pthread_mutex_lock(&pool->lock);
    task = block_task_list_take(&pool->finished);
    pthread_mutex_unlock(&pool->lock);
    return task;
}
