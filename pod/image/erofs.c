// SPDX-License-Identifier: Apache-2.0
/*
 * Writing EROFS: see erofs.h. Two walks over the tree in one order: the first gives each inode its
 * place, for directories speak of inodes by place; the second writes. Offsets below are those of
 * struct erofs_super_block, erofs_inode_extended, erofs_xattr_ibody_header and erofs_dirent.
 */
#include "pod/image/erofs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/checked.h"

#define DIRENT_BYTES       12u
#define XATTR_HEADER_BYTES 12u
#define SLOT_BYTES         32u /* what a nid counts */
#define BUFFER_BYTES       (256u << 10)

#define COMPAT_CHECKSUM 0x1u
#define COMPAT_MTIME    0x2u

enum layout { LAYOUT_PLAIN = 0, LAYOUT_INLINE = 2 };

/* enum of fs/erofs: the same numbers as of <linux/fs_types.h>, FT_*. */
enum file_type { FT_REG = 1, FT_DIR, FT_CHR, FT_BLK, FT_FIFO, FT_SOCK, FT_LNK };

/* trusted.overlay.opaque=y: name length, prefix, value length, name, value, padded to 4. */
static const uint8_t opaque_xattr[] = {14,  EROFS_XATTR_TRUSTED,
                                       1,   0,
                                       'o', 'v',
                                       'e', 'r',
                                       'l', 'a',
                                       'y', '.',
                                       'o', 'p',
                                       'a', 'q',
                                       'u', 'e',
                                       'y', 0};

/* A directory's entries in their order, "." and ".." among them. */
struct listed {
    const struct tree_inode *inode;
    const char *name;
    size_t len;
};

struct listing {
    struct listed *entries;
    unsigned count;
};

struct output {
    int fd;
    uint64_t at; /* where the buffer's first byte goes */
    size_t used;
    uint8_t *buffer;
    int error;
};

