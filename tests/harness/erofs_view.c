// SPDX-License-Identifier: Apache-2.0
/* Reading EROFS images: see erofs_view.h. */
#include "tests/harness/erofs_view.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"

#define BLOCK       4096u
#define SUPER       1024u
#define DIRENT      12u
#define XATTR_HEAD  12u
#define INODE_BYTES 64u

static uint32_t crc32c(const uint8_t *bytes, size_t len)
{
    uint32_t crc = ~0u;

    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}

const char *erofs_view_open(struct erofs_view *view, const void *bytes, size_t size)
{
    uint8_t block[BLOCK - SUPER];
    const uint8_t *super = (const uint8_t *)bytes + SUPER;
    uint32_t sum;

    *view = (struct erofs_view){.bytes = bytes, .size = size};
    if (size < BLOCK || size % BLOCK || size / BLOCK != get_le32(super + 36))
        return "the size is not that of the superblock";
    if (get_le32(super) != 0xe0f5e1e2u || super[12] != 12 || get_le16(super + 14) != 0)
        return "no superblock";
    memcpy(block, super, sizeof(block));
    sum = get_le32(block + 4);
    put_le32(block + 4, 0);
    if (crc32c(block, sizeof(block)) != sum)
        return "the superblock's checksum is wrong";
    view->inode_count = get_le64(super + 16);
    view->meta = (uint64_t)get_le32(super + 40) * BLOCK;
    return view->meta < size ? NULL : "the inodes are beyond the end";
}

static const char *locate_data(const struct erofs_view *view, uint64_t after_head, unsigned layout,
                               uint32_t block, struct erofs_file *out)
{
    uint64_t at = layout == 2 ? after_head : (uint64_t)block * BLOCK;

    if (!S_ISREG(out->mode) && !S_ISDIR(out->mode) && !S_ISLNK(out->mode))
        return out->size ? "a device has contents" : NULL;
    if (out->size == 0)
        return S_ISREG(out->mode) ? NULL : "a directory or link is empty";
    if (layout != 0 && layout != 2)
        return "an unknown layout";
    if (layout == 2 && (out->size >= BLOCK || at / BLOCK != (at + out->size - 1) / BLOCK))
        return "inline contents cross a block's end";
    if (layout == 0 && (block == 0 || at >= view->meta))
        return "contents are where they must not be";
    if (at > view->size || out->size > view->size - at)
        return "contents are beyond the end";
    out->data = view->bytes + at;
    return NULL;
}

const char *erofs_view_inode(const struct erofs_view *view, uint64_t nid, struct erofs_file *out)
{
    uint64_t at = view->meta + nid * 32;
    const uint8_t *inode = view->bytes + at;
    uint16_t format, xattr_count;

    memset(out, 0, sizeof(*out));
    if (nid > view->size / 32 || at % INODE_BYTES || view->size < INODE_BYTES ||
        at > view->size - INODE_BYTES)
        return "an inode is beyond the end";
    format = get_le16(inode);
    if (!(format & 1))
        return "an inode is not an extended one";
    out->nid = nid;
    out->mode = get_le16(inode + 4);
    out->size = get_le64(inode + 8);
    out->rdev = get_le32(inode + 16);
    out->uid = get_le32(inode + 24);
    out->gid = get_le32(inode + 28);
    out->mtime_s = get_le64(inode + 32);
    out->mtime_ns = get_le32(inode + 40);
    out->links = get_le32(inode + 44);
    at += INODE_BYTES;
    xattr_count = get_le16(inode + 2);
    if (xattr_count) {
        out->xattr_bytes = (size_t)(xattr_count - 1) * 4;
        if (XATTR_HEAD + out->xattr_bytes > view->size - at)
            return "attributes are beyond the end";
        out->xattrs = view->bytes + at + XATTR_HEAD;
        at += XATTR_HEAD + out->xattr_bytes;
    }
    return locate_data(view, at, format >> 1 & 7, get_le32(inode + 16), out);
}

