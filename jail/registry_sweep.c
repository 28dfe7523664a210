// SPDX-License-Identifier: Apache-2.0
/*
 * Removing what dead owners left: see registry.h. Runs on its caller's thread, holds one entry's
 * lock at a time, and keeps no state.
 *
 * An entry is believed when it lies in a directory that is this user's alone, is a regular file of
 * theirs with mode 0600 and one name, its lock is free, and every line of it is as a registry
 * writes it. Even then it only says where to look: what is found there is opened without following
 * links, must be of the kind that is recorded, this user's, and the one with the recorded identity,
 * and a thing in use is left alone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "jail/path.h"
#include "jail/registry.h"
#include "jail/registry_file.h"

#define FILES_MAX    4096u
#define ENTRIES_MAX  64u
#define KILL_WAIT_MS 100u

/* How one thing fared. */
enum outcome {
    OUTCOME_REMOVED,
    OUTCOME_NOT_OURS, /* it is gone, or something else is there: nothing more to do */
    OUTCOME_LEFT,     /* it is in use or could not be removed; try again another time */
};

static enum outcome outcome_of(int ret)
{
    return ret == 0 ? OUTCOME_REMOVED : ret == -ENOENT ? OUTCOME_NOT_OURS : OUTCOME_LEFT;
}

