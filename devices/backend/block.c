// SPDX-License-Identifier: Apache-2.0
/*
 * The block backend's dispatcher: choice of the engine, the requests' bookkeeping, draining. See
 * block.h for the contract and block_engine.h for the division of labour.
 *
 * Data: the tasks. Each is in exactly one place: on `unused`, on `queued` (submitted, not kicked),
 * or with the engine.
 *
 * Invariant: in_flight is the number of tasks that are not on `unused`.
 */
#include "devices/backend/block_engine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/io.h"

#define MAX_DEPTH 4096u

void block_task_list_append(struct block_task_list *list, struct block_task *task)
{
    task->next = NULL;
    if (list->last)
        list->last->next = task;
    else
        list->first = task;
    list->last = task;
}

struct block_task *block_task_list_take(struct block_task_list *list)
{
    struct block_task *task = list->first;

    if (!task)
        return NULL;
    list->first = task->next;
    if (!list->first)
        list->last = NULL;
    task->next = NULL;
    return task;
}

int block_backend_init(struct block_backend *backend, const struct block_engine_ops *ops, int fd,
                       unsigned depth)
{
    struct stat st;

    *backend = (struct block_backend){.ops = ops, .fd = fd, .event_fd = -1, .depth = depth};
    if (depth == 0 || depth > MAX_DEPTH)
        return -EINVAL;
    if (fstat(fd, &st))
        return -errno;
    backend->is_block_device = S_ISBLK(st.st_mode);
    backend->can_discard = block_can_discard(fd, backend->is_block_device);

    backend->tasks = calloc(depth, sizeof(*backend->tasks));
    if (!backend->tasks)
        return -ENOMEM;
    for (unsigned i = 0; i < depth; i++)
        block_task_list_append(&backend->unused, &backend->tasks[i]);

    backend->event_fd = eventfd_open();
    return backend->event_fd < 0 ? backend->event_fd : 0;
}

void block_backend_release(struct block_backend *backend)
{
    close_fd(&backend->event_fd);
    free(backend->tasks);
    backend->tasks = NULL;
}

void block_backend_finish(struct block_backend *backend, struct block_task *task, int result)
{
    struct block_request *request = task->request;

    task->request = NULL;
    block_task_list_append(&backend->unused, task);
    backend->in_flight--;
    request->done(request, result);
}

void block_backend_wait_event(struct block_backend *backend)
{
    struct pollfd wait = {.fd = backend->event_fd, .events = POLLIN};

    /* Interrupted or not: the caller reaps and comes back. */
    poll(&wait, 1, -1);
}

int block_backend_create(int fd, enum block_engine engine, unsigned depth,
                         struct block_backend **out, struct husk_error *err)
{
    int rc = -ENOSYS;

    if (engine != BLOCK_ENGINE_THREADS) {
        rc = block_uring_create(fd, depth, out);
        if (rc == 0)
            return 0;
        if (engine == BLOCK_ENGINE_URING)
            return error_set(err, -rc, "engine=uring", "cannot set up io_uring",
                             "%s; the thread engine works everywhere", error_text(-rc));
    }
    /* AUTO: a host that forbids or lacks io_uring, or has no memory to lock for it, has threads. */
    rc = block_threads_create(fd, depth, out);
    if (rc)
        return error_set(err, -rc, "engine=threads", "cannot set up disk threads", NULL);
    return 0;
}

void block_backend_destroy(struct block_backend *backend)
{
    struct block_joint *joint;
    int fd;

    if (!backend)
        return;
    block_backend_drain(backend);
    fd = backend->fd;
    joint = backend->joint;
    backend->ops->destroy(backend);
    /* Last: this gives up the lock on the image. */
    if (joint)
        block_joint_destroy(joint);
    else
        close_fd(&fd);
}

int block_backend_start_threads(struct block_backend *backend,
                                const struct thread_prologue *prologue)
{
    return backend->ops->start_threads(backend, prologue);
}

const char *block_backend_engine_name(const struct block_backend *backend)
{
    return backend->ops->name;
}

int block_backend_event_fd(const struct block_backend *backend)
{
    return backend->event_fd;
}

bool block_backend_can_discard(const struct block_backend *backend)
{
    return backend->can_discard;
}

bool block_backend_is_file(const struct block_backend *backend, int fd)
{
    struct stat ours, other;

    if (backend->joint || fstat(backend->fd, &ours) || fstat(fd, &other) ||
        S_ISBLK(ours.st_mode) != S_ISBLK(other.st_mode))
        return false;
    if (S_ISBLK(ours.st_mode))
        return ours.st_rdev == other.st_rdev;
    return ours.st_dev == other.st_dev && ours.st_ino == other.st_ino;
}

int block_backend_submit(struct block_backend *backend, struct block_request *request)
{
    struct block_task *task = block_task_list_take(&backend->unused);

    if (!task)
        return -EBUSY;
    task->request = request;
    task->done_bytes = 0;
    task->result = 0;
    block_task_list_append(&backend->queued, task);
    backend->in_flight++;
    return 0;
}

void block_backend_kick(struct block_backend *backend)
{
    if (backend->queued.first)
        backend->ops->start(backend);
}

void block_backend_reap(struct block_backend *backend)
{
    /* Before looking: what finishes from now on signals again. */
    eventfd_drain(backend->event_fd);
    backend->ops->reap(backend);
}

void block_backend_drain(struct block_backend *backend)
{
    for (;;) {
        block_backend_kick(backend);
        block_backend_reap(backend);
        if (backend->in_flight == 0)
            return;
        if (!backend->queued.first)
            backend->ops->wait(backend);
    }
}

unsigned block_backend_in_flight(const struct block_backend *backend)
{
    return backend->in_flight;
}

unsigned block_backend_depth(const struct block_backend *backend)
{
    return backend->depth;
}
