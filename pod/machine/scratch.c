// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the ext4 of a scratch disk with libext2fs: see scratch.h. The layout is what mke2fs would
 * choose for a file system without a journal, the block groups' bitmaps and inode tables being left
 * uninitialised (Documentation/filesystems/ext4/group_descr.rst: INODE_UNINIT, BLOCK_UNINIT), so
 * that nothing of a group is written but its descriptor.
 */
#include "pod/machine/scratch.h"

#include <errno.h>
#include <et/com_err.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/machine/scratch_io.h"

#define BLOCK_BYTES     4096u
#define BLOCK_SHIFT     2u /* s_log_block_size: 1024 << 2 */
#define INODE_BYTES     256u
#define BYTES_PER_INODE 16384u /* as mke2fs has it for file systems of this size */
#define GROUPS_PER_FLEX 4u     /* s_log_groups_per_flex: 16 */

#define NEW_FILE SCRATCH_FILE ".new" /* its name until it is complete */

static const char cannot_make[] = "cannot make the scratch disk";

static void describe(struct ext2_super_block *param, uint64_t size_bytes)
{
    uint64_t blocks = size_bytes / BLOCK_BYTES;
    uint64_t inodes = size_bytes / BYTES_PER_INODE;

    memset(param, 0, sizeof(*param));
    ext2fs_blocks_count_set(param, blocks);
    param->s_log_block_size = BLOCK_SHIFT;
    param->s_log_cluster_size = BLOCK_SHIFT;
    param->s_rev_level = EXT2_DYNAMIC_REV;
    param->s_inode_size = INODE_BYTES;
    param->s_inodes_count = inodes > UINT32_MAX ? UINT32_MAX : (uint32_t)inodes;
    param->s_log_groups_per_flex = GROUPS_PER_FLEX;
    param->s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_DIR_INDEX |
                              EXT4_FEATURE_COMPAT_SPARSE_SUPER2;
    param->s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS |
                                EXT4_FEATURE_INCOMPAT_64BIT | EXT4_FEATURE_INCOMPAT_FLEX_BG;
    param->s_feature_ro_compat =
        EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE |
        EXT4_FEATURE_RO_COMPAT_HUGE_FILE | EXT4_FEATURE_RO_COMPAT_GDT_CSUM |
        EXT4_FEATURE_RO_COMPAT_DIR_NLINK | EXT4_FEATURE_RO_COMPAT_EXTRA_ISIZE;
}

/* Inodes and checksums need these before the first is written. */
static errcode_t identify(ext2_filsys fs)
{
    if (getrandom(fs->super->s_uuid, sizeof(fs->super->s_uuid), 0) < 0 ||
        getrandom(fs->super->s_hash_seed, sizeof(fs->super->s_hash_seed), 0) < 0)
        return errno;
    fs->super->s_def_hash_version = EXT2_HASH_HALF_MD4;
    fs->super->s_max_mnt_count = -1; /* never "check it now" */
    fs->super->s_min_extra_isize = fs->super->s_want_extra_isize =
        sizeof(struct ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
    fs->super->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
    return 0;
}

static void leave_groups_uninitialised(ext2_filsys fs)
{
    for (dgrp_t group = 0; group < fs->group_desc_count; group++) {
        ext2fs_bg_flags_set(fs, group, EXT2_BG_INODE_ZEROED);
        if (group == 0)
            continue;
        ext2fs_bg_flags_set(fs, group, EXT2_BG_INODE_UNINIT);
        ext2fs_bg_itable_unused_set(fs, group, fs->super->s_inodes_per_group);
    }
    ext2fs_bg_itable_unused_set(fs, 0, fs->super->s_inodes_per_group);
}

static errcode_t fill(ext2_filsys fs)
{
    errcode_t code = identify(fs);

    if (!code)
        code = ext2fs_allocate_tables(fs);
    if (code)
        return code;
    leave_groups_uninitialised(fs);
    for (ext2_ino_t inode = 1; inode < EXT2_FIRST_INODE(fs->super); inode++) {
        if (inode != EXT2_ROOT_INO)
            ext2fs_inode_alloc_stats2(fs, inode, +1, 0);
    }
    code = ext2fs_mkdir(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, NULL);
    if (!code)
        code = ext2fs_mkdir(fs, EXT2_ROOT_INO, 0, "lost+found");
    if (!code)
        code = ext2fs_set_gdt_csum(fs);
    return code;
}

static errcode_t make_ext4(int fd, uint64_t size_bytes)
{
    struct ext2_super_block param;
    ext2_filsys fs = NULL;
    errcode_t code;
    char name[16];

    describe(&param, size_bytes);
    snprintf(name, sizeof(name), "%d", fd);
    code = ext2fs_initialize(name, EXT2_FLAG_64BITS, &param, scratch_io, &fs);
    if (code)
        return code;
    code = fill(fs);
    if (code) {
        ext2fs_free(fs);
        return code;
    }
    /* It is worth nothing without its machine: no reason to wait for the host's disk. */
    code = ext2fs_close2(fs, EXT2_FLAG_FLUSH_NO_SYNC);
    if (code)
        ext2fs_free(fs);
    return code;
}

static int make_file(int fd, int dir, uint64_t size_bytes, struct husk_error *err)
{
    errcode_t code;

    if (ftruncate(fd, (off_t)(size_bytes / BLOCK_BYTES * BLOCK_BYTES)) < 0)
        return error_set(err, errno, SCRATCH_FILE, cannot_make, NULL);
    code = make_ext4(fd, size_bytes);
    if (code > 0 && code < EXT2_ET_BASE)
        return error_set(err, (int)code, SCRATCH_FILE, cannot_make, NULL);
    if (code)
        return error_set(err, EIO, SCRATCH_FILE, cannot_make, "libext2fs reports error %ld",
                         (long)(code - EXT2_ET_BASE));
    if (renameat(dir, NEW_FILE, dir, SCRATCH_FILE) < 0)
        return error_set(err, errno, SCRATCH_FILE, cannot_make, NULL);
    return 0;
}

static int make(int dir, uint64_t size_bytes, struct husk_error *err)
{
    int fd = openat(dir, NEW_FILE, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int ret;

    if (fd < 0)
        return error_set(err, errno, SCRATCH_FILE, cannot_make, NULL);
    ret = make_file(fd, dir, size_bytes, err);
    if (ret) {
        (void)unlinkat(dir, NEW_FILE, 0);
        close_fd(&fd);
    }
    return ret ? ret : fd;
}

int scratch_open(int dir, uint64_t size_bytes, struct husk_error *err)
{
    int fd = openat(dir, SCRATCH_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

    if (fd >= 0)
        return fd;
    if (errno != ENOENT)
        return error_set(err, errno, SCRATCH_FILE, "cannot open the scratch disk", NULL);
    return make(dir, size_bytes, err);
}
