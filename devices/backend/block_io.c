// SPDX-License-Identifier: Apache-2.0
/*
 * One block request, from where it stands to its end, with calls that block. This is the whole work
 * of the thread engine, and of the io_uring engine for what a ring does not do.
 *
 * Runs on pool threads, without locks; several at once on one descriptor (every call here names its
 * offset). Invariant: bytes that were transferred are never transferred again; done_bytes only
 * grows.
 */
#include "devices/backend/block_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"

#define REST_IOVECS 64u
#define ZERO_BYTES  4096u

/* The part of the request's buffers behind the first `skip` bytes, up to `max` entries. */
static unsigned iovecs_behind(const struct block_request *request, uint64_t skip, struct iovec *out,
                              unsigned max)
{
    unsigned count = 0;

    for (unsigned i = 0; i < request->iov_count && count < max; i++) {
        const struct iovec *iov = &request->iov[i];

        if (skip >= iov->iov_len) {
            skip -= iov->iov_len;
            continue;
        }
        out[count].iov_base = (char *)iov->iov_base + skip;
        out[count].iov_len = iov->iov_len - skip;
        skip = 0;
        count++;
    }
    return count;
}

/* Whether a failed call is worth repeating. EAGAIN does not happen on a file that can be waited
 * for, but should a file system say so, it is not asked in a busy loop. */
static bool should_retry(int code)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    if (code == EAGAIN)
        nanosleep(&pause, NULL);
    return code == EINTR || code == EAGAIN;
}

static int transfer(int fd, struct block_task *task)
{
    const struct block_request *request = task->request;
    struct iovec rest[REST_IOVECS];

    while (task->done_bytes < request->len_bytes) {
        const struct iovec *iov = request->iov;
        unsigned count = request->iov_count < IOV_MAX ? request->iov_count : IOV_MAX;
        off_t offset = (off_t)(request->offset_bytes + task->done_bytes);
        ssize_t n;

        if (task->done_bytes) {
            count = iovecs_behind(request, task->done_bytes, rest, REST_IOVECS);
            iov = rest;
        }
        if (request->op == BLOCK_READ)
            n = preadv(fd, iov, (int)count, offset);
        else
            n = pwritev2(fd, iov, (int)count, offset, request->stable ? RWF_DSYNC : 0);
        if (n < 0 && should_retry(errno))
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* the file was truncated behind our back */
        task->done_bytes += (uint64_t)n;
    }
    return 0;
}

static int flush(int fd)
{
    while (fdatasync(fd)) {
        if (!should_retry(errno))
            return -errno;
    }
    return 0;
}

static int allocate(int fd, int mode, const struct block_request *request)
{
    while (fallocate(fd, mode, (off_t)request->offset_bytes, (off_t)request->len_bytes)) {
        if (!should_retry(errno))
            return -errno;
    }
    return 0;
}

static int punch_hole(int fd, const struct block_request *request)
{
    return allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, request);
}

static int discard(int fd, bool is_block_device, const struct block_request *request)
{
    uint64_t range[2] = {request->offset_bytes, request->len_bytes};

    if (!is_block_device)
        return punch_hole(fd, request);
    if (ioctl(fd, BLKDISCARD, range) == 0)
        return 0;
    /* Finer than the device's blocks. A discard is a hint: keeping the data honours it too. */
    return errno == EINVAL ? 0 : -errno;
}

static int write_zero_bytes(int fd, const struct block_request *request)
{
    static const uint8_t zeroes[ZERO_BYTES];
    struct iovec iov[REST_IOVECS];
    uint64_t done = 0;

    while (done < request->len_bytes) {
        uint64_t left = request->len_bytes - done;
        int count = 0;
        ssize_t n;

        while (left && count < (int)REST_IOVECS) {
            iov[count].iov_base = (void *)zeroes;
            iov[count].iov_len = min_u64(left, ZERO_BYTES);
            left -= iov[count++].iov_len;
        }
        n = pwritev(fd, iov, count, (off_t)(request->offset_bytes + done));
        if (n < 0 && should_retry(errno))
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        done += (uint64_t)n;
    }
    return 0;
}

/* "Cannot be done this way", as opposed to "failed". EINVAL: not at this alignment. */
static bool is_unsupported(int rc)
{
    return rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -EINVAL;
}

static int write_zeroes(int fd, const struct block_request *request)
{
    int rc = -EOPNOTSUPP;

    /* On files and block devices alike, a punched range reads as zeroes. */
    if (request->may_unmap)
        rc = punch_hole(fd, request);
    if (is_unsupported(rc))
        rc = allocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, request);
    if (is_unsupported(rc))
        rc = write_zero_bytes(fd, request);
    if (rc == 0 && request->stable)
        rc = flush(fd);
    return rc;
}

int block_task_execute(int fd, bool is_block_device, struct block_task *task)
{
    const struct block_request *request = task->request;

    switch (request->op) {
    case BLOCK_READ:
    case BLOCK_WRITE:
        return transfer(fd, task);
    case BLOCK_FLUSH:
        return flush(fd);
    case BLOCK_DISCARD:
        return discard(fd, is_block_device, request);
    case BLOCK_WRITE_ZEROES:
        return write_zeroes(fd, request);
    }
    return -EINVAL;
}

bool block_can_discard(int fd, bool is_block_device)
{
    struct stat st;

    if (is_block_device) {
        /* Support is checked before the range, and a range that begins inside a sector is never
         * valid: nothing can be discarded by asking. */
        uint64_t range[2] = {1, 0};

        return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR && ioctl(fd, BLKDISCARD, range) != 0 &&
               errno == EINVAL;
    }
    /* There is nothing behind the end of a file to lose. */
    return fstat(fd, &st) == 0 &&
           fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)((uint64_t)st.st_size / ZERO_BYTES + 1) * ZERO_BYTES, ZERO_BYTES) == 0;
}
