// SPDX-License-Identifier: Apache-2.0
/* See source.h. */
#include "image/source.h"

#include <errno.h>

#include "base/checked.h"
#include "base/io.h"

int image_part(const struct image_source *source, uint64_t offset, uint64_t size,
               struct image_source *out)
{
    uint64_t end;

    if (!checked_add(offset, size, &end) || end > source->size)
        return -EIO;
    *out = (struct image_source){source->fd, source->offset + offset, size};
    return 0;
}

int image_read(const struct image_source *source, uint64_t offset, void *buf, size_t len)
{
    struct image_source part;
    int ret = image_part(source, offset, len, &part);

    if (ret)
        return ret;
    ret = pread_full(part.fd, buf, len, part.offset);
    return ret == -ENODATA ? -EIO : ret;
}

int image_copy(const struct image_source *source, image_write_fn write, void *arg)
{
    uint8_t buf[65536];

    for (uint64_t at = 0; at < source->size; at += sizeof(buf)) {
        size_t len = (size_t)min_u64(sizeof(buf), source->size - at);
        int ret = image_read(source, at, buf, len);

        if (!ret)
            ret = write(arg, buf, len);
        if (ret)
            return ret;
    }
    return 0;
}
