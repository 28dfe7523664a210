// SPDX-License-Identifier: Apache-2.0
/*
 * Layers become EROFS images: what is kept of every kind of file, what whiteouts become, what is
 * refused, and that nothing of it depends on the compression. Covers layer.c, tree.c and erofs.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "pod/image/erofs.h"
#include "pod/image/layer.h"
#include "tests/harness/erofs_view.h"

#define ARCHIVE_BYTES (8u << 20)

struct tar {
    struct archive *archive;
    char *bytes;
    size_t len, *used; /* len: once it is ended */
};

static struct tar tar_begin(void)
{
    struct tar tar = {.archive = archive_write_new(),
                      .bytes = malloc(ARCHIVE_BYTES),
                      .used = calloc(1, sizeof(size_t))};

    archive_write_set_format_pax(tar.archive);
    archive_write_set_bytes_per_block(tar.archive, 512);
    assert_int_equal(archive_write_open_memory(tar.archive, tar.bytes, ARCHIVE_BYTES, tar.used),
                     ARCHIVE_OK);
    return tar;
}

static void tar_end(struct tar *tar)
{
    archive_write_close(tar->archive);
    archive_write_free(tar->archive);
    tar->archive = NULL;
    tar->len = *tar->used;
    free(tar->used);
}

static struct archive_entry *entry_new(const char *path, mode_t mode)
{
    struct archive_entry *entry = archive_entry_new();

    archive_entry_set_pathname(entry, path);
    archive_entry_set_mode(entry, mode);
    archive_entry_set_mtime(entry, 1000, 7);
    return entry;
}

static void put_entry(struct tar *tar, struct archive_entry *entry, const void *data, size_t len)
{
    archive_entry_set_size(entry, (la_int64_t)len);
    assert_int_equal(archive_write_header(tar->archive, entry), ARCHIVE_OK);
    if (len)
        assert_int_equal(archive_write_data(tar->archive, data, len), (la_ssize_t)len);
    archive_entry_free(entry);
}

static void put_file(struct tar *tar, const char *path, const void *data, size_t len)
{
    put_entry(tar, entry_new(path, S_IFREG | 0644), data, len);
}

static void put_text(struct tar *tar, const char *path, const char *text)
{
    put_file(tar, path, text, strlen(text));
}

static void put_directory(struct tar *tar, const char *path, mode_t mode)
{
    put_entry(tar, entry_new(path, S_IFDIR | mode), NULL, 0);
}

static void put_link(struct tar *tar, const char *path, const char *target, bool hard)
{
    struct archive_entry *entry = entry_new(path, hard ? S_IFREG | 0644 : S_IFLNK | 0777);

    if (hard)
        archive_entry_set_hardlink(entry, target);
    else
        archive_entry_set_symlink(entry, target);
    put_entry(tar, entry, NULL, 0);
}

static void put_device(struct tar *tar, const char *path, mode_t type, unsigned major,
                       unsigned minor)
{
    struct archive_entry *entry = entry_new(path, type | 0600);

    archive_entry_set_rdevmajor(entry, major);
    archive_entry_set_rdevminor(entry, minor);
    put_entry(tar, entry, NULL, 0);
}

/* A layer that was converted; the bytes are mapped. */
struct result {
    int ret;
    struct husk_error err;
    struct erofs_view view;
    void *bytes;
    uint64_t size;
};

static struct result convert_bytes(const void *bytes, size_t len, enum image_media media,
                                   const struct digest *diff_id, uint64_t max)
{
    struct layer_job job = {
        .blob_bytes = len, .media = media, .diff_id = *diff_id, .where = "layer", .max_bytes = max};
    struct result result = {0};
    int out = memfd_create("erofs", MFD_CLOEXEC);

    job.blob_fd = memfd_create("blob", MFD_CLOEXEC);
    assert_int_equal(write(job.blob_fd, bytes, len), (ssize_t)len);
    result.ret = layer_convert(&job, out, &result.size, &result.err);
    close(job.blob_fd);
    if (result.ret == 0) {
        const char *wrong;
        struct stat st;

        assert_int_equal(fstat(out, &st), 0);
        assert_int_equal(st.st_size, result.size);
        result.bytes = mmap(NULL, result.size, PROT_READ, MAP_PRIVATE, out, 0);
        wrong = erofs_view_open(&result.view, result.bytes, result.size);
        if (!wrong)
            wrong = erofs_view_check(&result.view);
        if (wrong)
            fail_msg("%s", wrong);
    }
    close(out);
    return result;
}