/* The entries of one block of a directory. */
struct block_view {
    const uint8_t *bytes;
    size_t size;
    unsigned count;
};

static const char *directory_block(const struct erofs_file *directory, uint64_t offset,
                                   struct block_view *out)
{
    uint64_t left = directory->size - offset;
    uint16_t first;

    out->bytes = directory->data + offset;
    out->size = left < BLOCK ? (size_t)left : BLOCK;
    if (out->size < DIRENT)
        return "a directory's block is too short";
    first = get_le16(out->bytes + 8);
    out->count = first / DIRENT;
    if (first % DIRENT || first >= out->size || first == 0)
        return "a directory's first name is misplaced";
    return NULL;
}

static const char *entry_name(const struct block_view *block, unsigned i, size_t *len)
{
    const uint8_t *dirent = block->bytes + (size_t)i * DIRENT;
    size_t at = get_le16(dirent + 8);
    size_t end = i + 1 < block->count ? get_le16(dirent + DIRENT + 8) : block->size;

    if (at >= end || end > block->size)
        return NULL;
    *len = strnlen((const char *)block->bytes + at, end - at);
    return *len && *len <= 255 ? (const char *)block->bytes + at : NULL;
}

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return order ? order : a_len < b_len ? -1 : a_len > b_len;
}

bool erofs_view_find(const struct erofs_view *view, const char *path, struct erofs_file *out)
{
    if (erofs_view_inode(view, 0, out))
        return false;
    while (*path) {
        size_t want = strcspn(path, "/"), len;
        bool found = false;

        if (!S_ISDIR(out->mode))
            return false;
        for (uint64_t offset = 0; !found && offset < out->size; offset += BLOCK) {
            struct block_view block;

            if (directory_block(out, offset, &block))
                return false;
            for (unsigned i = 0; !found && i < block.count; i++) {
                const char *name = entry_name(&block, i, &len);

                if (name && compare(name, len, path, want) == 0) {
                    if (erofs_view_inode(view, get_le64(block.bytes + (size_t)i * DIRENT), out))
                        return false;
                    found = true;
                }
            }
        }
        if (!found)
            return false;
        path += want;
        path += strspn(path, "/");
    }
    return true;
}

const uint8_t *erofs_view_xattr(const struct erofs_file *file, uint8_t prefix, const char *name,
                                size_t *len)
{
    for (size_t at = 0; at + 4 <= file->xattr_bytes;) {
        const uint8_t *entry = file->xattrs + at;
        size_t value = get_le16(entry + 2);

        if (at + 4 + entry[0] + value > file->xattr_bytes)
            return NULL;
        if (entry[1] == prefix && entry[0] == strlen(name) && !memcmp(entry + 4, name, entry[0])) {
            *len = value;
            return entry + 4 + entry[0];
        }
        at += (4 + entry[0] + value + 3) & ~(size_t)3;
    }
    return NULL;
}

static const char *check_xattrs(const struct erofs_file *file)
{
    size_t at = 0;

    while (at < file->xattr_bytes) {
        const uint8_t *entry = file->xattrs + at;

        if (at + 4 > file->xattr_bytes)
            return "an attribute is cut";
        if (!entry[0] || (entry[1] != 1 && entry[1] != 4 && entry[1] != 6))
            return "an attribute's name is wrong";
        at += (4u + entry[0] + get_le16(entry + 2) + 3) & ~3u;
    }
    return at == file->xattr_bytes ? NULL : "an attribute is beyond the end";
}

/* Directories that are still to be walked, and how often each inode was named. */
struct walk {
    const struct erofs_view *view;
    uint64_t *todo, *parents;
    size_t todo_count, todo_size;
    uint32_t *named; /* by slot */
    uint64_t inodes;
};

static const char *push(struct walk *walk, uint64_t nid, uint64_t parent)
{
    if (walk->todo_count == walk->todo_size)
        return "more directories than inodes";
    walk->todo[walk->todo_count] = nid;
    walk->parents[walk->todo_count++] = parent;
    return NULL;
}