static int remove_directory(int parent_fd, const char *name)
{
    return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* A cgroup's number is never given again, so one of the recorded identity holds nobody but the dead
 * owner's VM. */
static enum outcome sweep_cgroup(int parent_fd, const char *name, bool made)
{
    struct statfs fs;
    int fd, ret;

    if (fstatfs(parent_fd, &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
        return OUTCOME_NOT_OURS;
    ret = remove_directory(parent_fd, name);
    if (ret != -EBUSY || !made)
        return ret == -EBUSY ? OUTCOME_NOT_OURS : outcome_of(ret);
    fd = path_open_below(parent_fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        int kill_fd = path_open_below(fd, "cgroup.kill", O_WRONLY, 0);

        if (kill_fd >= 0)
            write_full(kill_fd, "1", 1);
        close_fd(&kill_fd);
    }
    close_fd(&fd);
    for (unsigned waited_ms = 0; ret == -EBUSY && waited_ms < KILL_WAIT_MS; waited_ms += 5) {
        struct timespec pause = {.tv_nsec = 5000000};

        nanosleep(&pause, NULL);
        ret = remove_directory(parent_fd, name);
    }
    return outcome_of(ret);
}

/* Asks the socket itself, through its own descriptor: whatever takes its name meanwhile does not
 * matter. */
static bool nobody_listens(int socket_path_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bool refused;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return false;
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", socket_path_fd);
    refused = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
              errno == ECONNREFUSED;
    close_fd(&fd);
    return refused;
}

static enum outcome sweep_socket(int parent_fd, const char *name)
{
    int fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    bool dead = fd >= 0 && nobody_listens(fd);

    close_fd(&fd);
    if (!dead)
        return OUTCOME_LEFT;
    return outcome_of(unlinkat(parent_fd, name, 0) < 0 ? -errno : 0);
}

static enum outcome sweep_directory(int parent_fd, const char *name)
{
    int ret = remove_directory(parent_fd, name);

    /* Whoever puts something in has made it theirs. */
    return ret == -ENOTEMPTY ? OUTCOME_NOT_OURS : outcome_of(ret);
}

static enum outcome sweep_at(const struct registry_item *item, int parent_fd, const char *name)
{
    struct stat st;
    bool right_kind;

    if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return outcome_of(-errno);
    right_kind = item->kind == REGISTRY_SOCKET ? S_ISSOCK(st.st_mode) : S_ISDIR(st.st_mode);
    if (!right_kind || st.st_uid != geteuid())
        return OUTCOME_NOT_OURS;
    if (item->made && (st.st_dev != item->device || st.st_ino != item->inode))
        return OUTCOME_NOT_OURS;
    switch (item->kind) {
    case REGISTRY_CGROUP:
        return sweep_cgroup(parent_fd, name, item->made);
    case REGISTRY_SOCKET:
        return sweep_socket(parent_fd, name);
    case REGISTRY_TREE:
        if (item->made)
            return outcome_of(path_remove_tree(parent_fd, name, &st));
        return sweep_directory(parent_fd, name);
    default:
        return sweep_directory(parent_fd, name);
    }
}

static enum outcome sweep_item(const struct registry_item *item)
{
    const char *name;
    int parent_fd = path_open_parent(item->path, &name);
    enum outcome outcome;

    if (parent_fd == -ENOENT || parent_fd == -ENOTDIR || parent_fd == -ELOOP)
        return OUTCOME_NOT_OURS;
    if (parent_fd < 0)
        return OUTCOME_LEFT;
    outcome = sweep_at(item, parent_fd, name);
    close_fd(&parent_fd);
    return outcome;
}

/* Newest first: a directory is empty when what was made in it is gone. True when nothing is left to
 * be tried again. */
static bool sweep_text(char *text, size_t len, struct registry_swept *out)
{
    struct registry_item items[REGISTRY_SLOTS];
    unsigned left = 0;
    int ret = registry_parse(text, len, items);

    if (ret)
        return ret != -EPROTONOSUPPORT || len < sizeof(REGISTRY_HEADER) - 1;
    for (unsigned i = REGISTRY_SLOTS; i-- > 0;) {
        enum outcome outcome = items[i].used ? sweep_item(&items[i]) : OUTCOME_NOT_OURS;

        out->removed += outcome == OUTCOME_REMOVED;
        left += outcome == OUTCOME_LEFT;
    }
    out->left += left;
    return left == 0;
}

/* An entry as a registry made it, of an owner that is dead. */
static bool is_stale_entry(int fd, struct stat *st)
{
    return fstat(fd, st) == 0 && S_ISREG(st->st_mode) && (st->st_mode & 07777) == 0600 &&
           st->st_uid == geteuid() && st->st_nlink == 1 && st->st_size >= 0 &&
           (uint64_t)st->st_size <= REGISTRY_FILE_BYTES_MAX && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* Returns whether it was one whose owner is dead. */
static bool sweep_entry(int dir_fd, const char *name, struct registry_swept *out)
{
    int fd = openat(dir_fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st, now;
    char *text;

    if (fd < 0)
        return false;
    if (!is_stale_entry(fd, &st)) {
        close_fd(&fd);
        return false;
    }
    /* Ours now: as long as we hold the lock, no other sweep works on it; one that was faster has
     * unlinked it. */
    text = malloc((size_t)st.st_size + 1);
    if (text && fstat(fd, &now) == 0 && now.st_nlink == 1 && now.st_size == st.st_size &&
        pread_full(fd, text, (size_t)st.st_size, 0) == 0 &&
        sweep_text(text, (size_t)st.st_size, out))
        unlinkat(dir_fd, name, 0);
    free(text);
    close_fd(&fd);
    return true;
}

int registry_sweep(const char *directory, struct registry_swept *out, struct husk_error *err)
{
    struct registry_swept swept = {0};
    unsigned files = 0, entries = 0;
    struct dirent *entry;
    struct husk_error why;
    int fd, ret;
    DIR *dir;

    fd = registry_open_directory(directory, false, &why);
    if (fd == -ENOENT) {
        if (out)
            *out = swept;
        return 0;
    }
    if (fd < 0) {
        if (err)
            *err = why;
        return fd;
    }
    dir = fdopendir(fd);
    if (!dir) {
        ret = errno;
        close_fd(&fd);
        return error_set(err, ret, directory, "cannot read the registry of VMs", NULL);
    }
    while (files++ < FILES_MAX && entries < ENTRIES_MAX && (entry = readdir(dir))) {
        if (registry_is_entry_name(entry->d_name))
            entries += sweep_entry(fd, entry->d_name, &swept);
    }
    closedir(dir);
    if (out)
        *out = swept;
    return 0;
}
