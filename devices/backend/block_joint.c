// SPDX-License-Identifier: Apache-2.0
/*
 * Several files as one disk, each behind the one before it, to be read only. A request that lies in
 * one file is as any other, of that file; one that reaches across a border is carried out piece by
 * piece with blocking calls.
 *
 * The list is made with the backend and constant as long as that lives: pool threads read it
 * without a lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "devices/backend/block_engine.h"

#define PIECES 64u /* buffers of one call */

int block_joint_create(const struct block_part *parts, unsigned count, struct block_joint **out)
{
    struct block_joint *joint;
    uint64_t end = 0;

    if (count == 0 || count > BLOCK_PARTS_MAX)
        return -EINVAL;
    joint = calloc(1, sizeof(*joint) + count * sizeof(joint->parts[0]));
    if (!joint)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++) {
        if (!parts[i].size_bytes || !checked_add(end, parts[i].size_bytes, &end)) {
            free(joint);
            return -EOVERFLOW;
        }
        joint->parts[i].fd = parts[i].fd;
        joint->parts[i].end_bytes = end;
    }
    joint->count = count;
    *out = joint;
    return 0;
}

void block_joint_destroy(struct block_joint *joint)
{
    if (!joint)
        return;
    for (unsigned i = 0; i < joint->count; i++)
        close_fd(&joint->parts[i].fd);
    free(joint);
}

bool block_joint_find(const struct block_joint *joint, uint64_t offset_bytes,
                      struct block_place *out)
{
    unsigned low = 0, high = joint->count;

    /* The first part that ends behind the offset. */
    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (joint->parts[middle].end_bytes > offset_bytes)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == joint->count)
        return false;
    out->fd = joint->parts[low].fd;
    out->offset_bytes = offset_bytes - (low ? joint->parts[low - 1].end_bytes : 0);
    out->left_bytes = joint->parts[low].end_bytes - offset_bytes;
    return true;
}

/* The part of the buffers from byte `skip` on, of at most `room` bytes. */
static unsigned cut_buffers(const struct block_request *request, uint64_t skip, uint64_t room,
                            struct iovec out[PIECES])
{
    unsigned count = 0;

    for (unsigned i = 0; i < request->iov_count && count < PIECES && room; i++) {
        const struct iovec *iov = &request->iov[i];

        if (skip >= iov->iov_len) {
            skip -= iov->iov_len;
            continue;
        }
        out[count].iov_base = (char *)iov->iov_base + skip;
        out[count].iov_len = min_u64(iov->iov_len - skip, room);
        room -= out[count++].iov_len;
        skip = 0;
    }
    return count;
}

int block_joint_execute(const struct block_joint *joint, struct block_task *task)
{
    const struct block_request *request = task->request;
    struct iovec pieces[PIECES];

    if (request->op == BLOCK_FLUSH)
        return 0;
    if (request->op != BLOCK_READ)
        return -EROFS;
    while (task->done_bytes < request->len_bytes) {
        struct block_place place;
        unsigned count;
        ssize_t n;

        if (!block_joint_find(joint, request->offset_bytes + task->done_bytes, &place))
            return -EIO;
        count = cut_buffers(request, task->done_bytes, place.left_bytes, pieces);
        n = preadv(place.fd, pieces, (int)count, (off_t)place.offset_bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO; /* the file was truncated behind our back */
        task->done_bytes += (uint64_t)n;
    }
    return 0;
}

int block_backend_create_joined(const struct block_part *parts, unsigned count,
                                enum block_engine engine, unsigned depth,
                                struct block_backend **out, struct husk_error *err)
{
    struct block_joint *joint;
    int ret = block_joint_create(parts, count, &joint);

    if (ret)
        return error_set(err, -ret, "disk", "cannot join the files", NULL);
    ret = block_backend_create(parts[0].fd, engine, depth, out, err);
    if (ret) {
        free(joint); /* the descriptors stay the caller's */
        return ret;
    }
    (*out)->joint = joint;
    (*out)->can_discard = false;
    return 0;
}
