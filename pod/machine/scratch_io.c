// SPDX-License-Identifier: Apache-2.0
/* An I/O manager for libext2fs: see scratch_io.h. */
#include "pod/machine/scratch_io.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/parse.h"

struct channel {
    struct struct_io_channel io; /* the first member: libext2fs has its address */
    int fd;
};

static errcode_t channel_open(const char *name, int flags, io_channel *out)
{
    struct channel *channel;
    uint64_t fd;

    if (parse_u64(name, 0, INT32_MAX, &fd))
        return EXT2_ET_BAD_DEVICE_NAME;
    channel = calloc(1, sizeof(*channel));
    if (!channel)
        return EXT2_ET_NO_MEMORY;
    channel->fd = (int)fd;
    channel->io.magic = EXT2_ET_MAGIC_IO_CHANNEL;
    channel->io.manager = scratch_io;
    channel->io.name = strdup(name);
    channel->io.block_size = 1024;
    channel->io.refcount = 1;
    if (!channel->io.name) {
        free(channel);
        return EXT2_ET_NO_MEMORY;
    }
    *out = &channel->io;
    return 0;
}

static errcode_t channel_close(io_channel io)
{
    if (--io->refcount > 0)
        return 0;
    free(io->name);
    free((struct channel *)io);
    return 0;
}

static errcode_t set_block_size(io_channel io, int size)
{
    io->block_size = size;
    return 0;
}

/* A negative count is one of bytes. */
static size_t bytes_of(io_channel io, int count)
{
    return count < 0 ? (size_t)-count : (size_t)count * (size_t)io->block_size;
}

/* What lies behind the end of the file is zeroes, too: it is not written yet. */
static errcode_t read_blocks(io_channel io, unsigned long long block, int count, void *data)
{
    const struct channel *channel = (struct channel *)io;
    size_t len = bytes_of(io, count), done = 0;

    while (done < len) {
        ssize_t n = pread(channel->fd, (char *)data + done, len - done,
                          (off_t)(block * (unsigned)io->block_size + done));

        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0)
            break;
        if (n > 0)
            done += (size_t)n;
    }
    memset((char *)data + done, 0, len - done);
    return 0;
}

static errcode_t write_at(io_channel io, uint64_t offset, size_t len, const void *data)
{
    const struct channel *channel = (struct channel *)io;
    size_t done = 0;

    while (done < len) {
        ssize_t n =
            pwrite(channel->fd, (const char *)data + done, len - done, (off_t)(offset + done));

        if (n < 0 && errno != EINTR)
            return errno;
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

static errcode_t write_blocks(io_channel io, unsigned long long block, int count, const void *data)
{
    return write_at(io, block * (unsigned)io->block_size, bytes_of(io, count), data);
}

static errcode_t write_bytes(io_channel io, unsigned long offset, int count, const void *data)
{
    return write_at(io, offset, (size_t)count, data);
}

static errcode_t read_blocks_32(io_channel io, unsigned long block, int count, void *data)
{
    return read_blocks(io, block, count, data);
}

static errcode_t write_blocks_32(io_channel io, unsigned long block, int count, const void *data)
{
    return write_blocks(io, block, count, data);
}

static errcode_t flush(io_channel io)
{
    return 0;
}

static const struct struct_io_manager manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "husk scratch disk",
    .open = channel_open,
    .close = channel_close,
    .set_blksize = set_block_size,
    .read_blk = read_blocks_32,
    .write_blk = write_blocks_32,
    .flush = flush,
    .write_byte = write_bytes,
    .read_blk64 = read_blocks,
    .write_blk64 = write_blocks,
};

/* libext2fs takes it for changeable, and does not change it. */
struct struct_io_manager *const scratch_io = (struct struct_io_manager *)&manager;
