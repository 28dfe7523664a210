// SPDX-License-Identifier: Apache-2.0
/*
 * A reader of EROFS images, as far as husk writes them, that believes nothing: for tests of the
 * writer. Linux, fs/erofs/erofs_fs.h.
 */
#ifndef HUSK_TESTS_HARNESS_EROFS_VIEW_H
#define HUSK_TESTS_HARNESS_EROFS_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct erofs_view {
    const uint8_t *bytes;
    size_t size;
    uint64_t meta; /* where nid 0 is */
    uint64_t inode_count;
};

struct erofs_file {
    uint64_t nid, size, mtime_s;
    uint32_t mode, uid, gid, links, rdev, mtime_ns;
    const uint8_t *data;   /* of files, links, directories */
    const uint8_t *xattrs; /* entries */
    size_t xattr_bytes;
};

/* Each returns NULL when all is well, or what is wrong. */
const char *erofs_view_open(struct erofs_view *view, const void *bytes, size_t size);
const char *erofs_view_inode(const struct erofs_view *view, uint64_t nid, struct erofs_file *out);

/* Walks everything: every inode, name, link count and attribute is as it must be. */
const char *erofs_view_check(const struct erofs_view *view);

/* "a/b" from the root; false when it is not there. Links are not followed. */
bool erofs_view_find(const struct erofs_view *view, const char *path, struct erofs_file *out);

/* A whole attribute: `prefix` as EROFS numbers them. NULL when the file has none such. */
const uint8_t *erofs_view_xattr(const struct erofs_file *file, uint8_t prefix, const char *name,
                                size_t *len);

#endif
