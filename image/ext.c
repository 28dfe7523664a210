// SPDX-License-Identifier: Apache-2.0
/*
 * ext2, ext3 and ext4, through libext2fs (e2fsprogs) over an I/O manager of our own, which reads
 * the partition through image_read() and writes nothing.
 *
 * The journal is not replayed, as no boot loader does: after a crash of the guest its newest files
 * may look as they did shortly before.
 */
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "image/filesystem.h"

#define CHUNK_BYTES 65536u

struct ext {
    struct image_filesystem base;
    struct image_source source;
    struct struct_io_manager manager;
    ext2_filsys fs;
};

/* ---- the I/O manager ---- */

static errcode_t manager_open(const char *name, int flags, io_channel *out)
{
    io_channel channel = calloc(1, sizeof(*channel));

    if (!channel)
        return EXT2_ET_NO_MEMORY;
    /* The library hands over a name only: ours is the address of what the manager is part of. */
    channel->private_data = (void *)strtoumax(name, NULL, 16); /* NOLINT(*-no-int-to-ptr) */
    channel->manager = &((struct ext *)channel->private_data)->manager;
    channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    channel->block_size = 1024;
    channel->refcount = 1;
    channel->name = strdup(name);
    if (!channel->name) {
        free(channel);
        return EXT2_ET_NO_MEMORY;
    }
    *out = channel;
    return 0;
}

static errcode_t manager_close(io_channel channel)
{
    if (--channel->refcount > 0)
        return 0;
    free(channel->name);
    free(channel);
    return 0;
}

static errcode_t manager_set_blksize(io_channel channel, int blksize)
{
    if (blksize <= 0)
        return EXT2_ET_INVALID_ARGUMENT;
    channel->block_size = blksize;
    return 0;
}

/* count < 0 is a number of bytes. */
static errcode_t manager_read_blk64(io_channel channel, unsigned long long block, int count,
                                    void *data)
{
    const struct ext *ext = channel->private_data;
    uint64_t len =
        count < 0 ? (uint64_t) - (int64_t)count : (uint64_t)count * (unsigned)channel->block_size;
    uint64_t offset;

    if (!checked_mul(block, (unsigned)channel->block_size, &offset))
        return EXT2_ET_BAD_BLOCK_NUM;
    return image_read(&ext->source, offset, data, len) ? EXT2_ET_SHORT_READ : 0;
}

static errcode_t manager_read_blk(io_channel channel, unsigned long block, int count, void *data)
{
    return manager_read_blk64(channel, block, count, data);
}

static errcode_t manager_write_blk(io_channel channel, unsigned long block, int count,
                                   const void *data)
{
    return EXT2_ET_RO_FILSYS;
}

static errcode_t manager_flush(io_channel channel)
{
    return 0;
}

/* ---- the file system ---- */

static int code_of(errcode_t error)
{
    switch (error) {
    case 0:
        return 0;
    case EXT2_ET_FILE_NOT_FOUND:
        return -ENOENT;
    case EXT2_ET_NO_DIRECTORY:
        return -ENOTDIR;
    case EXT2_ET_NO_MEMORY:
        return -ENOMEM;
    case EXT2_ET_UNSUPP_FEATURE:
    case EXT2_ET_RO_UNSUPP_FEATURE:
        return -EOPNOTSUPP;
    default:
        return error == ENOMEM ? -ENOMEM : -EIO;
    }
}

/* The library takes "//" for a file without a name. */
static int squeeze(const char *path, char *out, size_t size)
{
    size_t len = 0;

    for (; *path; path++) {
        if (path[0] == '/' && path[1] == '/')
            continue;
        if (len + 1 >= size)
            return -ENAMETOOLONG;
        out[len++] = *path;
    }
    out[len] = '\0';
    return 0;
}

/* Follows links; the library bounds how many. */
static int find(struct ext *ext, const char *path, ext2_ino_t *ino, struct ext2_inode *inode)
{
    char squeezed[IMAGE_PATH_MAX + 8];
    errcode_t error;
    int ret = squeeze(path, squeezed, sizeof(squeezed));

    if (ret)
        return ret;
    error = ext2fs_namei_follow(ext->fs, EXT2_ROOT_INO, EXT2_ROOT_INO, squeezed, ino);
    if (!error)
        error = ext2fs_read_inode(ext->fs, *ino, inode);
    return code_of(error);
}