static void flush(struct output *out)
{
    size_t done = 0;

    while (!out->error && done < out->used) {
        ssize_t n = pwrite(out->fd, out->buffer + done, out->used - done, (off_t)(out->at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            out->error = n < 0 ? -errno : -EIO;
        else
            done += (size_t)n;
    }
    out->at += out->used;
    out->used = 0;
}

static void put(struct output *out, const void *bytes, size_t len)
{
    while (len) {
        size_t n = BUFFER_BYTES - out->used;

        if (n > len)
            n = len;
        memcpy(out->buffer + out->used, bytes, n);
        out->used += n;
        bytes = (const uint8_t *)bytes + n;
        len -= n;
        if (out->used == BUFFER_BYTES)
            flush(out);
    }
}

static void put_zeros_up_to(struct output *out, uint64_t position)
{
    static const uint8_t zeros[EROFS_BLOCK_BYTES];
    uint64_t now = out->at + out->used;

    while (now < position) {
        size_t n = (size_t)min_u64(position - now, sizeof(zeros));

        put(out, zeros, n);
        now += n;
    }
}

static uint32_t xattr_bytes(const struct tree_inode *inode)
{
    uint32_t bytes = inode->xattr_bytes + (inode->opaque ? (uint32_t)sizeof(opaque_xattr) : 0);

    return bytes ? XATTR_HEADER_BYTES + bytes : 0;
}

bool erofs_goes_inline(const struct tree_inode *inode, uint64_t size)
{
    return size > 0 && size <= EROFS_INLINE_BYTES_MAX &&
           EROFS_INODE_BYTES + xattr_bytes(inode) + size <= EROFS_BLOCK_BYTES;
}

/* fs/erofs/namei.c looks names up by halves: sorted as bytes. */
static int compare_names(const void *a, const void *b)
{
    const struct listed *left = a, *right = b;
    int order = memcmp(left->name, right->name, left->len < right->len ? left->len : right->len);

    return order ? order : left->len < right->len ? -1 : left->len > right->len;
}

static int list_directory(const struct tree_entry *directory, struct listing *out)
{
    const struct tree_entry *parent = directory->parent ? directory->parent : directory;
    unsigned count = 0;

    for (const struct tree_entry *at = directory->children; at; at = at->next)
        count++;
    out->entries = calloc(count + 2, sizeof(*out->entries));
    if (!out->entries)
        return -ENOMEM;
    out->entries[0] = (struct listed){.inode = directory->inode, .name = ".", .len = 1};
    out->entries[1] = (struct listed){.inode = parent->inode, .name = "..", .len = 2};
    out->count = 2;
    for (const struct tree_entry *at = directory->children; at; at = at->next)
        out->entries[out->count++] =
            (struct listed){.inode = at->inode, .name = at->name, .len = at->name_len};
    qsort(out->entries, out->count, sizeof(*out->entries), compare_names);
    return 0;
}

/* How many of the entries from `first` on share one block, and how many bytes of it they need. */
static unsigned fill_block(const struct listing *listing, unsigned first, size_t *bytes)
{
    unsigned i = first;

    *bytes = 0;
    while (i < listing->count) {
        size_t needed = DIRENT_BYTES + listing->entries[i].len;

        if (*bytes + needed > EROFS_BLOCK_BYTES)
            break;
        *bytes += needed;
        i++;
    }
    return i - first;
}

static uint64_t measure_directory(const struct listing *listing)
{
    uint64_t size = 0;
    size_t bytes = 0;

    for (unsigned first = 0; first < listing->count;) {
        size = (size + EROFS_BLOCK_BYTES - 1) & ~(uint64_t)(EROFS_BLOCK_BYTES - 1);
        first += fill_block(listing, first, &bytes);
        size += bytes;
    }
    return size;
}

static uint8_t file_type(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return FT_DIR;
    case S_IFCHR:
        return FT_CHR;
    case S_IFBLK:
        return FT_BLK;
    case S_IFIFO:
        return FT_FIFO;
    case S_IFLNK:
        return FT_LNK;
    default:
        return FT_REG;
    }
}

static uint64_t nid_of(const struct tree_inode *inode, uint64_t meta)
{
    return (inode->position - meta) / SLOT_BYTES;
}

/* One block's worth: the headers, then the names. */
static void encode_block(const struct listing *listing, unsigned first, unsigned count,
                         uint64_t meta, uint8_t *block)
{
    size_t name_at = (size_t)count * DIRENT_BYTES;

    for (unsigned i = 0; i < count; i++) {
        const struct listed *entry = &listing->entries[first + i];
        uint8_t *dirent = block + (size_t)i * DIRENT_BYTES;

        put_le64(dirent, nid_of(entry->inode, meta));
        put_le16(dirent + 8, (uint16_t)name_at);
        dirent[10] = file_type(entry->inode->mode);
        dirent[11] = 0;
        memcpy(block + name_at, entry->name, entry->len);
        name_at += entry->len;
    }
}

static int put_directory(struct output *out, const struct tree_entry *directory, uint64_t meta)
{
    struct listing listing;
    uint8_t block[EROFS_BLOCK_BYTES];
    size_t bytes = 0;
    int ret = list_directory(directory, &listing);

    if (ret)
        return ret;
    for (unsigned first = 0; first < listing.count;) {
        unsigned count = fill_block(&listing, first, &bytes);

        encode_block(&listing, first, count, meta, block);
        first += count;
        /* Names of a block end at its end, or at a NUL. */
        memset(block + bytes, 0, sizeof(block) - bytes);
        put(out, block, first < listing.count ? sizeof(block) : bytes);
    }
    free(listing.entries);
    return 0;
}

/* Contents that are the writer's to place: a directory's, a link's. */
static bool is_ours(const struct tree_inode *inode)
{
    return S_ISDIR(inode->mode) || S_ISLNK(inode->mode);
}

static int measure(struct tree_entry *entry)
{
    struct listing listing;
    int ret;

    if (!S_ISDIR(entry->inode->mode))
        return 0;
    ret = list_directory(entry, &listing);
    if (ret)
        return ret;
    entry->inode->size = measure_directory(&listing);
    free(listing.entries);
    return 0;
}

static bool is_inline(const struct tree_inode *inode)
{
    if (is_ours(inode))
        return erofs_goes_inline(inode, inode->size);
    return S_ISREG(inode->mode) && inode->data;
}

/* Gives big directories and links their blocks, from end_block on. */
static int place_blocks(struct tree *tree, uint64_t *end_block)
{
    for (struct tree_entry *entry = tree->root; entry; entry = tree_next(entry)) {
        struct tree_inode *inode = entry->inode;
        int ret = measure(entry);

        if (ret)
            return ret;
        if (!is_ours(inode) || is_inline(inode) || inode->block)
            continue;
        if (*end_block > UINT32_MAX)
            return -EFBIG;
        inode->block = (uint32_t)*end_block;
        *end_block += (inode->size + EROFS_BLOCK_BYTES - 1) / EROFS_BLOCK_BYTES;
    }
    return 0;
}

/*
 * Places the inodes from *at on. An inode does not cross a block's end, nor does what is inline
 * (erofs.rst, "On-disk details": tail data must be in the block of its inode's end).
 */
static void place_inodes(struct tree *tree, uint64_t *at, uint32_t *count)
{
    for (struct tree_entry *entry = tree->root; entry; entry = tree_next(entry)) {
        struct tree_inode *inode = entry->inode;
        uint64_t head = EROFS_INODE_BYTES + xattr_bytes(inode);

        if (inode->number)
            continue; /* a further name */
        *at = (*at + EROFS_INODE_BYTES - 1) & ~(uint64_t)(EROFS_INODE_BYTES - 1);
        if (is_inline(inode) &&
            *at / EROFS_BLOCK_BYTES != (*at + head + inode->size - 1) / EROFS_BLOCK_BYTES)
            *at = (*at + EROFS_BLOCK_BYTES - 1) & ~(uint64_t)(EROFS_BLOCK_BYTES - 1);
        inode->position = *at;
        inode->number = ++*count;
        *at += head + (is_inline(inode) ? inode->size : 0);
    }
}

/* i_nlink of a directory counts its ".." in directories below, as elsewhere in Unix. */
static uint32_t link_count(const struct tree_entry *entry)
{
    uint32_t links = 2;

    if (!S_ISDIR(entry->inode->mode))
        return entry->inode->links;
    for (const struct tree_entry *at = entry->children; at; at = at->next)
        links += S_ISDIR(at->inode->mode) ? 1 : 0;
    return links;
}

static void put_inode_head(struct output *out, const struct tree_entry *entry)
{
    const struct tree_inode *inode = entry->inode;
    uint8_t head[EROFS_INODE_BYTES + XATTR_HEADER_BYTES] = {0};
    uint32_t xattrs = xattr_bytes(inode);
    bool device = S_ISCHR(inode->mode) || S_ISBLK(inode->mode);

    put_le16(head, (uint16_t)(1u | (is_inline(inode) ? LAYOUT_INLINE : LAYOUT_PLAIN) << 1));
    if (xattrs)
        put_le16(head + 2, (uint16_t)((xattrs - XATTR_HEADER_BYTES) / 4 + 1));
    put_le16(head + 4, (uint16_t)inode->mode);
    put_le64(head + 8, inode->size);
    put_le32(head + 16, device ? inode->rdev : inode->block);
    put_le32(head + 20, inode->number);
    put_le32(head + 24, inode->uid);
    put_le32(head + 28, inode->gid);
    put_le64(head + 32, inode->mtime_s);
    put_le32(head + 40, inode->mtime_ns);
    put_le32(head + 44, link_count(entry));
    put(out, head, EROFS_INODE_BYTES + (xattrs ? XATTR_HEADER_BYTES : 0));
}

static int put_inode(struct output *out, const struct tree_entry *entry, uint64_t meta)
{
    const struct tree_inode *inode = entry->inode;

    put_zeros_up_to(out, inode->position);
    put_inode_head(out, entry);
    if (inode->xattr_bytes)
        put(out, inode->xattrs, inode->xattr_bytes);
    if (inode->opaque)
        put(out, opaque_xattr, sizeof(opaque_xattr));
    if (!is_inline(inode))
        return 0;
    if (S_ISDIR(inode->mode))
        return put_directory(out, entry, meta);
    put(out, inode->data, (size_t)inode->size);
    return 0;
}

static int put_tree(struct tree *tree, struct output *out, uint64_t meta)
{
    uint32_t done = 0, next_block = 0;
    int ret = 0;

    for (struct tree_entry *entry = tree->root; ret == 0 && entry; entry = tree_next(entry)) {
        const struct tree_inode *inode = entry->inode;

        if (!is_ours(inode) || is_inline(inode) || inode->block < next_block)
            continue;
        next_block = inode->block + 1; /* of several names of a link, the first writes it */
        put_zeros_up_to(out, (uint64_t)inode->block * EROFS_BLOCK_BYTES);
        if (S_ISDIR(inode->mode))
            ret = put_directory(out, entry, meta);
        else
            put(out, inode->data, (size_t)inode->size);
    }
    put_zeros_up_to(out, meta);
    for (struct tree_entry *entry = tree->root; ret == 0 && entry; entry = tree_next(entry)) {
        if (entry->inode->number != done + 1)
            continue; /* a further name of one that is written */
        done++;
        ret = put_inode(out, entry, meta);
    }
    return ret;
}

/* CRC-32C without the final inversion, as the kernel's crc32c(~0, ...) has it. */
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

static void put_super(struct output *out, uint64_t meta, uint64_t blocks, uint32_t inodes,
                      const uint8_t uuid[16])
{
    uint8_t block[EROFS_BLOCK_BYTES] = {0}, *super = block + EROFS_SUPER_OFFSET;

    put_le32(super, EROFS_SUPER_MAGIC);
    put_le32(super + 8, COMPAT_CHECKSUM | COMPAT_MTIME);
    super[12] = 12;          /* log2 of the block size */
    put_le16(super + 14, 0); /* the root's nid: it is the first */
    put_le64(super + 16, inodes);
    put_le32(super + 36, (uint32_t)blocks);
    put_le32(super + 40, (uint32_t)(meta / EROFS_BLOCK_BYTES));
    memcpy(super + 48, uuid, 16);
    put_le32(super + 4, crc32c(super, sizeof(block) - EROFS_SUPER_OFFSET));
    put(out, block, sizeof(block));
}

int erofs_write(struct tree *tree, int fd, uint64_t end_block, const uint8_t uuid[16],
                uint64_t *size)
{
    struct output out = {.fd = fd, .at = end_block * EROFS_BLOCK_BYTES};
    uint64_t meta, end;
    uint32_t inodes = 0;
    int ret = place_blocks(tree, &end_block);

    if (ret)
        return ret;
    meta = end = end_block * EROFS_BLOCK_BYTES;
    place_inodes(tree, &end, &inodes);
    end = (end + EROFS_BLOCK_BYTES - 1) & ~(uint64_t)(EROFS_BLOCK_BYTES - 1);
    if (end / EROFS_BLOCK_BYTES > UINT32_MAX)
        return -EFBIG;
    out.buffer = malloc(BUFFER_BYTES);
    if (!out.buffer)
        return -ENOMEM;
    ret = put_tree(tree, &out, meta);
    put_zeros_up_to(&out, end);
    flush(&out);
    out.at = 0;
    put_super(&out, meta, end / EROFS_BLOCK_BYTES, inodes, uuid);
    flush(&out);
    free(out.buffer);
    *size = end;
    return ret ? ret : out.error;
}