static struct result convert(struct tar *tar)
{
    struct digest diff_id;
    struct result result;

    tar_end(tar);
    assert_int_equal(digest_of(tar->bytes, tar->len, &diff_id), 0);
    result = convert_bytes(tar->bytes, tar->len, MEDIA_LAYER_TAR, &diff_id, 0);
    free(tar->bytes);
    return result;
}

static struct result must_convert(struct tar *tar)
{
    struct result result = convert(tar);
    char text[600];

    if (result.ret)
        fail_msg("%s", error_format(&result.err, text, sizeof(text)));
    return result;
}

static void drop(struct result *result)
{
    munmap(result->bytes, result->size);
}

static struct erofs_file get(const struct result *result, const char *path)
{
    struct erofs_file file;

    if (!erofs_view_find(&result->view, path, &file))
        fail_msg("%s: not there", path);
    return file;
}

static bool has(const struct result *result, const char *path)
{
    struct erofs_file file;

    return erofs_view_find(&result->view, path, &file);
}

static void test_kinds(void **state)
{
    struct tar tar = tar_begin();
    struct archive_entry *entry;
    struct result result;
    struct erofs_file file;
    uint8_t big[10000];

    memset(big, 'b', sizeof(big));
    put_directory(&tar, "./", 0711);
    put_directory(&tar, "d/", 01777);
    entry = entry_new("d/small", S_IFREG | 04755);
    archive_entry_set_uid(entry, 70000);
    archive_entry_set_gid(entry, 80000);
    put_entry(&tar, entry, "hello", 5);
    put_file(&tar, "d/big", big, sizeof(big));
    put_file(&tar, "d/empty", NULL, 0);
    put_link(&tar, "link", "../../etc/passwd", false);
    put_link(&tar, "d/hard", "d/big", true);
    put_device(&tar, "null", S_IFCHR, 1, 3);
    put_device(&tar, "disk", S_IFBLK, 259, 70000);
    put_entry(&tar, entry_new("pipe", S_IFIFO | 0600), NULL, 0);
    put_text(&tar, "implied/way/file", "x");
    result = must_convert(&tar);

    assert_int_equal(get(&result, "").mode, S_IFDIR | 0711);
    assert_int_equal(get(&result, "d").mode, S_IFDIR | 01777);
    file = get(&result, "d/small");
    assert_int_equal(file.mode, S_IFREG | 04755);
    assert_int_equal(file.uid, 70000);
    assert_int_equal(file.gid, 80000);
    assert_int_equal(file.mtime_s, 1000);
    assert_int_equal(file.mtime_ns, 7);
    assert_int_equal(file.size, 5);
    assert_memory_equal(file.data, "hello", 5);
    file = get(&result, "d/big");
    assert_int_equal(file.links, 2);
    assert_int_equal(file.size, sizeof(big));
    assert_memory_equal(file.data, big, sizeof(big));
    assert_int_equal(get(&result, "d/hard").nid, file.nid);
    assert_int_equal(get(&result, "d/empty").size, 0);
    file = get(&result, "link");
    assert_int_equal(file.mode & S_IFMT, S_IFLNK);
    assert_memory_equal(file.data, "../../etc/passwd", 16);
    assert_int_equal(get(&result, "null").rdev, 0x103);
    assert_int_equal(get(&result, "disk").rdev, (70000 & 0xff) | 259 << 8 | (70000 & ~0xff) << 12);
    assert_int_equal(get(&result, "pipe").mode, S_IFIFO | 0600);
    assert_int_equal(get(&result, "implied/way").mode, S_IFDIR | 0755);
    drop(&result);
}

