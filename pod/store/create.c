// SPDX-License-Identifier: Apache-2.0
/*
 * Making an entry's directory: see store.h. Everything is made under another name, with the lock
 * held and the socket listening, and then renamed: whoever sees the name sees it alive. And making
 * one that has ended alive once more.
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
#include "pod/store/files.h"
#include "pod/store/store_internal.h"

/* Fills the directory, which has another name yet. */
static int fill(struct entry *entry, const struct entry_first *first)
{
    int ret = 0;

    entry->lock = openat(entry->dir, ENTRY_LOCK_FILE,
                         O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (entry->lock < 0)
        return -errno;
    if (first->alive) {
        ret = entry_lock_life(entry->lock);
        entry->owner = ret == 0;
    }
    if (ret == 0)
        ret = entry_write_first(entry->dir, entry->kind, first);
    if (ret == 0 && first->alive) {
        entry->listener = entry_listen(entry->dir);
        ret = entry->listener < 0 ? entry->listener : 0;
    }
    if (ret)
        return ret;
    return fsync(entry->dir) < 0 ? -errno : 0;
}

static int make(struct entry_store *store, struct entry *entry, const struct entry_first *first,
                struct husk_error *err)
{
    char temporary[STORE_TEMP_BYTES];
    int ret = store_temp_name(STORE_NEW_PREFIX, temporary, err);

    if (ret)
        return ret;
    if (mkdirat(store->dir, temporary, 0700) < 0)
        return store_error_about(err, errno, store->path, "has no room for another ",
                                 store->kind->one, "", NULL);
    entry->dir = openat(store->dir, temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ret = entry->dir < 0 ? -errno : fill(entry, first);
    if (ret == 0 && renameat2(store->dir, temporary, store->dir, first->name, RENAME_NOREPLACE) < 0)
        ret = -errno;
    if (ret == 0 && fsync(store->dir) < 0)
        ret = -errno;
    if (ret == -EEXIST)
        store_error_about(err, EEXIST, first->name, "is the name of another ", store->kind->one, "",
                          store->kind->taken_hint);
    else if (ret)
        entry_error(entry, -ret, NULL, "cannot be made", err);
    if (ret)
        (void)files_remove_tree(store->dir, temporary);
    return ret;
}

int entry_create(struct entry_store *store, const struct entry_first *first, struct entry **out,
                 struct husk_error *err)
{
    struct entry *entry = NULL;
    int ret;

    if (!store->kind->name_valid(first->name))
        return store_error_about(err, EINVAL, first->name, "is no name for a ", store->kind->one,
                                 "", store->kind->name_rule);
    ret = entry_new(store, first->name, &entry, err);
    if (ret)
        return ret;
    ret = store_flock(store->lock, LOCK_SH);
    if (ret == 0) {
        ret = make(store, entry, first, err);
        (void)store_flock(store->lock, LOCK_UN);
    } else {
        entry_error(entry, -ret, NULL, "cannot be made", err);
    }
    if (ret) {
        entry_close(entry);
        return ret;
    }
    *out = entry;
    return 0;
}

/* For who holds the lock that marks, and the store's against removal. */
static int come_alive(struct entry_store *store, struct entry *entry)
{
    int ret = files_is_named(store->dir, entry->name, entry->dir) ? entry_lock_life(entry->lock)
                                                                  : -ENOENT;

    if (ret)
        return ret == -EAGAIN || ret == -EACCES ? -EALREADY : ret;
    entry->owner = true;
    ret = entry_write_spare(entry);
    if (ret == 0) {
        entry->listener = entry_listen(entry->dir);
        ret = entry->listener < 0 ? entry->listener : 0;
    }
    if (ret)
        entry_give_up(entry);
    return ret;
}

int entry_revive(struct entry_store *store, struct entry *entry,
                 int (*mark)(struct entry *entry, void *arg, struct husk_error *err), void *arg,
                 struct husk_error *err)
{
    int ret = entry->lock < 0 ? -ENOENT : entry_lock_mark(entry->lock);

    if (ret)
        return entry_error(entry, -ret, ENTRY_LOCK_FILE, "cannot be locked", err);
    if (entry_alive(entry)) {
        ret = error_set(err, EALREADY, entry->name, "is running", "stop it first");
    } else if ((ret = mark(entry, arg, err)) == 0) {
        ret = store_flock(store->lock, LOCK_SH);
        if (ret == 0) {
            ret = come_alive(store, entry);
            (void)store_flock(store->lock, LOCK_UN);
        }
        if (ret == -EALREADY)
            error_set(err, EALREADY, entry->name, "is running", "stop it first");
        else if (ret)
            entry_error(entry, -ret, NULL, "cannot be started", err);
    }
    entry_unlock_mark(entry->lock);
    return ret;
}
