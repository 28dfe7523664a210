// SPDX-License-Identifier: Apache-2.0
/*
 * The io_uring engine. Reads, writes and flushes go to a ring, all that were queued by one system
 * call per kick; their completions signal the event descriptor that the ring was given.
 *
 * The ring does the ordinary thing only: a transfer that completes whole. Everything else goes to a
 * pool of helper threads, which finish it with blocking calls: the rest of a short transfer,
 * completions that ask for another try (EAGAIN, EINTR) or were cancelled because the thread that
 * submitted them ended, discards and zeroing (which a ring would hand to a kernel thread anyway,
 * and which need fallbacks), and all requests from the moment that the kernel refuses to take more.
 *
 * Invariants:
 *  1. `submitted` tasks are with the kernel; the list `entered` holds, in ring order, those whose
 *     entries are filled in but not yet accepted. It is empty between calls.
 *  2. At most `depth` entries are used and the completion ring has twice as many: neither can
 *     overflow.
 */
#include "devices/backend/block_engine.h"

#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"

#define HELPER_THREADS 2u

/* Longer transfers are executed by the kernel's worker threads even if the page cache could serve
 * them at once: the caller is not kept for the copy. */
#define INLINE_BYTES (512u * 1024)

struct block_uring {
    struct block_backend backend;
    struct io_uring ring;
    bool ring_ready;   /* the ring was set up */
    bool ring_refused; /* the kernel takes no more requests: use the pool */
    struct block_pool *pool;
};

static bool suits_ring(const struct block_uring *uring, const struct block_request *request)
{
    switch (request->op) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        return !uring->ring_refused && request->iov_count <= IOV_MAX;
    case BLOCK_FLUSH:
        return !uring->ring_refused;
    default:
        return false;
    }
}

/* Where the request's bytes are, if that is in one file: what a ring can do. */
static bool find_place(const struct block_backend *backend, const struct block_request *request,
                       struct block_place *out)
{
    if (backend->joint)
        return request->op == BLOCK_READ &&
               block_joint_find(backend->joint, request->offset_bytes, out) &&
               request->len_bytes <= out->left_bytes;
    out->fd = backend->fd;
    out->offset_bytes = request->offset_bytes;
    return true;
}

static void fill_entry(struct io_uring_sqe *sqe, const struct block_place *place,
                       struct block_task *task)
{
    const struct block_request *request = task->request;
    int fd = place->fd;

    switch (request->op) {
    case BLOCK_READ:
        io_uring_prep_readv(sqe, fd, request->iov, request->iov_count, place->offset_bytes);
        break;
    case BLOCK_WRITE:
        io_uring_prep_writev(sqe, fd, request->iov, request->iov_count, place->offset_bytes);
        sqe->rw_flags = request->stable ? RWF_DSYNC : 0;
        break;
    default:
        io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
        break;
    }
    if (request->len_bytes > INLINE_BYTES)
        sqe->flags |= IOSQE_ASYNC;
    io_uring_sqe_set_data(sqe, task);
}

/* Submit the filled entries, whose tasks are `entered`; those that the kernel refuses go to `rest`.
 * Refused entries stay in the ring and must never be submitted: the ring is not used again. */
static void submit_entries(struct block_uring *uring, struct block_task_list *entered,
                           struct block_task_list *rest)
{
    struct block_task *task;

    while (entered->first) {
        int taken = io_uring_submit(&uring->ring);

        if (taken == -EINTR)
            continue;
        if (taken <= 0) {
            uring->ring_refused = true;
            break;
        }
        while (taken-- > 0)
            block_task_list_take(entered);
    }
    while ((task = block_task_list_take(entered)))
        block_task_list_append(rest, task);
}

static void uring_start(struct block_backend *backend)
{
    struct block_uring *uring = (struct block_uring *)backend;
    struct block_task_list entered = {0}, rest = {0};
    struct block_task *task;

    while ((task = block_task_list_take(&backend->queued))) {
        struct io_uring_sqe *sqe = NULL;
        struct block_place place;

        if (suits_ring(uring, task->request) && find_place(backend, task->request, &place))
            sqe = io_uring_get_sqe(&uring->ring);
        if (sqe)
            fill_entry(sqe, &place, task);
        block_task_list_append(sqe ? &entered : &rest, task);
    }
    submit_entries(uring, &entered, &rest);
    if (rest.first)
        block_pool_start(uring->pool, &rest);
}

