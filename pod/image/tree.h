// SPDX-License-Identifier: Apache-2.0
/*
 * The files of one layer, held in memory while it is converted. Nothing of a layer ever has a name
 * on the host: names, links and devices are data here, so none of them can lead anywhere.
 *
 * Paths are taken apart in one place, tree_add(): "" and "." count for nothing, ".." is refused,
 * and a path that leads through anything but a directory is refused. Directories that a path needs
 * and nobody described are made, root's with mode 0755.
 *
 * Whiteouts (OCI Image Specification 1.1, layer.md) become those of overlayfs: a character device
 * 0:0, and the attribute trusted.overlay.opaque on a directory.
 */
#ifndef HUSK_POD_IMAGE_TREE_H
#define HUSK_POD_IMAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TREE_NAME_BYTES_MAX   255u
#define TREE_PATH_BYTES_MAX   4095u
#define TREE_DEPTH_MAX        256u
#define TREE_INODES_MAX       1000000u
#define TREE_XATTR_BYTES_MAX  (16u << 10) /* names and values of one file */
#define TREE_MEMORY_BYTES_MAX (768ull << 20)

/* What has an inode of its own. */
struct tree_inode {
    mode_t mode; /* with the type */
    uint32_t uid, gid;
    uint64_t mtime_s;
    uint32_t mtime_ns;
    uint32_t rdev;   /* of devices, as the kernel's new_encode_dev() has it */
    uint64_t size;   /* of files and symbolic links */
    uint32_t block;  /* of a file's contents, when they are not in `data` */
    uint8_t *data;   /* a small file's contents, a symbolic link's target; ours */
    uint8_t *xattrs; /* as tree_add_xattr() packs them; ours */
    uint32_t xattr_bytes;
    uint32_t links;
    bool opaque;       /* a directory that hides what lower layers have in it */
    bool implied;      /* a directory that only a path spoke of */
    uint64_t position; /* for who writes the tree: where the inode goes */
    uint32_t number;
};

struct tree_entry {
    struct tree_entry *parent, *children, *previous, *next, *bucket_next;
    struct tree_inode *inode;
    uint32_t hash;
    uint8_t name_len;
    char name[];
};

struct tree {
    struct tree_entry *root;
    struct tree_entry **buckets;
    uint32_t bucket_count;
    uint32_t entry_count;
    uint64_t memory_bytes; /* of everything that hangs on the tree */
};

/* 0 or -ENOMEM. */
int tree_init(struct tree *tree);
void tree_clear(struct tree *tree);

/*
 * What tree_add() returns besides 0 (*out is the entry) and 1 (the path was a whiteout or one of
 * aufs's own files, and is dealt with; *out is NULL): -EINVAL for "..", -ENAMETOOLONG, -ENOTDIR
 * for a path through something else than directories, -E2BIG beyond a limit, -ENOMEM.
 *
 * The inode's type, mode, owner, times are taken from *like; a new entry replaces one of the same
 * name, with all that is below it, unless both are directories.
 */
int tree_add(struct tree *tree, const char *path, const struct tree_inode *like,
             struct tree_entry **out);

/* A further name of the file `target`, which must be there and no directory: else -ENOENT or
 * -EISDIR. Other errors and 1 as of tree_add(). */
int tree_link(struct tree *tree, const char *path, const char *target);

/* Counts memory that the caller hangs on the tree. -E2BIG beyond TREE_MEMORY_BYTES_MAX. */
int tree_charge(struct tree *tree, uint64_t bytes);

/*
 * Adds an extended attribute. Kept are user.*, but for overlayfs's own, and security.capability;
 * others are left out: 0. Packed as EROFS has them. -E2BIG, -ENOMEM.
 */
int tree_add_xattr(struct tree *tree, struct tree_inode *inode, const char *name, const void *value,
                   size_t len);

/* The next entry in the order of a walk that comes to a directory before what is in it; NULL at
 * the end. */
struct tree_entry *tree_next(const struct tree_entry *entry);

#endif
