// SPDX-License-Identifier: Apache-2.0
/*
 * Removing entries, and what the dead have left: see store.h. A directory loses its name at
 * once, and its files after that; who is killed in between leaves something that nobody takes for a
 * entry, and that the next one removes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/store/files.h"
#include "pod/store/store_internal.h"

/* The name goes, if it still is this entry's. For who holds the store's lock exclusively. */
static int unname(int store, const struct entry *entry, char temporary[STORE_TEMP_BYTES],
                  struct husk_error *err)
{
    int ret = store_temp_name(STORE_OLD_PREFIX, temporary, err);

    if (ret)
        return ret;
    if (!files_is_named(store, entry->name, entry->dir))
        return -ENOENT;
    return renameat(store, entry->name, store, temporary) < 0 ? -errno : 0;
}

/* `own`: the life lock is the caller's. */
static int remove_from(int store, int store_lock, const struct entry *entry, bool own,
                       struct husk_error *err)
{
    char temporary[STORE_TEMP_BYTES];
    int ret = store_flock(store_lock, LOCK_EX);

    if (ret == 0) {
        ret = !own && entry_alive(entry) ? -EBUSY : unname(store, entry, temporary, err);
        (void)store_flock(store_lock, LOCK_UN);
    }
    if (ret == -ENOENT)
        return 0;
    if (ret == -EBUSY)
        return error_set(err, EBUSY, entry->name, "is running", "stop it first");
    if (ret == 0)
        ret = files_remove_tree(store, temporary);
    return ret ? entry_error(entry, -ret, NULL, "cannot be removed", err) : 0;
}

int entry_remove(struct entry_store *store, struct entry *entry, struct husk_error *err)
{
    return remove_from(store->dir, store->lock, entry, false, err);
}

int entry_remove_own(struct entry *entry, struct husk_error *err)
{
    int store = openat(entry->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int lock = store < 0 ? -1 : openat(store, STORE_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int ret = lock < 0 ? entry_error(entry, errno, NULL, "cannot be removed", err)
                       : remove_from(store, lock, entry, true, err);

    close_fd(&lock);
    close_fd(&store);
    return ret;
}

/* Tidying up. */

/* What is under a temporary name. New ones only while nobody is making any. */
static void remove_leftovers(struct entry_store *store)
{
    bool alone = store_flock(store->lock, LOCK_EX | LOCK_NB) == 0;
    int fd = openat(store->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (list && (entry = readdir(list))) {
        struct stat st;

        if (strncmp(entry->d_name, STORE_OLD_PREFIX, strlen(STORE_OLD_PREFIX)) != 0 &&
            !(alone && !strncmp(entry->d_name, STORE_NEW_PREFIX, strlen(STORE_NEW_PREFIX))))
            continue;
        if (fstatat(store->dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(st.st_mode))
            (void)files_remove_tree(store->dir, entry->d_name);
        else
            (void)unlinkat(store->dir, entry->d_name, 0);
    }
    if (list)
        closedir(list);
    else
        close_fd(&fd);
    if (alone)
        (void)store_flock(store->lock, LOCK_UN);
}

int entry_store_tidy(struct entry_store *store, int (*each)(void *arg, struct entry *entry),
                     void *arg, struct husk_error *err)
{
    remove_leftovers(store);
    return entry_each(store, each, arg, err);
}