static void test_attributes(void **state)
{
    static const uint8_t capability[20] = {1, 0, 0, 2, 0, 4};
    struct tar tar = tar_begin();
    struct archive_entry *entry = entry_new("f", S_IFREG | 0755);
    struct result result;
    struct erofs_file file;
    size_t len;

    archive_entry_xattr_add_entry(entry, "security.capability", capability, sizeof(capability));
    archive_entry_xattr_add_entry(entry, "user.note", "abc", 3);
    archive_entry_xattr_add_entry(entry, "user.overlay.redirect", "/etc", 4);
    archive_entry_xattr_add_entry(entry, "trusted.overlay.redirect", "/etc", 4);
    archive_entry_xattr_add_entry(entry, "security.selinux", "x", 1);
    put_entry(&tar, entry, "hello", 5);
    result = must_convert(&tar);
    file = get(&result, "f");
    assert_memory_equal(erofs_view_xattr(&file, EROFS_XATTR_SECURITY, "capability", &len),
                        capability, sizeof(capability));
    assert_int_equal(len, sizeof(capability));
    assert_memory_equal(erofs_view_xattr(&file, EROFS_XATTR_USER, "note", &len), "abc", 3);
    assert_null(erofs_view_xattr(&file, EROFS_XATTR_USER, "overlay.redirect", &len));
    assert_null(erofs_view_xattr(&file, EROFS_XATTR_TRUSTED, "overlay.redirect", &len));
    assert_null(erofs_view_xattr(&file, EROFS_XATTR_SECURITY, "selinux", &len));
    assert_memory_equal(file.data, "hello", 5);
    drop(&result);
}

static bool is_whiteout(struct erofs_file file)
{
    return file.mode == S_IFCHR && file.rdev == 0;
}

static bool is_opaque(struct erofs_file file)
{
    size_t len;
    const uint8_t *value = erofs_view_xattr(&file, EROFS_XATTR_TRUSTED, "overlay.opaque", &len);

    return value && len == 1 && *value == 'y';
}

static void test_whiteouts(void **state)
{
    struct tar tar = tar_begin();
    struct result result;

    put_text(&tar, "a/.wh.gone", "");
    put_text(&tar, "b/.wh..wh..opq", "");
    put_text(&tar, "b/kept", "k");
    put_text(&tar, ".wh..wh.plnk", ""); /* of aufs */
    /* Whiteouts are about lower layers: what this one has under the name stays. */
    put_text(&tar, "file", "f");
    put_text(&tar, ".wh.file", "");
    put_text(&tar, "dir/in", "i");
    put_text(&tar, ".wh.dir", "");
    /* The other way about. */
    put_text(&tar, ".wh.late", "");
    put_text(&tar, "late/in", "i");
    put_text(&tar, ".wh.later", "");
    put_directory(&tar, "later", 0700);
    result = must_convert(&tar);
    assert_true(is_whiteout(get(&result, "a/gone")));
    assert_false(has(&result, "a/.wh.gone"));
    assert_true(is_opaque(get(&result, "b")));
    assert_false(is_opaque(get(&result, "a")));
    assert_int_equal(get(&result, "b/kept").size, 1);
    assert_false(has(&result, ".wh..wh.plnk"));
    assert_int_equal(get(&result, "file").size, 1);
    assert_true(is_opaque(get(&result, "dir")));
    assert_int_equal(get(&result, "dir/in").size, 1);
    assert_true(is_opaque(get(&result, "late")));
    assert_true(is_opaque(get(&result, "later")));
    assert_int_equal(get(&result, "later").mode, S_IFDIR | 0700);
    drop(&result);
}

static void test_later_entries_replace(void **state)
{
    struct tar tar = tar_begin();
    struct result result;

    put_text(&tar, "x", "first");
    put_text(&tar, "x", "second!");
    put_text(&tar, "d/in", "i");
    put_directory(&tar, "d", 0750);
    put_text(&tar, "e/in/deep", "i");
    put_text(&tar, "e", "now a file");
    put_text(&tar, "f", "now a directory");
    put_directory(&tar, "f", 0755);
    put_text(&tar, "f/in", "i");
    put_text(&tar, "g/h", "h");
    put_link(&tar, "g", "g/h", true); /* replaces the directory that its target is in */
    result = must_convert(&tar);
    assert_int_equal(get(&result, "x").size, 7);
    assert_int_equal(get(&result, "d").mode, S_IFDIR | 0750);
    assert_int_equal(get(&result, "d/in").size, 1);
    assert_true(S_ISREG(get(&result, "e").mode));
    assert_true(S_ISDIR(get(&result, "f").mode));
    assert_true(has(&result, "f/in"));
    assert_int_equal(get(&result, "g").links, 1);
    assert_memory_equal(get(&result, "g").data, "h", 1);
    drop(&result);
}

