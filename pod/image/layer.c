// SPDX-License-Identifier: Apache-2.0
/*
 * Converting layers: see layer.h. Two readers of libarchive are put one behind the other, so that
 * the digest sees every byte of the uncompressed stream, also those behind the archive's end:
 *
 *     blob ─▶ "raw" format with one filter ─▶ digest ─▶ "tar" format ─▶ tree, blocks of out_fd
 *
 * Formats and filters other than the one that the media type names are not there to be fooled.
 * Runs on the caller's thread. libarchive converts names by the locale: it gets one with UTF-8.
 *
 * References: OCI Image Specification 1.1, layer.md; pax(1), ustar and pax formats.
 */
#include "pod/image/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/image/erofs.h"

#define CHUNK_BYTES (256u << 10)

struct converter {
    const struct layer_job *job;
    struct husk_error *err;
    struct archive *raw, *tar;
    struct digest_stream *digest;
    struct tree tree;
    uint64_t blob_at; /* how much of the blob is read */
    uint64_t stream_bytes;
    bool stream_ended;
    uint64_t next_block;    /* of the image, the first that is free */
    uint64_t content_bytes; /* what files say they hold */
    uint8_t *input, *chunk;
    int out_fd;
    int ret; /* an error that libarchive was only told of */
};

static int fail(struct converter *c, int code, const char *what, const char *why)
{
    if (!c->ret)
        c->ret = error_set(c->err, code, c->job->where, what, why ? "%s" : NULL, why);
    return c->ret;
}

static bool stopped(const struct converter *c)
{
    return c->job->stop && atomic_load_explicit(c->job->stop, memory_order_relaxed);
}

static la_ssize_t read_blob(struct archive *archive, void *arg, const void **out)
{
    struct converter *c = arg;
    size_t len = (size_t)min_u64(CHUNK_BYTES, c->job->blob_bytes - c->blob_at);
    int ret = pread_full(c->job->blob_fd, c->input, len, c->job->blob_offset + c->blob_at);

    if (ret) {
        fail(c, -ret, "cannot be read", NULL);
        return ARCHIVE_FATAL;
    }
    c->blob_at += len;
    *out = c->input;
    return (la_ssize_t)len;
}

/* What the tar reader reads; the digest takes it on the way. */
static la_ssize_t read_stream(struct archive *archive, void *arg, const void **out)
{
    struct converter *c = arg;
    uint64_t max = c->job->max_bytes ? c->job->max_bytes : LAYER_STREAM_BYTES_MAX;
    la_ssize_t n;

    if (stopped(c)) {
        fail(c, ECANCELED, "was not converted", "another part of the image failed");
        return ARCHIVE_FATAL;
    }
    n = c->stream_ended ? 0 : archive_read_data(c->raw, c->chunk, CHUNK_BYTES);
    if (n < 0) {
        fail(c, EINVAL, "cannot be decompressed", archive_error_string(c->raw));
        return ARCHIVE_FATAL;
    }
    c->stream_ended = n == 0;
    c->stream_bytes += (uint64_t)n;
    if (c->stream_bytes > max) {
        fail(c, EFBIG, "is too big", "its uncompressed size is beyond the limit");
        return ARCHIVE_FATAL;
    }
    digest_update(c->digest, c->chunk, (size_t)n);
    *out = c->chunk;
    return n;
}

static int open_stream(struct converter *c)
{
    struct archive_entry *entry;
    int ret = ARCHIVE_OK;

    archive_read_support_format_raw(c->raw);
    archive_read_support_format_empty(c->raw);
    if (c->job->media == MEDIA_LAYER_GZIP)
        ret = archive_read_support_filter_gzip(c->raw);
    else if (c->job->media == MEDIA_LAYER_ZSTD)
        ret = archive_read_support_filter_zstd(c->raw);
    if (ret != ARCHIVE_OK)
        return fail(c, ENOTSUP, "cannot be decompressed", "libarchive was built without that");
    ret = archive_read_open(c->raw, c, NULL, read_blob, NULL);
    if (ret == ARCHIVE_OK)
        ret = archive_read_next_header(c->raw, &entry);
    if (ret != ARCHIVE_OK && ret != ARCHIVE_EOF)
        return fail(c, EINVAL, "cannot be decompressed", archive_error_string(c->raw));
    c->stream_ended = ret == ARCHIVE_EOF;
    archive_read_support_format_tar(c->tar);
    archive_read_support_format_empty(c->tar);
    if (archive_read_open(c->tar, c, NULL, read_stream, NULL) != ARCHIVE_OK)
        return fail(c, EINVAL, "is no tar archive", archive_error_string(c->tar));
    return 0;
}

