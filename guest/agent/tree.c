// SPDX-License-Identifier: Apache-2.0
/* Removing directories: see tree.h. No state. */
#include "guest/agent/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define DEPTH_MAX 16
#define TRIES_MAX 4096

struct removal {
    int top;
    unsigned long moved; /* names of what was moved up to the top */
    int error;
};

static void empty_directory(struct removal *removal, int dir, unsigned depth);

static void remove_directory(struct removal *removal, int dir, const char *name, unsigned depth)
{
    char moved[40];
    int child;

    if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return;
    if (depth >= DEPTH_MAX) {
        /* A stranger may have used the names, too. */
        for (int tries = 0; tries < TRIES_MAX; tries++) {
            snprintf(moved, sizeof(moved), ".moved-%lu", removal->moved++);
            if (renameat2(dir, name, removal->top, moved, RENAME_NOREPLACE) == 0)
                return;
        }
        removal->error = -errno;
        return;
    }
    child = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0) {
        removal->error = -errno;
        return;
    }
    empty_directory(removal, child, depth + 1);
    close(child);
    if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
        removal->error = -errno;
}

static void empty_directory(struct removal *removal, int dir, unsigned depth)
{
    int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = own < 0 ? NULL : fdopendir(own);
    const struct dirent *entry;

    if (!list) {
        removal->error = -errno;
        close_fd(&own);
        return;
    }
    while ((entry = readdir(list)) && !removal->error) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (unlinkat(dir, entry->d_name, 0) < 0) {
            if (errno == EISDIR || errno == EPERM)
                remove_directory(removal, dir, entry->d_name, depth);
            else if (errno != ENOENT)
                removal->error = -errno;
        }
    }
    closedir(list);
}

int tree_remove(const char *base, const char *name)
{
    int dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;

    if (dir < 0)
        return -errno;
    ret = tree_remove_at(dir, name);
    close(dir);
    return ret;
}

int tree_remove_at(int dir, const char *name)
{
    struct removal removal = {.top = -1};
    unsigned long before;
    int ret = -ENOTEMPTY;

    removal.top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (removal.top < 0)
        removal.error = -errno;
    while (!removal.error && ret == -ENOTEMPTY) {
        before = removal.moved;
        empty_directory(&removal, removal.top, 0);
        ret = unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -errno : 0;
        if (ret == -EEXIST)
            ret = -ENOTEMPTY;
        /* A round that moved nothing up has nothing left to do. */
        if (ret == -ENOTEMPTY && before == removal.moved)
            break;
    }
    close_fd(&removal.top);
    return removal.error ? removal.error : ret;
}

/* It has nothing of the agent's open. */
static void remove_elsewhere(const char *base, const char *trash)
{
    pid_t child = fork();

    if (child)
        return;
    close_range(0, ~0u, 0);
    tree_remove(base, trash);
    _exit(0);
}

void tree_discard(const char *base, const char *name, unsigned number)
{
    char from[PATH_MAX], to[PATH_MAX], trash[32];

    snprintf(trash, sizeof(trash), "trash-%u", number);
    if (snprintf(from, sizeof(from), "%s/%s", base, name) < (int)sizeof(from) &&
        snprintf(to, sizeof(to), "%s/%s", base, trash) < (int)sizeof(to) && rename(from, to) == 0)
        remove_elsewhere(base, trash);
}
