// SPDX-License-Identifier: Apache-2.0
/*
 * Files of a directory or an archive: see bundle.h. In a directory the kernel keeps paths inside
 * (openat2(2), RESOLVE_BENEATH); in an archive names are looked up in a table, and a symbolic
 * link's target is resolved as text against it.
 */
#include "pod/image/bundle.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"

#define NAME_BYTES_MAX 1024u
#define LINKS_MAX      8u
#define READ_BYTES     (256u << 10)

struct member {
    char *name;   /* without "." and empty parts */
    char *target; /* of a link to another member, as it is written; or NULL */
    bool hard;    /* the target is a name of the archive, not one beside this */
    uint64_t offset, size;
};

struct bundle {
    char name[PATH_MAX];
    int dir; /* a directory's, or -1 */
    int scratch;
    struct member *members;
    unsigned count, capacity;
};

/* "a/./b//c", "./a" and "/a" as "a/b/c" and "a"; ".." takes a part away, and never more than there
 * is. -EINVAL when nothing is left, -ENAMETOOLONG. */
static int normalise(const char *base, const char *path, char out[NAME_BYTES_MAX])
{
    const char *texts[] = {base, path};
    size_t used = 0;

    for (unsigned i = 0; i < 2; i++) {
        for (const char *at = texts[i]; *at;) {
            size_t len = strcspn(at, "/");

            if (len == 2 && !memcmp(at, "..", 2)) {
                while (used && out[--used] != '/')
                    ;
            } else if (len && !(len == 1 && *at == '.')) {
                if (used + len + 2 > NAME_BYTES_MAX)
                    return -ENAMETOOLONG;
                if (used)
                    out[used++] = '/';
                memcpy(out + used, at, len);
                used += len;
            }
            at += len;
            at += strspn(at, "/");
        }
    }
    out[used] = '\0';
    return used ? 0 : -EINVAL;
}

static int add_member(struct bundle *bundle, const char *name, const char *target, bool hard,
                      struct member **out)
{
    char clean[NAME_BYTES_MAX];
    struct member *member;

    if (normalise("", name, clean))
        return -EINVAL;
    if (bundle->count == BUNDLE_MEMBERS_MAX)
        return -E2BIG;
    if (bundle->count == bundle->capacity) {
        unsigned capacity = bundle->capacity ? bundle->capacity * 2 : 64;
        struct member *more = reallocarray(bundle->members, capacity, sizeof(*more));

        if (!more)
            return -ENOMEM;
        bundle->members = more;
        bundle->capacity = capacity;
    }
    member = &bundle->members[bundle->count];
    *member = (struct member){.name = strdup(clean), .hard = hard};
    if (target)
        member->target = strdup(target);
    if (!member->name || (target && !member->target)) {
        free(member->name);
        free(member->target);
        return -ENOMEM;
    }
    bundle->count++;
    *out = member;
    return 0;
}

static int copy_member(struct bundle *bundle, struct archive *archive, struct member *member,
                       uint64_t *end, struct husk_error *err)
{
    while (true) {
        const void *bytes;
        size_t len;
        la_int64_t offset;
        int ret = archive_read_data_block(archive, &bytes, &len, &offset);

        if (ret == ARCHIVE_EOF)
            return 0;
        if (ret != ARCHIVE_OK && ret != ARCHIVE_WARN)
            return error_set(err, EINVAL, bundle->name, "is a damaged archive", "%s",
                             archive_error_string(archive));
        /* No part of an image is sparse. */
        if (offset < 0 || (uint64_t)offset != member->size)
            return error_set(err, EINVAL, bundle->name, "has a sparse member", "%s", member->name);
        if (len > BUNDLE_BYTES_MAX - *end)
            return error_set(err, EFBIG, bundle->name, "is too big", "at most %llu GiB",
                             BUNDLE_BYTES_MAX >> 30);
        ret = write_full(bundle->scratch, bytes, len);
        if (ret)
            return error_set(err, -ret, bundle->name, "cannot be copied into the store", NULL);
        *end += len;
        member->size += len;
    }
}

static int read_member(struct bundle *bundle, struct archive *archive, struct archive_entry *entry,
                       uint64_t *end, struct husk_error *err)
{
    const char *name = archive_entry_pathname(entry), *target = archive_entry_hardlink(entry);
    bool hard = target != NULL;
    mode_t type = archive_entry_filetype(entry);
    struct member *member;
    int ret;

    if (!name)
        return error_set(err, EINVAL, bundle->name, "has a name that cannot be read", "not UTF-8");
    if (!hard && type == S_IFLNK)
        target = archive_entry_symlink(entry);
    else if (!hard && type != S_IFREG)
        return 0; /* directories; and nothing that an image consists of */
    ret = add_member(bundle, name, target, hard, &member);
    if (ret)
        return error_set(err, -ret, bundle->name, "has a member that is refused", "%s", name);
    member->offset = *end;
    return target ? 0 : copy_member(bundle, archive, member, end, err);
}

/* The last of several members of one name counts, as it does when an archive is unpacked. */
static int compare_members(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order ? order : left->offset < right->offset ? -1 : left->offset > right->offset;
}

static int read_archive(struct bundle *bundle, struct archive *archive, int fd,
                        struct husk_error *err)
{
    struct archive_entry *entry;
    uint64_t end = 0;
    int ret;