static void test_odd_but_harmless_names(void **state)
{
    struct tar tar = tar_begin();
    struct result result;
    char name[256];

    put_text(&tar, "/abs", "1");
    put_text(&tar, ".//./rel", "2");
    put_text(&tar, "\xc3\xbc", "3"); /* u with two dots */
    put_text(&tar, "!", "4");
    put_text(&tar, "...", "5");
    put_text(&tar, "a\nb", "6");
    memset(name, 'n', 255);
    name[255] = '\0';
    put_text(&tar, name, "7");
    result = must_convert(&tar);
    assert_true(has(&result, "abs"));
    assert_true(has(&result, "rel"));
    assert_true(has(&result, "\xc3\xbc"));
    assert_true(has(&result, "!"));
    assert_true(has(&result, "..."));
    assert_true(has(&result, "a\nb"));
    assert_true(has(&result, name));
    drop(&result);
}

static void test_many_names(void **state)
{
    struct tar tar = tar_begin();
    struct result result;
    char name[128], target[3001];

    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "many/%04u-%.*s", (i * 7919) % 3000, (int)(i % 60),
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        put_file(&tar, name, name, i % 90);
    }
    memset(target, 't', 3000);
    target[3000] = '\0';
    put_link(&tar, "long", target, false);
    put_link(&tar, "long2", "long", true);
    put_link(&tar, "long3", target, false);
    result = must_convert(&tar);
    assert_int_equal(get(&result, "long").size, 3000);
    assert_memory_equal(get(&result, "long3").data, target, 3000);
    assert_int_equal(get(&result, "long2").nid, get(&result, "long").nid);
    assert_int_equal(result.view.inode_count, 3000 + 2 + 2);
    drop(&result);
}

static void test_sparse_files_keep_their_holes(void **state)
{
    struct tar tar = tar_begin();
    struct archive_entry *entry = entry_new("sparse", S_IFREG | 0644);
    struct result result;
    char *zeros = calloc(1, 1 << 20);

    memcpy(zeros + 500000, "middle", 6);
    archive_entry_sparse_add_entry(entry, 500000, 6);
    put_entry(&tar, entry, zeros, 1 << 20);
    result = must_convert(&tar);
    assert_int_equal(get(&result, "sparse").size, 1 << 20);
    assert_memory_equal(get(&result, "sparse").data, zeros, 1 << 20);
    free(zeros);
    drop(&result);
}

static void check_refused(struct tar *tar, int code, const char *text)
{
    struct result result = convert(tar);
    char all[600];

    assert_int_equal(result.ret, -code);
    error_format(&result.err, all, sizeof(all));
    if (!strstr(all, text))
        fail_msg("%s: without %s", all, text);
}

static void test_escapes(void **state)
{
    static const char *const names[] = {"../x",   "a/../../x", "a/..",    "..",     "/../x",
                                        ".wh...", ".wh..",     "a/.wh..", "x/.wh.", ".wh.dir/x"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct tar tar = tar_begin();

        put_text(&tar, names[i], "x");
        check_refused(&tar, EINVAL, "leads out");
    }
}

static void test_paths_through_others(void **state)
{
    struct tar tar = tar_begin();

    put_link(&tar, "l", "/etc", false);
    put_text(&tar, "l/passwd", "x");
    check_refused(&tar, ENOTDIR, "no directory");
    tar = tar_begin();
    put_text(&tar, "f", "x");
    put_text(&tar, "f/x", "x");
    check_refused(&tar, ENOTDIR, "f/x");
}

static void test_hard_links(void **state)
{
    static const struct {
        const char *target;
        int code;
    } wrong[] = {{"nowhere", ENOENT},    {"../etc/passwd", EINVAL}, {"d", EISDIR},
                 {"", EISDIR},           {"l/x", ENOTDIR},          {"gone", ENOENT},
                 {"/etc/passwd", ENOENT}};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct tar tar = tar_begin();

        put_directory(&tar, "d", 0755);
        put_link(&tar, "l", "d", false);
        put_text(&tar, ".wh.gone", "");
        if (wrong[i].target[0]) {
            put_link(&tar, "h", wrong[i].target, true);
            check_refused(&tar, wrong[i].code, "h");
        } else {
            put_link(&tar, "h", "/", true);
            check_refused(&tar, wrong[i].code, "h");
        }
    }
}