/* One completion: deliver it, or leave the rest of the work to the pool. */
static void complete(struct block_uring *uring, struct block_task *task, int result)
{
    const struct block_request *request = task->request;
    struct block_task_list list = {0};
    bool is_transfer = request->op != BLOCK_FLUSH;

    if (result > 0 && is_transfer)
        task->done_bytes = (uint64_t)result;
    if (result == -EAGAIN || result == -EINTR || result == -ECANCELED ||
        (result > 0 && is_transfer && task->done_bytes < request->len_bytes)) {
        block_task_list_append(&list, task);
        block_pool_start(uring->pool, &list);
        return;
    }
    if (result == 0 && is_transfer && request->len_bytes)
        result = -EIO; /* the file was truncated behind our back */
    block_backend_finish(&uring->backend, task, result < 0 ? result : 0);
}

static void uring_reap(struct block_backend *backend)
{
    struct block_uring *uring = (struct block_uring *)backend;
    struct io_uring_cqe *cqe;
    struct block_task *task;

    while (io_uring_peek_cqe(&uring->ring, &cqe) == 0) {
        int result = cqe->res;

        task = io_uring_cqe_get_data(cqe);
        io_uring_cqe_seen(&uring->ring, cqe);
        complete(uring, task, result);
    }
    while ((task = block_pool_take_finished(uring->pool)))
        block_backend_finish(backend, task, task->result);
}

static void uring_destroy(struct block_backend *backend)
{
    struct block_uring *uring = (struct block_uring *)backend;

    block_pool_destroy(uring->pool);
    if (uring->ring_ready)
        io_uring_queue_exit(&uring->ring);
    block_backend_release(backend);
    free(uring);
}

static int uring_start_threads(struct block_backend *backend,
                               const struct thread_prologue *prologue)
{
    struct block_uring *uring = (struct block_uring *)backend;

    return block_pool_start_threads(uring->pool, prologue);
}

static const struct block_engine_ops uring_ops = {
    .name = "io_uring",
    .start = uring_start,
    .reap = uring_reap,
    .start_threads = uring_start_threads,
    .wait = block_backend_wait_event,
    .destroy = uring_destroy,
};

/* A kernel, or a sandbox, may know rings and yet not the operations. */
static int check_operations(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    bool complete;

    if (!probe)
        return -EOPNOTSUPP;
    complete = io_uring_opcode_supported(probe, IORING_OP_READV) &&
               io_uring_opcode_supported(probe, IORING_OP_WRITEV) &&
               io_uring_opcode_supported(probe, IORING_OP_FSYNC);
    io_uring_free_probe(probe);
    return complete ? 0 : -EOPNOTSUPP;
}

/* liburing has functions for what is used of this, but its shared library of 2.3 exports none. */
static int register_ring(const struct io_uring *ring, unsigned operation, const void *arg,
                         unsigned count)
{
    return syscall(SYS_io_uring_register, ring->ring_fd, operation, arg, count) < 0 ? -errno : 0;
}

/*
 * A ring makes system calls that no seccomp filter sees. So it gets those that a disk needs and
 * nothing else, for ever: whoever comes to write into it cannot open a file or a socket through it.
 */
static int restrict_ring(struct io_uring *ring)
{
    struct io_uring_restriction allowed[] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_ASYNC},
    };

    return register_ring(ring, IORING_REGISTER_RESTRICTIONS, allowed, ARRAY_SIZE(allowed));
}

/* Restrictions can be made while a ring is disabled only (Linux 5.10). */
static int set_up_ring(struct block_uring *uring, unsigned depth)
{
    int rc = io_uring_queue_init(depth, &uring->ring, IORING_SETUP_R_DISABLED);

    if (rc)
        return rc;
    uring->ring_ready = true;
    rc = check_operations(&uring->ring);
    if (rc == 0)
        rc = io_uring_register_eventfd(&uring->ring, uring->backend.event_fd);
    if (rc == 0)
        rc = restrict_ring(&uring->ring);
    return rc ? rc : register_ring(&uring->ring, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int block_uring_create(int fd, unsigned depth, struct block_backend **out)
{
    struct block_uring *uring = calloc(1, sizeof(*uring));
    int rc;

    if (!uring)
        return -ENOMEM;
    rc = block_backend_init(&uring->backend, &uring_ops, fd, depth);
    if (rc == 0)
        rc = set_up_ring(uring, depth);
    if (rc == 0)
        rc = block_pool_create(&uring->backend, HELPER_THREADS, &uring->pool);
    if (rc) {
        uring_destroy(&uring->backend);
        return rc;
    }
    *out = &uring->backend;
    return 0;
}