/* Why a path of the layer was refused. */
static int refuse(struct converter *c, int ret, const char *path)
{
    const char *why;

    switch (-ret) {
    case EINVAL:
        why = "it leads out of the layer, or its name is reserved";
        break;
    case ENAMETOOLONG:
        why = "it is too long or too deep";
        break;
    case ENOTDIR:
        why = "it leads through something that is no directory";
        break;
    case ENOENT:
        why = "it is a link to something that the layer does not have";
        break;
    case EISDIR:
        why = "it is a hard link to a directory";
        break;
    case E2BIG:
        why = "with it there are more files, names or attributes than a layer may have";
        break;
    default:
        why = error_text(-ret);
        break;
    }
    if (!c->ret) {
        char what[128];

        snprintf(what, sizeof(what), "has a path that is refused: %s", path);
        c->ret = error_set(c->err, -ret, c->job->where, what, "%s", why);
    }
    return c->ret;
}

/* new_encode_dev() of the kernel: what EROFS keeps of a device's number. */
static int encode_device(struct archive_entry *entry, uint32_t *out)
{
    uint64_t major = (uint64_t)archive_entry_rdevmajor(entry);
    uint64_t minor = (uint64_t)archive_entry_rdevminor(entry);

    if (major > 0xfff || minor > 0xfffff)
        return -EINVAL;
    *out = (uint32_t)((minor & 0xff) | major << 8 | (minor & ~0xffull) << 12);
    return 0;
}

static int describe(struct converter *c, struct archive_entry *entry, const char *path,
                    struct tree_inode *out)
{
    int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
    int64_t mtime = archive_entry_mtime(entry);

    memset(out, 0, sizeof(*out));
    out->mode = archive_entry_mode(entry);
    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
        return fail(c, EINVAL, "has a file whose owner is out of range", path);
    out->uid = (uint32_t)uid;
    out->gid = (uint32_t)gid;
    out->mtime_s = mtime < 0 ? 0 : (uint64_t)mtime;
    out->mtime_ns = mtime < 0 ? 0 : (uint32_t)archive_entry_mtime_nsec(entry) % 1000000000u;
    switch (out->mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFIFO:
        return 0;
    case S_IFCHR:
    case S_IFBLK:
        if (encode_device(entry, &out->rdev))
            return fail(c, EINVAL, "has a device whose number is out of range", path);
        /* To overlayfs, character device 0:0 is a whiteout; layers have other means for that. */
        if (S_ISCHR(out->mode) && out->rdev == 0)
            return fail(c, EINVAL, "has a character device 0:0", path);
        return 0;
    default:
        return fail(c, EINVAL, "has a file of a kind that tar archives do not have", path);
    }
}

static int add_xattrs(struct converter *c, struct archive_entry *entry, struct tree_inode *inode)
{
    const char *name;
    const void *value;
    size_t len;

    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &len) == ARCHIVE_OK) {
        int ret = name ? tree_add_xattr(&c->tree, inode, name, value, len) : 0;

        if (ret)
            return ret;
    }
    return 0;
}

