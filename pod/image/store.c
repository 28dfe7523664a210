// SPDX-License-Identifier: Apache-2.0
/*
 * The store's directory, locks and files: see store.h and docs/formats/image-store.md. Everything
 * is reached from the store's directory descriptor. Invariants:
 *
 * 1. A file under its final name is whole and durable: written under new/, synced, renamed.
 * 2. A record is written after everything that it names.
 * 3. Only who holds the store exclusively removes layers, blobs and what others left in new/.
 */
#include "pod/image/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "pod/image/json.h"
#include "pod/image/store_internal.h"

static const char version_name[] = "version";
static const char version_text[] = "husk-image-store 1\n";
static const char *const directories[] = {STORE_IMAGES, STORE_BLOBS, STORE_LAYERS, STORE_NEW,
                                          STORE_PARTIAL};

void store_layer_name(const struct digest *diff_id, char out[STORE_NAME_BYTES])
{
    snprintf(out, STORE_NAME_BYTES, STORE_LAYERS "/%s" STORE_LAYER_SUFFIX, digest_hex(diff_id));
}

void store_blob_name(const struct digest *digest, char out[STORE_NAME_BYTES])
{
    snprintf(out, STORE_NAME_BYTES, STORE_BLOBS "/%s", digest_hex(digest));
}

int store_error(const struct image_store *store, int code, const char *name, const char *what,
                struct husk_error *err)
{
    char where[PATH_MAX + STORE_NAME_BYTES + 2];

    snprintf(where, sizeof(where), "%s%s%s", store->path, name ? "/" : "", name ? name : "");
    return error_set(err, code, where, what, NULL);
}

DIR *store_list(const struct image_store *store, const char *directory)
{
    int fd = openat(store->dir, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir && fd >= 0)
        close_fd(&fd);
    return dir;
}