static void test_devices_that_would_be_whiteouts(void **state)
{
    struct tar tar = tar_begin();

    put_device(&tar, "w", S_IFCHR, 0, 0);
    check_refused(&tar, EINVAL, "0:0");
    tar = tar_begin();
    put_device(&tar, "w", S_IFBLK, 0x1000, 0);
    check_refused(&tar, EINVAL, "out of range");
}

static void test_long_and_deep_paths(void **state)
{
    struct tar tar = tar_begin();
    char path[TREE_PATH_BYTES_MAX + 10];

    memset(path, 'x', 256);
    path[256] = '\0';
    put_text(&tar, path, "");
    check_refused(&tar, ENAMETOOLONG, "too long");
    tar = tar_begin();
    for (unsigned i = 0; i < 2 * (TREE_DEPTH_MAX + 1); i += 2)
        memcpy(path + i, "d/", 3);
    put_text(&tar, path, "");
    check_refused(&tar, ENAMETOOLONG, "too deep");
}

static void test_digest_is_checked(void **state)
{
    struct tar tar = tar_begin();
    struct digest diff_id;
    struct result result;

    put_text(&tar, "x", "x");
    tar_end(&tar);
    assert_int_equal(digest_of("other", 5, &diff_id), 0);
    result = convert_bytes(tar.bytes, tar.len, MEDIA_LAYER_TAR, &diff_id, 0);
    assert_int_equal(result.ret, -EINVAL);
    assert_string_equal(result.err.what, "is not the layer that the configuration names");
    /* What is behind the end of the archive counts too. */
    assert_int_equal(digest_of(tar.bytes, tar.len, &diff_id), 0);
    tar.bytes[tar.len] = 1;
    result = convert_bytes(tar.bytes, tar.len + 1, MEDIA_LAYER_TAR, &diff_id, 0);
    assert_int_equal(result.ret, -EINVAL);
    free(tar.bytes);
}

static void test_limit_of_the_stream(void **state)
{
    struct tar tar = tar_begin();
    struct digest diff_id;
    struct result result;
    char *zeros = calloc(1, 1 << 20);

    put_file(&tar, "bomb", zeros, 1 << 20);
    free(zeros);
    tar_end(&tar);
    assert_int_equal(digest_of(tar.bytes, tar.len, &diff_id), 0);
    result = convert_bytes(tar.bytes, tar.len, MEDIA_LAYER_TAR, &diff_id, 100000);
    assert_int_equal(result.ret, -EFBIG);
    free(tar.bytes);
}

static void test_damaged_archives(void **state)
{
    struct tar tar = tar_begin();
    struct digest diff_id;
    struct result result;
    uint8_t big[5000] = {1};

    put_file(&tar, "x", big, sizeof(big));
    tar_end(&tar);
    for (size_t len = 1; len < tar.len - 1024; len += 509) {
        assert_int_equal(digest_of(tar.bytes, len, &diff_id), 0);
        result = convert_bytes(tar.bytes, len, MEDIA_LAYER_TAR, &diff_id, 0);
        assert_int_equal(result.ret, -EINVAL);
    }
    result = convert_bytes(tar.bytes, tar.len, MEDIA_LAYER_GZIP, &diff_id, 0);
    assert_int_equal(result.ret, -EINVAL);
    memset(tar.bytes, 'q', 2048);
    assert_int_equal(digest_of(tar.bytes, 2048, &diff_id), 0);
    result = convert_bytes(tar.bytes, 2048, MEDIA_LAYER_TAR, &diff_id, 0);
    assert_int_equal(result.ret, -EINVAL);
    free(tar.bytes);
}

