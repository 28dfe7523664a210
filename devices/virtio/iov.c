// SPDX-License-Identifier: Apache-2.0
/*
 * Copying between flat buffers and iovec lists. The lengths in an iovec come from checked
 * descriptors; here they only bound the copies.
 */
#include <errno.h>
#include <string.h>

#include "devices/virtio/queue.h"

/* Where byte `skip` of the list is: index of the entry, and the offset inside it. */
static unsigned seek(const struct iovec *iov, unsigned count, size_t *skip)
{
    unsigned i = 0;

    while (i < count && *skip >= iov[i].iov_len)
        *skip -= iov[i++].iov_len;
    return i;
}

size_t iov_to_buf(const struct iovec *iov, unsigned count, size_t skip, void *buf, size_t len)
{
    unsigned i = seek(iov, count, &skip);
    size_t done = 0;

    for (; i < count && done < len; i++, skip = 0) {
        size_t part = iov[i].iov_len - skip;

        if (part > len - done)
            part = len - done;
        memcpy((uint8_t *)buf + done, (const uint8_t *)iov[i].iov_base + skip, part);
        done += part;
    }
    return done;
}

size_t iov_from_buf(const struct iovec *iov, unsigned count, size_t skip, const void *buf,
                    size_t len)
{
    unsigned i = seek(iov, count, &skip);
    size_t done = 0;

    for (; i < count && done < len; i++, skip = 0) {
        size_t part = iov[i].iov_len - skip;

        if (part > len - done)
            part = len - done;
        memcpy((uint8_t *)iov[i].iov_base + skip, (const uint8_t *)buf + done, part);
        done += part;
    }
    return done;
}

int iov_slice(const struct iovec *iov, unsigned count, size_t skip, size_t len, struct iovec *out,
              unsigned max)
{
    unsigned i = seek(iov, count, &skip);
    unsigned used = 0;

    for (; i < count && len > 0; i++, skip = 0) {
        size_t part = iov[i].iov_len - skip;

        if (part > len)
            part = len;
        if (used == max)
            return -ENOSPC;
        out[used].iov_base = (uint8_t *)iov[i].iov_base + skip;
        out[used].iov_len = part;
        used++;
        len -= part;
    }
    return len > 0 ? -EINVAL : (int)used;
}