static const char *check_entry(struct walk *walk, const uint8_t *dirent, const char *name,
                               size_t len, uint64_t self, uint64_t parent, uint32_t *subdirectories)
{
    static const uint8_t types[] = {0, 5, 3, 0, 2, 0, 4, 0, 1, 0, 7};
    uint64_t nid = get_le64(dirent);
    struct erofs_file file;
    const char *wrong = erofs_view_inode(walk->view, nid, &file);
    unsigned kind = wrong ? 0 : (file.mode & S_IFMT) >> 12;

    if (wrong)
        return wrong;
    if (memchr(name, '/', len))
        return "a name has a slash in it";
    if (kind >= sizeof(types) || types[kind] != dirent[10])
        return "an entry's type is not its inode's";
    if (len == 1 && name[0] == '.')
        return nid == self ? NULL : "\".\" is something else";
    if (len == 2 && !memcmp(name, "..", 2))
        return nid == parent ? NULL : "\"..\" is something else";
    if (walk->named[nid]++ == 0) {
        walk->inodes++;
        wrong = check_xattrs(&file);
    } else if (S_ISDIR(file.mode)) {
        return "a directory has two names";
    }
    if (!wrong && S_ISDIR(file.mode)) {
        ++*subdirectories;
        wrong = push(walk, nid, self);
    }
    return wrong;
}

static const char *check_directory(struct walk *walk, uint64_t nid, uint64_t parent)
{
    struct erofs_file directory;
    const char *wrong = erofs_view_inode(walk->view, nid, &directory), *before = NULL;
    size_t before_len = 0;
    uint32_t subdirectories = 0, entries = 0;

    for (uint64_t offset = 0; !wrong && offset < directory.size; offset += BLOCK) {
        struct block_view block;

        wrong = directory_block(&directory, offset, &block);
        for (unsigned i = 0; !wrong && i < block.count; i++) {
            size_t len = 0;
            const char *name = entry_name(&block, i, &len);

            if (!name)
                return "a name is misplaced";
            if (before && compare(before, before_len, name, len) >= 0)
                return "names are not in order";
            before = name;
            before_len = len;
            entries++;
            wrong = check_entry(walk, block.bytes + (size_t)i * DIRENT, name, len, nid, parent,
                                &subdirectories);
        }
    }
    if (!wrong && entries < 2)
        return "a directory lacks its dots";
    return wrong || directory.links == subdirectories + 2 ? wrong : "a directory's link count";
}

static const char *check_links(const struct walk *walk, uint64_t slots)
{
    for (uint64_t nid = 0; nid < slots; nid++) {
        struct erofs_file file;

        if (!walk->named[nid] || erofs_view_inode(walk->view, nid, &file) || S_ISDIR(file.mode))
            continue;
        if (file.links != walk->named[nid])
            return "a file's link count";
    }
    return walk->inodes + 1 == walk->view->inode_count ? NULL : "the number of inodes";
}

const char *erofs_view_check(const struct erofs_view *view)
{
    uint64_t slots = (view->size - view->meta) / 32;
    struct walk walk = {.view = view,
                        .todo_size = (size_t)slots,
                        .todo = calloc(slots, sizeof(uint64_t)),
                        .parents = calloc(slots, sizeof(uint64_t)),
                        .named = calloc(slots, sizeof(uint32_t))};
    struct erofs_file root;
    const char *wrong = walk.todo && walk.parents && walk.named ? NULL : "no memory";

    if (!wrong)
        wrong = erofs_view_inode(view, 0, &root);
    if (!wrong && !S_ISDIR(root.mode))
        wrong = "the root is no directory";
    if (!wrong)
        wrong = check_xattrs(&root);
    if (!wrong)
        wrong = push(&walk, 0, 0);
    while (!wrong && walk.todo_count) {
        walk.todo_count--;
        wrong = check_directory(&walk, walk.todo[walk.todo_count], walk.parents[walk.todo_count]);
    }
    if (!wrong)
        wrong = check_links(&walk, slots);
    free(walk.todo);
    free(walk.parents);
    free(walk.named);
    return wrong;
}
