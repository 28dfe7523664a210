// SPDX-License-Identifier: Apache-2.0
/* See output.h. */
#include "image/output.h"

#include <errno.h>
#include <unistd.h>

#include "base/io.h"

int output_begin(struct image_output *output, int fd, uint64_t max)
{
    *output = (struct image_output){.fd = fd, .max = max};
    return ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

int output_write(void *arg, const void *bytes, size_t len)
{
    struct image_output *output = arg;
    int ret;

    if (len > output->max - output->size)
        return -EFBIG;
    ret = write_full(output->fd, bytes, len);
    if (!ret)
        output->size += len;
    return ret;
}

int output_pad(struct image_output *output)
{
    static const char zeros[4];

    return output_write(output, zeros, (size_t)(-output->size & 3));
}