static int write_block(struct converter *c, const uint8_t *bytes, size_t len, uint64_t at)
{
    while (len) {
        ssize_t n = pwrite(c->out_fd, bytes, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(c, errno, "cannot be written into the store", NULL);
        bytes += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* Holes of sparse files stay holes: of the image too. */
static int copy_contents(struct converter *c, struct tree_inode *inode)
{
    uint64_t start = (uint64_t)inode->block * EROFS_BLOCK_BYTES;

    while (true) {
        const void *bytes;
        size_t len;
        la_int64_t offset;
        int ret = archive_read_data_block(c->tar, &bytes, &len, &offset);

        if (ret == ARCHIVE_EOF)
            return 0;
        if (c->ret)
            return c->ret;
        if (ret != ARCHIVE_OK)
            return fail(c, EINVAL, "is a damaged archive", archive_error_string(c->tar));
        if (offset < 0 || (uint64_t)offset > inode->size || len > inode->size - (uint64_t)offset)
            return fail(c, EINVAL, "is a damaged archive", "a file is longer than it says");
        if (inode->data)
            memcpy(inode->data + offset, bytes, len);
        else if (write_block(c, bytes, len, start + (uint64_t)offset))
            return c->ret;
    }
}

static int add_contents(struct converter *c, struct archive_entry *entry, const char *path,
                        struct tree_inode *inode)
{
    int64_t size = archive_entry_size(entry);
    uint64_t blocks;

    if (size < 0)
        return fail(c, EINVAL, "has a file with a negative size", path);
    if (!checked_add(c->content_bytes, (uint64_t)size, &c->content_bytes) ||
        c->content_bytes > LAYER_STREAM_BYTES_MAX)
        return fail(c, EFBIG, "is too big", "its files are beyond the limit");
    inode->size = (uint64_t)size;
    if (size == 0)
        return 0;
    if (erofs_goes_inline(inode, inode->size)) {
        int ret = tree_charge(&c->tree, inode->size);

        if (ret)
            return refuse(c, ret, path);
        inode->data = calloc(1, (size_t)size);
        if (!inode->data)
            return fail(c, ENOMEM, "cannot be converted", NULL);
        return copy_contents(c, inode);
    }
    blocks = (inode->size + EROFS_BLOCK_BYTES - 1) / EROFS_BLOCK_BYTES;
    if (c->next_block + blocks > UINT32_MAX)
        return fail(c, EFBIG, "is too big", "its files are beyond the limit");
    inode->block = (uint32_t)c->next_block;
    c->next_block += blocks;
    return copy_contents(c, inode);
}

static int add_target(struct converter *c, struct archive_entry *entry, const char *path,
                      struct tree_inode *inode)
{
    const char *target = archive_entry_symlink(entry);
    size_t len = target ? strlen(target) : 0;
    int ret;

    if (len == 0 || len > TREE_PATH_BYTES_MAX)
        return fail(c, EINVAL, "has a symbolic link without a usable target", path);
    ret = tree_charge(&c->tree, len);
    if (ret)
        return refuse(c, ret, path);
    inode->data = (uint8_t *)strdup(target);
    inode->size = len;
    return inode->data ? 0 : fail(c, ENOMEM, "cannot be converted", NULL);
}

static int add_entry(struct converter *c, struct archive_entry *entry)
{
    const char *path = archive_entry_pathname(entry);
    const char *link = archive_entry_hardlink(entry);
    struct tree_inode like;
    struct tree_entry *added;
    int ret;

    if (!path)
        return fail(c, EINVAL, "has a name that cannot be read",
                    "it is not UTF-8 where it must be");
    if (link) {
        ret = tree_link(&c->tree, path, link);
        return ret < 0 ? refuse(c, ret, path) : 0;
    }
    ret = describe(c, entry, path, &like);
    if (ret)
        return ret;
    ret = tree_add(&c->tree, path, &like, &added);
    if (ret)
        return ret < 0 ? refuse(c, ret, path) : 0;
    ret = add_xattrs(c, entry, added->inode);
    if (ret)
        return refuse(c, ret, path);
    if (S_ISREG(like.mode))
        return add_contents(c, entry, path, added->inode);
    return S_ISLNK(like.mode) ? add_target(c, entry, path, added->inode) : 0;
}

static int read_entries(struct converter *c)
{
    struct archive_entry *entry;

    while (true) {
        int ret = archive_read_next_header(c->tar, &entry);

        if (c->ret)
            return c->ret;
        if (ret == ARCHIVE_EOF)
            return 0;
        /* A warning is about what is not kept: ACLs, times beyond the range, odd characters. */
        if (ret != ARCHIVE_OK && ret != ARCHIVE_WARN)
            return fail(c, EINVAL, "is a damaged archive", archive_error_string(c->tar));
        if (add_entry(c, entry))
            return c->ret;
    }
}

/* The rest of the stream, of which tar needs nothing and the digest everything. */
static int drain(struct converter *c)
{
    const void *bytes;
    la_ssize_t n;

    do
        n = read_stream(NULL, c, &bytes);
    while (n > 0);
    return c->ret;
}

static int check_digest(struct converter *c)
{
    struct digest found;
    int ret = digest_end(c->digest, &found);

    c->digest = NULL;
    if (ret)
        return fail(c, -ret, "cannot be digested", NULL);
    if (!digest_equal(&found, &c->job->diff_id)) {
        c->ret = error_set(c->err, EINVAL, c->job->where,
                           "is not the layer that the configuration names",
                           "its contents have the digest %s", found.text);
        return c->ret;
    }
    return 0;
}

static int convert(struct converter *c, uint64_t *size)
{
    uint8_t uuid[16];
    int ret = open_stream(c);

    if (ret == 0)
        ret = read_entries(c);
    if (ret == 0)
        ret = drain(c);
    if (ret == 0)
        ret = check_digest(c);
    if (ret)
        return ret;
    digest_bytes(&c->job->diff_id, uuid, sizeof(uuid));
    ret = erofs_write(&c->tree, c->out_fd, c->next_block, uuid, size);
    if (ret)
        return fail(c, -ret, "cannot be written into the store", NULL);
    return 0;
}

int layer_convert(const struct layer_job *job, int out_fd, uint64_t *size, struct husk_error *err)
{
    struct converter c = {.job = job, .err = err, .out_fd = out_fd, .next_block = 1};
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
    locale_t before = utf8 ? uselocale(utf8) : NULL;
    int ret = tree_init(&c.tree);

    c.raw = archive_read_new();
    c.tar = archive_read_new();
    c.digest = digest_begin();
    c.input = malloc(CHUNK_BYTES);
    c.chunk = malloc(CHUNK_BYTES);
    if (ret || !c.raw || !c.tar || !c.digest || !c.input || !c.chunk)
        ret = fail(&c, ENOMEM, "cannot be converted", NULL);
    else
        ret = convert(&c, size);
    archive_read_free(c.tar);
    archive_read_free(c.raw);
    digest_abandon(c.digest);
    tree_clear(&c.tree);
    free(c.input);
    free(c.chunk);
    if (utf8) {
        uselocale(before);
        freelocale(utf8);
    }
    return ret;
}