static void test_empty_layers(void **state)
{
    static const char zeros[1024];
    struct digest diff_id;
    struct result result;

    assert_int_equal(digest_of(zeros, sizeof(zeros), &diff_id), 0);
    result = convert_bytes(zeros, sizeof(zeros), MEDIA_LAYER_TAR, &diff_id, 0);
    assert_int_equal(result.ret, 0);
    assert_int_equal(result.view.inode_count, 1);
    drop(&result);
    assert_int_equal(digest_of(zeros, 0, &diff_id), 0);
    result = convert_bytes(zeros, 0, MEDIA_LAYER_TAR, &diff_id, 0);
    assert_int_equal(result.ret, 0);
    drop(&result);
}

/* The bytes through a filter of libarchive's. */
static size_t compress_bytes(int (*add)(struct archive *), const void *bytes, size_t len, char *out)
{
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = entry_new("data", S_IFREG);
    size_t used = 0;

    archive_write_set_format_raw(archive);
    add(archive);
    archive_write_open_memory(archive, out, ARCHIVE_BYTES, &used);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(archive, bytes, len), (la_ssize_t)len);
    archive_entry_free(entry);
    archive_write_close(archive);
    archive_write_free(archive);
    return used;
}

static void test_compression_makes_no_difference(void **state)
{
    static const struct {
        int (*add)(struct archive *);
        enum image_media media;
    } filters[] = {{archive_write_add_filter_gzip, MEDIA_LAYER_GZIP},
                   {archive_write_add_filter_zstd, MEDIA_LAYER_ZSTD}};
    struct tar tar = tar_begin();
    char *packed = malloc(ARCHIVE_BYTES);
    struct digest diff_id;
    struct result plain;
    uint8_t uuid[16];

    put_text(&tar, "b", "b");
    put_text(&tar, "a/.wh.x", "");
    tar_end(&tar);
    assert_int_equal(digest_of(tar.bytes, tar.len, &diff_id), 0);
    plain = convert_bytes(tar.bytes, tar.len, MEDIA_LAYER_TAR, &diff_id, 0);
    assert_int_equal(plain.ret, 0);
    digest_bytes(&diff_id, uuid, sizeof(uuid));
    assert_memory_equal((uint8_t *)plain.bytes + EROFS_SUPER_OFFSET + 48, uuid, sizeof(uuid));
    for (unsigned i = 0; i < 2; i++) {
        size_t len = compress_bytes(filters[i].add, tar.bytes, tar.len, packed);
        struct result other = convert_bytes(packed, len, filters[i].media, &diff_id, 0);

        assert_int_equal(other.ret, 0);
        assert_int_equal(other.size, plain.size);
        assert_memory_equal(other.bytes, plain.bytes, plain.size);
        drop(&other);
        other = convert_bytes(packed, len / 2, filters[i].media, &diff_id, 0);
        assert_int_equal(other.ret, -EINVAL);
    }
    drop(&plain);
    free(packed);
    free(tar.bytes);
}

static void test_stops(void **state)
{
    atomic_bool stop = true;
    struct layer_job job = {.media = MEDIA_LAYER_TAR, .where = "layer", .stop = &stop};
    struct husk_error err = {0};
    uint64_t size;

    assert_int_equal(digest_of("", 0, &job.diff_id), 0);
    job.blob_fd = memfd_create("blob", MFD_CLOEXEC);
    assert_int_equal(ftruncate(job.blob_fd, 4096), 0);
    job.blob_bytes = 4096;
    assert_int_equal(layer_convert(&job, job.blob_fd, &size, &err), -ECANCELED);
    close(job.blob_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_whiteouts),
        cmocka_unit_test(test_later_entries_replace),
        cmocka_unit_test(test_odd_but_harmless_names),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_sparse_files_keep_their_holes),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_paths_through_others),
        cmocka_unit_test(test_hard_links),
        cmocka_unit_test(test_devices_that_would_be_whiteouts),
        cmocka_unit_test(test_long_and_deep_paths),
        cmocka_unit_test(test_digest_is_checked),
        cmocka_unit_test(test_limit_of_the_stream),
        cmocka_unit_test(test_damaged_archives),
        cmocka_unit_test(test_empty_layers),
        cmocka_unit_test(test_compression_makes_no_difference),
        cmocka_unit_test(test_stops),
    };

    setlocale(LC_CTYPE, "C.UTF-8"); /* for the archives that are made here */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