static int sync_directory(const struct image_store *store, const char *directory)
{
    int fd = openat(store->dir, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ret = fd < 0 || fsync(fd) < 0 ? -errno : 0;

    close_fd(&fd);
    return ret;
}

int image_store_create(const struct image_store *store, struct store_file *out,
                       struct husk_error *err)
{
    uint64_t random;

    for (unsigned tries = 0; tries < 16; tries++) {
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
            return store_error(store, errno, NULL, "has no random name for a new file", err);
        snprintf(out->name, sizeof(out->name), STORE_NEW "/%016llx", (unsigned long long)random);
        out->fd = openat(store->dir, out->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (out->fd >= 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    return store_error(store, errno, out->name, "cannot be made", err);
}

void image_store_discard(const struct image_store *store, struct store_file *file)
{
    if (file->fd < 0)
        return;
    unlinkat(store->dir, file->name, 0);
    close_fd(&file->fd);
}

int image_store_scratch(const struct image_store *store, struct husk_error *err)
{
    struct store_file file = {.fd = -1};
    int ret = image_store_create(store, &file, err);

    if (ret)
        return ret;
    unlinkat(store->dir, file.name, 0);
    return file.fd;
}

/* The file becomes `name`; durable but for the directory, which the caller syncs. */
static int settle(const struct image_store *store, struct store_file *file, const char *name,
                  mode_t mode, struct husk_error *err)
{
    if (fchmod(file->fd, mode) < 0 || fsync(file->fd) < 0 ||
        renameat(store->dir, file->name, store->dir, name) < 0) {
        int ret = store_error(store, errno, name, "cannot be written", err);

        image_store_discard(store, file);
        return ret;
    }
    close_fd(&file->fd);
    return 0;
}

int image_store_commit_layer(const struct image_store *store, struct store_file *file,
                             const struct digest *diff_id, struct husk_error *err)
{
    char name[STORE_NAME_BYTES];
    int ret;

    if (image_store_layer_bytes(store, diff_id)) {
        image_store_discard(store, file);
        return 0;
    }
    store_layer_name(diff_id, name);
    ret = settle(store, file, name, 0444, err);
    if (ret == 0) {
        ret = sync_directory(store, STORE_LAYERS);
        if (ret)
            store_error(store, -ret, name, "cannot be written", err);
    }
    return ret;
}

int store_write(const struct image_store *store, const char *directory, const char *name,
                const void *bytes, size_t len, struct husk_error *err)
{
    struct store_file file = {.fd = -1};
    int ret = image_store_create(store, &file, err);

    if (ret)
        return ret;
    ret = write_full(file.fd, bytes, len);
    if (ret) {
        image_store_discard(store, &file);
        return store_error(store, -ret, name, "cannot be written", err);
    }
    ret = settle(store, &file, name, 0444, err);
    if (ret == 0) {
        ret = sync_directory(store, directory);
        if (ret)
            store_error(store, -ret, name, "cannot be written", err);
    }
    return ret;
}

unsigned store_empty(const struct image_store *store, const char *directory, uint64_t *bytes)
{
    DIR *dir = store_list(store, directory);
    struct dirent *entry;
    unsigned count = 0;

    while (dir && (entry = readdir(dir))) {
        struct stat st;

        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            unlinkat(dirfd(dir), entry->d_name, 0) == 0) {
            *bytes += (uint64_t)st.st_blocks * 512;
            count++;
        }
    }
    if (dir)
        closedir(dir);
    return count;
}

/* Opening. */

int image_store_default(char *path, size_t size, struct husk_error *err)
{
    const char *given = secure_getenv("HUSK_STORE"), *data = secure_getenv("XDG_DATA_HOME");
    const char *home = secure_getenv("HOME");
    int len;

    if (given && given[0])
        len = snprintf(path, size, "%s", given);
    else if (geteuid() == 0)
        len = snprintf(path, size, "/var/lib/husk/images");
    else if (data && data[0] == '/')
        len = snprintf(path, size, "%s/husk/images", data);
    else if (home && home[0] == '/')
        len = snprintf(path, size, "%s/.local/share/husk/images", home);
    else
        return error_set(err, ENOENT, "HOME", "is not set", "--store DIRECTORY names the store");
    if (len < 0 || (size_t)len >= size)
        return error_set(err, ENAMETOOLONG, "the image store", "has a name that is too long", NULL);
    return 0;
}

/* Every missing directory of a path, private to this user. */
static int make_path(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i])
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static int check_owner(const struct image_store *store, struct husk_error *err)
{
    struct stat st;

    if (fstat(store->dir, &st) < 0)
        return store_error(store, errno, NULL, "cannot be read", err);
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        return error_set(err, EPERM, store->path, "is not a safe place for images",
                         "it must belong to you, and nobody else may write to it");
    return 0;
}

static int lock(int fd, int how)
{
    int ret;

    do
        ret = flock(fd, how);
    while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

static int open_lock(struct image_store *store, struct husk_error *err)
{
    store->lock = openat(store->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return store->lock < 0 ? store_error(store, errno, "lock", "cannot be opened", err) : 0;
}

static bool is_empty(const struct image_store *store)
{
    DIR *dir = store_list(store, ".");
    struct dirent *entry;
    bool empty = dir != NULL;

    while (dir && empty && (entry = readdir(dir))) {
        bool known = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
                     !strcmp(entry->d_name, "lock") || !strcmp(entry->d_name, version_name);

        for (unsigned i = 0; !known && i < ARRAY_SIZE(directories); i++)
            known = !strcmp(entry->d_name, directories[i]);
        empty = known;
    }
    if (dir)
        closedir(dir);
    return empty;
}

/* Several may do it at once, but not while somebody who is done with it empties new/. */
static int make_store(struct image_store *store, struct husk_error *err)
{
    int ret;

    if (!is_empty(store))
        return error_set(err, ENOTEMPTY, store->path, "is not an image store",
                         "it has other files in it");
    ret = open_lock(store, err);
    if (ret)
        return ret;
    ret = lock(store->lock, LOCK_SH);
    if (ret)
        return store_error(store, -ret, "lock", "cannot be locked", err);
    for (unsigned i = 0; ret == 0 && i < ARRAY_SIZE(directories); i++) {
        if (mkdirat(store->dir, directories[i], 0700) < 0 && errno != EEXIST)
            ret = store_error(store, errno, directories[i], "cannot be made", err);
    }
    if (ret == 0)
        ret = store_write(store, ".", version_name, version_text, sizeof(version_text) - 1, err);
    lock(store->lock, LOCK_UN);
    return ret;
}

static int check_version(struct image_store *store, bool create, struct husk_error *err)
{
    char *text;
    size_t len;
    int ret = read_file_at(store->dir, version_name, 256, &text, &len);

    if (ret == -ENOENT && create)
        return make_store(store, err);
    if (ret == -ENOENT)
        return error_set(err, ENOENT, store->path, "is not an image store",
                         "it has no file `version`");
    if (ret || !text)
        return store_error(store, -ret, version_name, "cannot be read", err);
    if (strcmp(text, version_text) != 0)
        ret = error_set(err, ENOTSUP, store->path, "is a store of another version of husk",
                        "this one wants \"%.18s\"", version_text);
    free(text);
    return ret;
}

int image_store_open(const char *path, bool create, struct image_store **out,
                     struct husk_error *err)
{
    struct image_store *store = calloc(1, sizeof(*store));
    int ret;

    if (!store)
        return error_set(err, ENOMEM, path, "cannot be opened", NULL);
    store->dir = store->lock = -1;
    ret = snprintf(store->path, sizeof(store->path), "%s", path) < (int)sizeof(store->path)
              ? 0
              : -ENAMETOOLONG;
    if (ret == 0 && create)
        ret = make_path(path);
    if (ret == 0)
        store->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (ret || store->dir < 0) {
        ret = error_set(err, ret ? -ret : errno, path, "cannot be opened as an image store", NULL);
        image_store_close(store);
        return ret;
    }
    ret = check_owner(store, err);
    if (ret == 0)
        ret = check_version(store, create, err);
    if (ret == 0 && store->lock < 0)
        ret = open_lock(store, err);
    if (ret) {
        image_store_close(store);
        return ret;
    }
    *out = store;
    return 0;
}

void image_store_close(struct image_store *store)
{
    if (!store)
        return;
    close_fd(&store->lock);
    close_fd(&store->dir);
    free(store);
}

const char *image_store_path(const struct image_store *store)
{
    return store->path;
}

int image_store_begin(struct image_store *store, struct husk_error *err)
{
    uint64_t bytes = 0;
    int ret;

    if (lock(store->lock, LOCK_EX | LOCK_NB) == 0)
        store_empty(store, STORE_NEW, &bytes);
    ret = lock(store->lock, LOCK_SH);
    return ret ? store_error(store, -ret, "lock", "cannot be locked", err) : 0;
}

void image_store_end(struct image_store *store)
{
    lock(store->lock, LOCK_UN);
}

/* Layers. */

uint64_t image_store_layer_bytes(const struct image_store *store, const struct digest *diff_id)
{
    char name[STORE_NAME_BYTES];
    struct stat st;

    store_layer_name(diff_id, name);
    if (fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return 0;
    return (uint64_t)st.st_size;
}

/* Whether fd is still what has the name: else it was removed between opening and locking. */
static bool still_named(const struct image_store *store, int fd, const char *name)
{
    struct stat ours, named;

    return fstat(fd, &ours) == 0 && fstatat(store->dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

int image_store_open_layer(const struct image_store *store, const struct digest *diff_id,
                           struct husk_error *err)
{
    char name[STORE_NAME_BYTES];
    int fd, ret;

    store_layer_name(diff_id, name);
    while (true) {
        fd = openat(store->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return store_error(store, errno, name, "cannot be opened", err);
        ret = lock(fd, LOCK_SH);
        if (ret == 0 && still_named(store, fd, name))
            return fd;
        close_fd(&fd);
        if (ret)
            return store_error(store, -ret, name, "cannot be locked", err);
    }
}

static void partial_name(const struct digest *digest, char out[STORE_NAME_BYTES])
{
    snprintf(out, STORE_NAME_BYTES, STORE_PARTIAL "/%s", digest_hex(digest));
}

int image_store_partial(const struct image_store *store, const struct digest *digest,
                        struct husk_error *err)
{
    char name[STORE_NAME_BYTES];
    int fd, ret;

    partial_name(digest, name);
    while (true) {
        fd = openat(store->dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
            return store_error(store, errno, name, "cannot be made", err);
        ret = lock(fd, LOCK_EX);
        if (ret == 0 && still_named(store, fd, name))
            return fd;
        close_fd(&fd);
        if (ret)
            return store_error(store, -ret, name, "cannot be locked", err);
    }
}

void image_store_partial_end(const struct image_store *store, const struct digest *digest, int fd,
                             bool keep)
{
    char name[STORE_NAME_BYTES];

    partial_name(digest, name);
    if (!keep)
        unlinkat(store->dir, name, 0);
    close_fd(&fd);
}

int image_store_put_blob(struct image_store *store, const struct digest *digest, const void *bytes,
                         size_t len, struct husk_error *err)
{
    char name[STORE_NAME_BYTES];

    store_blob_name(digest, name);
    return store_write(store, STORE_BLOBS, name, bytes, len, err);
}

int image_store_get_blob(struct image_store *store, const struct digest *digest, char **bytes,
                         size_t *len, struct husk_error *err)
{
    char name[STORE_NAME_BYTES];
    struct digest found;
    int ret;

    store_blob_name(digest, name);
    ret = read_file_at(store->dir, name, IMAGE_JSON_BYTES_MAX, bytes, len);
    if (ret)
        return store_error(store, -ret, name, "cannot be read", err);
    ret = digest_of(*bytes, *len, &found);
    if (ret == 0 && digest_equal(&found, digest))
        return 0;
    free(*bytes);
    *bytes = NULL;
    return store_error(store, ret ? -ret : EBADMSG, name, "is damaged", err);
}
