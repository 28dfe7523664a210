// SPDX-License-Identifier: Apache-2.0
/*
 * Making a container's directory: see store.h. Everything is made under another name, with the lock
 * held and the socket listening, and then renamed: whoever sees the name sees it alive.
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
#include "pod/supervisor/files.h"
#include "pod/supervisor/store_internal.h"

/* Fills the directory, which has another name yet. */
static int fill(struct container *container, const struct container_spec *spec)
{
    int ret;

    container->lock = openat(container->dir, CONTAINER_LOCK_FILE,
                             O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (container->lock < 0)
        return -errno;
    ret = container_lock_life(container->lock);
    container->owner = ret == 0;
    if (ret == 0)
        ret = container_write_first(container->dir, spec);
    if (ret)
        return ret;
    container->listener = container_listen(container->dir);
    if (container->listener < 0)
        return container->listener;
    return fsync(container->dir) < 0 ? -errno : 0;
}

static int make(struct container_store *store, struct container *container,
                const struct container_spec *spec, struct husk_error *err)
{
    char temporary[STORE_TEMP_BYTES];
    int ret = store_temp_name(STORE_NEW_PREFIX, temporary, err);

    if (ret)
        return ret;
    if (mkdirat(store->dir, temporary, 0700) < 0)
        return error_set(err, errno, store->path, "has no room for another container", NULL);
    container->dir = openat(store->dir, temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ret = container->dir < 0 ? -errno : fill(container, spec);
    if (ret == 0 && renameat2(store->dir, temporary, store->dir, spec->name, RENAME_NOREPLACE) < 0)
        ret = -errno;
    if (ret == 0 && fsync(store->dir) < 0)
        ret = -errno;
    if (ret == -EEXIST)
        error_set(err, EEXIST, spec->name, "is the name of another container",
                  "`husk rm` removes it, or give this one another name");
    else if (ret)
        container_error(container, -ret, NULL, "cannot be made", err);
    if (ret)
        (void)files_remove_tree(store->dir, temporary);
    return ret;
}

int container_create(struct container_store *store, const struct container_spec *spec,
                     struct container **out, struct husk_error *err)
{
    struct container *container;
    int ret;

    if (!container_name_valid(spec->name))
        return error_set(err, EINVAL, spec->name, "is no name for a container",
                         "1 to %u of A-Z a-z 0-9 . _ -, the first a letter or digit",
                         CONTAINER_NAME_BYTES - 1);
    container = calloc(1, sizeof(*container));
    if (!container)
        return error_set(err, ENOMEM, spec->name, "cannot be made", NULL);
    container->dir = container->lock = container->listener = -1;
    snprintf(container->name, sizeof(container->name), "%s", spec->name);
    if (snprintf(container->path, sizeof(container->path), "%s/%s", store->path, spec->name) >=
        (int)sizeof(container->path))
        ret = error_set(err, ENAMETOOLONG, store->path, "has a name that is too long", NULL);
    else
        ret = store_flock(store->lock, LOCK_SH);
    if (ret == 0) {
        ret = make(store, container, spec, err);
        (void)store_flock(store->lock, LOCK_UN);
    }
    if (ret) {
        container_close(container);
        return ret;
    }
    *out = container;
    return 0;
}
