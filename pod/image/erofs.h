// SPDX-License-Identifier: Apache-2.0
/*
 * EROFS, the read-only file system that a layer is kept as, as far as husk writes it: blocks of
 * 4096 bytes, no compression, so that a guest's pages can be the host's page cache. Linux,
 * Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h, "On-disk details"; every kernel
 * since 5.4 reads it.
 *
 *     block 0         superblock at byte 1024
 *     block 1...      contents of files, in the order in which the layer has them
 *     then            directories and links that are too big to go with their inodes
 *     then            inodes, each with its attributes and small contents; the root's is the first
 *
 * The same tree and contents always give the same bytes.
 */
#ifndef HUSK_POD_IMAGE_EROFS_H
#define HUSK_POD_IMAGE_EROFS_H

#include "pod/image/tree.h"

#define EROFS_BLOCK_BYTES       4096u
#define EROFS_INODE_BYTES       64u /* the extended form */
#define EROFS_INLINE_BYTES_MAX  2048u
#define EROFS_XATTR_ENTRY_BYTES 4u
#define EROFS_SUPER_OFFSET      1024u
#define EROFS_SUPER_MAGIC       0xe0f5e1e2u

/* Prefixes of extended attributes' names, e_name_index. */
#define EROFS_XATTR_USER     1u
#define EROFS_XATTR_TRUSTED  4u
#define EROFS_XATTR_SECURITY 6u

/* Whether contents of so many bytes go with the inode (`data`); else they get blocks. */
bool erofs_goes_inline(const struct tree_inode *inode, uint64_t size);

/*
 * Writes everything but the contents of big files, which the caller wrote into `fd` at the blocks
 * that their inodes name, all of them below `end_block`. `uuid`: the file system's. Changes what
 * the inodes keep for who writes them. Blocks. Returns the size of the image in bytes in *size;
 * 0, -EFBIG, -ENOMEM, or -errno of writing.
 */
int erofs_write(struct tree *tree, int fd, uint64_t end_block, const uint8_t uuid[16],
                uint64_t *size);

#endif