    archive_read_support_format_tar(archive);
    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_zstd(archive);
    if (archive_read_open_fd(archive, fd, READ_BYTES) != ARCHIVE_OK)
        return error_set(err, EINVAL, bundle->name, "is no tar archive", "%s",
                         archive_error_string(archive));
    while ((ret = archive_read_next_header(archive, &entry)) == ARCHIVE_OK || ret == ARCHIVE_WARN) {
        ret = read_member(bundle, archive, entry, &end, err);
        if (ret)
            return ret;
    }
    if (ret != ARCHIVE_EOF)
        return error_set(err, EINVAL, bundle->name, "is a damaged archive", "%s",
                         archive_error_string(archive));
    if (bundle->count)
        qsort(bundle->members, bundle->count, sizeof(*bundle->members), compare_members);
    return 0;
}

static int open_archive(struct bundle *bundle, int fd, const struct image_store *store,
                        struct husk_error *err)
{
    struct archive *archive = archive_read_new();
    int ret;

    bundle->scratch = archive ? image_store_scratch(store, err)
                              : error_set(err, ENOMEM, bundle->name, "cannot be read", NULL);
    ret = bundle->scratch < 0 ? bundle->scratch : read_archive(bundle, archive, fd, err);
    archive_read_free(archive);
    return ret;
}

int bundle_open(const char *path, const struct image_store *store, struct bundle **out,
                struct husk_error *err)
{
    struct bundle *bundle = calloc(1, sizeof(*bundle));
    bool input = !strcmp(path, "-");
    struct stat st;
    int fd, ret = 0;

    if (!bundle)
        return error_set(err, ENOMEM, path, "cannot be read", NULL);
    bundle->dir = bundle->scratch = -1;
    snprintf(bundle->name, sizeof(bundle->name), "%s", input ? "standard input" : path);
    fd = input ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        ret = error_set(err, errno, bundle->name, "cannot be opened", NULL);
    } else if (S_ISDIR(st.st_mode)) {
        bundle->dir = fd;
        fd = -1;
    } else {
        ret = open_archive(bundle, fd, store, err);
    }
    close_fd(&fd);
    if (ret) {
        bundle_close(bundle);
        return ret;
    }
    *out = bundle;
    return 0;
}

void bundle_close(struct bundle *bundle)
{
    if (!bundle)
        return;
    for (unsigned i = 0; i < bundle->count; i++) {
        free(bundle->members[i].name);
        free(bundle->members[i].target);
    }
    free(bundle->members);
    close_fd(&bundle->dir);
    close_fd(&bundle->scratch);
    free(bundle);
}

const char *bundle_name(const struct bundle *bundle)
{
    return bundle->name;
}

/* The last one of the name; NULL when there is none. */
static const struct member *find_member(const struct bundle *bundle, const char *name)
{
    unsigned low = 0, high = bundle->count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (strcmp(bundle->members[middle].name, name) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || strcmp(bundle->members[low - 1].name, name) != 0)
        return NULL;
    return &bundle->members[low - 1];
}

static int find_in_archive(const struct bundle *bundle, const char *name, struct bundle_file *out)
{
    char path[NAME_BYTES_MAX], directory[NAME_BYTES_MAX];

    if (normalise("", name, path))
        return -ENOENT;
    for (unsigned links = 0; links < LINKS_MAX; links++) {
        const struct member *member = find_member(bundle, path);
        char *slash;

        if (!member)
            return -ENOENT;
        if (!member->target) {
            *out = (struct bundle_file){
                .fd = bundle->scratch, .offset = member->offset, .size = member->size};
            return 0;
        }
        memcpy(directory, path, sizeof(directory));
        slash = strrchr(directory, '/');
        directory[slash && !member->hard ? slash - directory : 0] = '\0';
        if (normalise(directory, member->target, path))
            return -ENOENT;
    }
    return -ENOENT;
}

static int find_in_directory(const struct bundle *bundle, const char *name, struct bundle_file *out,
                             struct husk_error *err)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, bundle->dir, name, &how, sizeof(how));
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0)
        return error_set(err, errno, name, "cannot be opened", "%s (in %s)", error_text(errno),
                         bundle->name);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close_fd(&fd);
        return error_set(err, EINVAL, name, "is no regular file", "in %s", bundle->name);
    }
    *out = (struct bundle_file){.fd = fd, .size = (uint64_t)st.st_size, .owned = true};
    return 0;
}

int bundle_find(const struct bundle *bundle, const char *name, struct bundle_file *out,
                struct husk_error *err)
{
    return bundle->dir >= 0 ? find_in_directory(bundle, name, out, err)
                            : find_in_archive(bundle, name, out);
}

void bundle_release(struct bundle_file *file)
{
    if (file->owned)
        close_fd(&file->fd);
}

int bundle_read(const struct bundle *bundle, const char *name, char **bytes, size_t *len,
                struct husk_error *err)
{
    struct bundle_file file = {.fd = -1};
    int ret = bundle_find(bundle, name, &file, err);

    *bytes = NULL;
    if (ret)
        return ret;
    *len = (size_t)file.size;
    if (file.size > IMAGE_JSON_BYTES_MAX)
        ret = error_set(err, EFBIG, name, "is too long", "at most %u bytes", IMAGE_JSON_BYTES_MAX);
    else
        *bytes = malloc(*len + 1);
    if (ret == 0)
        ret = *bytes ? pread_full(file.fd, *bytes, *len, file.offset) : -ENOMEM;
    if (ret && ret != -EFBIG)
        error_set(err, -ret, name, "cannot be read", NULL);
    bundle_release(&file);
    if (ret) {
        free(*bytes);
        *bytes = NULL;
        return ret == -ENOENT ? -EIO : ret;
    }
    (*bytes)[*len] = '\0';
    return 0;
}
