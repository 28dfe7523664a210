// SPDX-License-Identifier: Apache-2.0
/*
 * What the parts of the block backend share: the dispatcher (block.c), the engines (block_uring.c,
 * block_threads.c), the pool of helper threads (block_pool.c), and the blocking execution of one
 * request (block_io.c). Devices include block.h only.
 *
 * An engine embeds `struct block_backend` as its first member. A request that was submitted is
 * carried by a task; there are exactly `depth` of them, allocated once, so that nothing is
 * allocated while the guest runs. Except where a function says otherwise, everything here runs
 * under the device's lock.
 */
#ifndef HUSK_DEVICES_BACKEND_BLOCK_ENGINE_H
#define HUSK_DEVICES_BACKEND_BLOCK_ENGINE_H

#include "devices/backend/block.h"

struct block_task {
    struct block_request *request;
    uint64_t done_bytes; /* READ, WRITE: transferred so far; whoever goes on begins behind them */
    int result;          /* once finished: 0 or -errno */
    struct block_task *next;
};

/* First in, first out. All zero is empty. */
struct block_task_list {
    struct block_task *first;
    struct block_task *last;
};

void block_task_list_append(struct block_task_list *list, struct block_task *task);
struct block_task *block_task_list_take(struct block_task_list *list);

/* Where a byte of a joined disk is. */
struct block_place {
    int fd;
    uint64_t offset_bytes; /* in that file */
    uint64_t left_bytes;   /* of that file's part of the disk, from there on */
};

/* The files of a joined disk; see block_joint.c. */
struct block_joint {
    unsigned count;
    struct {
        int fd;             /* owned */
        uint64_t end_bytes; /* on the disk; that of the one before is where it begins */
    } parts[];
};

struct block_engine_ops {
    const char *name;
    /* Start every task on backend->queued, leaving it empty. Never fails: a task that cannot be
     * started finishes with an error. */
    void (*start)(struct block_backend *backend);
    /* Hand each finished task to block_backend_finish(). event_fd was drained already. */
    void (*reap)(struct block_backend *backend);
    /* Start all threads that it may come to use, now; -errno when one cannot be. */
    int (*start_threads)(struct block_backend *backend, const struct thread_prologue *prologue);
    /* Block until there may be something to reap. */
    void (*wait)(struct block_backend *backend);
    /* Release the engine. Nothing is in flight. Ends with block_backend_release() and free. */
    void (*destroy)(struct block_backend *backend);
};

struct block_backend {
    const struct block_engine_ops *ops;
    int fd; /* owned from the moment that block_backend_create() succeeds; unless joined */
    struct block_joint *joint; /* NULL: the disk is fd. Set before the first request */
    bool is_block_device;      /* else a regular file */
    bool can_discard;
    int event_fd; /* owned */
    unsigned depth;
    unsigned in_flight; /* submitted and not yet delivered */
    struct block_task *tasks;
    struct block_task_list unused;
    struct block_task_list queued; /* submitted, waiting for a kick */
};

/* Fill in the common part: the event descriptor and `depth` tasks. Returns 0 or -errno. */
int block_backend_init(struct block_backend *backend, const struct block_engine_ops *ops, int fd,
                       unsigned depth);

/* Free what block_backend_init() made (also after its failure). Does not close fd. */
void block_backend_release(struct block_backend *backend);

/* Deliver a result: the task is free again before the request's callback runs, which may submit and
 * kick, but not reap or drain. */
void block_backend_finish(struct block_backend *backend, struct block_task *task, int result);

/* The `wait` of an engine that signals event_fd. */
void block_backend_wait_event(struct block_backend *backend);

/* Engine constructors: 0 with *out filled, or -errno. fd becomes the engine's on success. */
int block_uring_create(int fd, unsigned depth, struct block_backend **out);
int block_threads_create(int fd, unsigned depth, struct block_backend **out);

/*
 * Execute a task to its end with blocking calls, beginning at done_bytes. Touches nothing but the
 * descriptor, the task and the request's buffers: runs on a pool thread without any lock. Returns
 * the result.
 */
int block_task_execute(int fd, bool is_block_device, struct block_task *task);

/* Whether BLOCK_DISCARD can work on this descriptor; changes nothing on disk. */
bool block_can_discard(int fd, bool is_block_device);

/* A list of these files, or -errno. Their descriptors are its own on success. */
int block_joint_create(const struct block_part *parts, unsigned count, struct block_joint **out);
void block_joint_destroy(struct block_joint *joint);

/* False behind the end. */
bool block_joint_find(const struct block_joint *joint, uint64_t offset_bytes,
                      struct block_place *out);

/* As block_task_execute(). */
int block_joint_execute(const struct block_joint *joint, struct block_task *task);

/* Threads that execute tasks, started when first needed. */
struct block_pool;

#define BLOCK_POOL_MAX_THREADS 4u

/* Works on the backend's files and event_fd; the backend must outlive the pool. Returns 0 or
 * -errno. */
int block_pool_create(const struct block_backend *backend, unsigned max_threads,
                      struct block_pool **out);

/* Joins the threads. No task may be in the pool. NULL is fine. */
void block_pool_destroy(struct block_pool *pool);

/* Start all of them now, instead of when needed, each through the prologue. Returns 0 or -errno. */
int block_pool_start_threads(struct block_pool *pool, const struct thread_prologue *prologue);

/* Execute every task of the list (which becomes empty); event_fd is signalled as they finish. */
void block_pool_start(struct block_pool *pool, struct block_task_list *tasks);

/* The next finished task, or NULL. */
struct block_task *block_pool_take_finished(struct block_pool *pool);

#endif
