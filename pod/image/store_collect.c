// SPDX-License-Identifier: Apache-2.0
/*
 * Garbage collection: see store.h. Marks what the records name, then removes what is not marked.
 * With any doubt about a record nothing is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/image/store_internal.h"

/* File names that stay: a sorted list, searched by halves. */
struct marks {
    char (*names)[STORE_NAME_BYTES];
    unsigned count, capacity;
};

static int mark(struct marks *marks, void (*name)(const struct digest *, char[STORE_NAME_BYTES]),
                const struct digest *digest)
{
    if (marks->count == marks->capacity) {
        unsigned capacity = marks->capacity ? marks->capacity * 2 : 256;
        void *more = reallocarray(marks->names, capacity, STORE_NAME_BYTES);

        if (!more)
            return -ENOMEM;
        marks->names = more;
        marks->capacity = capacity;
    }
    name(digest, marks->names[marks->count++]);
    return 0;
}

static int mark_image(void *arg, const struct image_record *record)
{
    int ret = mark(arg, store_blob_name, &record->manifest);

    if (ret == 0)
        ret = mark(arg, store_blob_name, &record->config);
    for (unsigned i = 0; ret == 0 && i < record->layer_count; i++)
        ret = mark(arg, store_layer_name, &record->layers[i].diff_id);
    return ret;
}

static int mark_layer(void *to, const struct digest *layer)
{
    return mark(to, store_layer_name, layer);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void sort(struct marks *marks)
{
    if (marks->count)
        qsort(marks->names, marks->count, STORE_NAME_BYTES, compare_names);
}

static bool marked(const struct marks *marks, const char *name)
{
    return marks->count &&
           bsearch(name, marks->names, marks->count, STORE_NAME_BYTES, compare_names);
}

/* Whether somebody has a shared lock on the layer; with ours, nobody gets one any more before it
 * is gone, and who waits for one finds that it is. */
static bool used(const struct image_store *store, const char *name, int *fd)
{
    *fd = openat(store->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return *fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) < 0;
}

static void sweep_file(const struct image_store *store, const char *name, unsigned *removed,
                       struct store_collected *out)
{
    struct stat st;
    int fd;

    if (used(store, name, &fd))
        out->in_use++;
    else if (fstatat(store->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
             unlinkat(store->dir, name, 0) == 0) {
        out->bytes += (uint64_t)st.st_blocks * 512;
        (*removed)++;
    }
    close_fd(&fd);
}

/* What stays: of images, and, though no image may need it, of users. */
struct staying {
    struct marks images, users;
};

static int sweep(const struct image_store *store, const char *directory,
                 const struct staying *staying, unsigned *removed, struct store_collected *out,
                 struct husk_error *err)
{
    DIR *dir = store_list(store, directory);
    struct dirent *entry;

    if (!dir)
        return store_error(store, errno, directory, "cannot be read", err);
    while ((entry = readdir(dir))) {
        char name[STORE_NAME_BYTES];

        if (strspn(entry->d_name, "0123456789abcdef") != DIGEST_HEX_LENGTH ||
            strlen(entry->d_name) > DIGEST_HEX_LENGTH + sizeof(STORE_LAYER_SUFFIX) - 1)
            continue; /* none of ours */
        snprintf(name, sizeof(name), "%.16s/%.100s", directory, entry->d_name);
        if (marked(&staying->images, name))
            continue;
        if (marked(&staying->users, name))
            out->in_use++;
        else
            sweep_file(store, name, removed, out);
    }
    closedir(dir);
    return 0;
}

static int mark_all(struct image_store *store, struct staying *staying, struct husk_error *err)
{
    int ret = image_store_each(store, mark_image, &staying->images, err);

    if (ret == 0 && store->users)
        ret = store->users(store->users_arg, mark_layer, &staying->users, err);
    if (ret == -ENOMEM)
        store_error(store, ENOMEM, NULL, "cannot be read", err);
    sort(&staying->images);
    sort(&staying->users);
    return ret;
}

void image_store_set_users(struct image_store *store, image_store_users_fn users, void *arg)
{
    store->users = users;
    store->users_arg = arg;
}

int image_store_collect(struct image_store *store, struct store_collected *out,
                        struct husk_error *err)
{
    struct staying staying = {.images = {0}};
    int ret;

    memset(out, 0, sizeof(*out));
    if (flock(store->lock, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return error_set(err, EBUSY, store->path, "is being added to",
                             "wait until other `husk image` commands have ended");
        return store_error(store, errno, "lock", "cannot be locked", err);
    }
    ret = mark_all(store, &staying, err);
    if (ret == 0)
        ret = sweep(store, STORE_LAYERS, &staying, &out->layers, out, err);
    if (ret == 0)
        ret = sweep(store, STORE_BLOBS, &staying, &out->blobs, out, err);
    if (ret == 0) {
        out->leftovers += store_empty(store, STORE_NEW, &out->bytes);
        out->leftovers += store_empty(store, STORE_PARTIAL, &out->bytes);
    }
    free(staying.images.names);
    free(staying.users.names);
    flock(store->lock, LOCK_UN);
    return ret;
}
