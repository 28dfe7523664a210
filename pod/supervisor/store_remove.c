// SPDX-License-Identifier: Apache-2.0
/*
 * Removing containers, and what the dead have left: see store.h. A directory loses its name at
 * once, and its files after that; who is killed in between leaves something that nobody takes for a
 * container, and that the next one removes.
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
#include "pod/supervisor/files.h"
#include "pod/supervisor/store_internal.h"

/* The name goes, if it still is this container's. For who holds the store's lock exclusively. */
static int unname(int store, const struct container *container, char temporary[STORE_TEMP_BYTES],
                  struct husk_error *err)
{
    int ret = store_temp_name(STORE_OLD_PREFIX, temporary, err);

    if (ret)
        return ret;
    if (!files_is_named(store, container->name, container->dir))
        return -ENOENT;
    return renameat(store, container->name, store, temporary) < 0 ? -errno : 0;
}

/* `own`: the life lock is the caller's. */
static int remove_from(int store, int store_lock, const struct container *container, bool own,
                       struct husk_error *err)
{
    char temporary[STORE_TEMP_BYTES];
    int ret = store_flock(store_lock, LOCK_EX);

    if (ret == 0) {
        ret =
            !own && container_alive(container) ? -EBUSY : unname(store, container, temporary, err);
        (void)store_flock(store_lock, LOCK_UN);
    }
    if (ret == -ENOENT)
        return 0;
    if (ret == -EBUSY)
        return error_set(err, EBUSY, container->name, "is running", "stop it first");
    if (ret == 0)
        ret = files_remove_tree(store, temporary);
    return ret ? container_error(container, -ret, NULL, "cannot be removed", err) : 0;
}

int container_remove(struct container_store *store, struct container *container,
                     struct husk_error *err)
{
    return remove_from(store->dir, store->lock, container, false, err);
}

int container_remove_own(struct container *container, struct husk_error *err)
{
    int store = openat(container->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int lock = store < 0 ? -1 : openat(store, STORE_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int ret = lock < 0 ? container_error(container, errno, NULL, "cannot be removed", err)
                       : remove_from(store, lock, container, true, err);

    close_fd(&lock);
    close_fd(&store);
    return ret;
}

/* Tidying up. */

static int tidy_one(void *arg, struct container *container)
{
    struct container_store *store = arg;
    struct container_state state;
    struct container_spec spec;

    if (container_alive(container) || container_load_state(container, &state, NULL) ||
        container_load_spec(container, &spec, NULL))
        return 0;
    if (spec.remove && state.status == CONTAINER_EXITED)
        (void)container_remove(store, container, NULL);
    container_spec_clear(&spec);
    return 0;
}

/* What is under a temporary name. New ones only while nobody is making any. */
static void remove_leftovers(struct container_store *store)
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

int container_store_tidy(struct container_store *store, struct husk_error *err)
{
    remove_leftovers(store);
    return container_each(store, tidy_one, store, err);
}