static int find_file(struct ext *ext, const char *path, ext2_ino_t *ino, struct ext2_inode *inode)
{
    int ret = find(ext, path, ino, inode);

    if (ret)
        return ret == -ENOTDIR ? -ENOENT : ret;
    if (LINUX_S_ISDIR(inode->i_mode))
        return -EISDIR;
    return LINUX_S_ISREG(inode->i_mode) ? 0 : -EINVAL;
}

static int ext_size(struct image_filesystem *fs, const char *path, uint64_t *size)
{
    struct ext *ext = container_of(fs, struct ext, base);
    struct ext2_inode inode;
    ext2_ino_t ino;
    int ret = find_file(ext, path, &ino, &inode);

    if (!ret)
        *size = EXT2_I_SIZE(&inode);
    return ret;
}

static int ext_read(struct image_filesystem *fs, const char *path, image_write_fn write, void *arg)
{
    struct ext *ext = container_of(fs, struct ext, base);
    struct ext2_inode inode;
    ext2_file_t file = NULL;
    uint8_t *buf;
    ext2_ino_t ino;
    int ret = find_file(ext, path, &ino, &inode);

    if (ret)
        return ret;
    buf = malloc(CHUNK_BYTES);
    if (!buf)
        return -ENOMEM;
    ret = code_of(ext2fs_file_open2(ext->fs, ino, &inode, 0, &file));
    for (unsigned got = CHUNK_BYTES; !ret && got == CHUNK_BYTES;) {
        ret = code_of(ext2fs_file_read(file, buf, CHUNK_BYTES, &got));
        if (!ret && got)
            ret = write(arg, buf, got);
    }
    if (file)
        ext2fs_file_close(file);
    free(buf);
    return ret;
}

struct walk {
    image_entry_fn each;
    void *arg;
};

static int visit(ext2_ino_t dir, int entry, struct ext2_dir_entry *dirent, int offset,
                 int blocksize, char *buf, void *arg)
{
    const struct walk *walk = arg;
    char name[IMAGE_NAME_MAX + 1];
    size_t len = (size_t)ext2fs_dirent_name_len(dirent);

    if (len > IMAGE_NAME_MAX)
        len = IMAGE_NAME_MAX;
    memcpy(name, dirent->name, len);
    name[len] = '\0';
    return walk->each(walk->arg, name) ? 0 : DIRENT_ABORT;
}

static int ext_list(struct image_filesystem *fs, const char *path, image_entry_fn each, void *arg)
{
    struct ext *ext = container_of(fs, struct ext, base);
    struct walk walk = {each, arg};
    struct ext2_inode inode;
    ext2_ino_t ino;
    int ret = find(ext, path, &ino, &inode);

    if (ret)
        return ret;
    if (!LINUX_S_ISDIR(inode.i_mode))
        return -ENOTDIR;
    return code_of(ext2fs_dir_iterate2(ext->fs, ino, 0, NULL, visit, &walk));
}

static void ext_close(struct image_filesystem *fs)
{
    struct ext *ext = container_of(fs, struct ext, base);

    ext2fs_free(ext->fs);
    free(ext);
}

static const struct image_filesystem_ops ext_ops = {
    .size = ext_size, .list = ext_list, .read = ext_read, .close = ext_close};

int image_ext_open(const struct image_source *source, struct image_filesystem **out)
{
    struct ext *ext = calloc(1, sizeof(*ext));
    char name[32];
    errcode_t error;

    if (!ext)
        return -ENOMEM;
    ext->base.ops = &ext_ops;
    ext->source = *source;
    ext->manager = (struct struct_io_manager){
        .magic = EXT2_ET_MAGIC_IO_MANAGER,
        .name = "image",
        .open = manager_open,
        .close = manager_close,
        .set_blksize = manager_set_blksize,
        .read_blk = manager_read_blk,
        .write_blk = manager_write_blk,
        .flush = manager_flush,
        .read_blk64 = manager_read_blk64,
    };
    snprintf(name, sizeof(name), "%" PRIxPTR, (uintptr_t)ext);
    /* Checksums that are wrong do not make a file less readable, and what is read is hostile
     * anyhow. */
    error = ext2fs_open(name, EXT2_FLAG_64BITS | EXT2_FLAG_IGNORE_CSUM_ERRORS, 0, 0, &ext->manager,
                        &ext->fs);
    if (error) {
        free(ext);
        return code_of(error);
    }
    *out = &ext->base;
    return 0;
}
