// SPDX-License-Identifier: Apache-2.0
/*
 * One entry's directory: opening, the lock that means life, the control socket. See store.h.
 *
 * The locks are on bytes of the file `lock`, by open file description (fcntl(2), F_OFD_SETLK):
 * byte 0 is held by the supervisor as long as it lives, byte 1 by who marks a dead one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/store/store_internal.h"

#define ENDING_TRIES 2000u
#define BACKLOG      64

enum lock_byte { LOCK_LIFE, LOCK_MARK };

static struct flock lock_of(enum lock_byte byte, short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

static int set_lock(int lock, enum lock_byte byte, short type, int command)
{
    struct flock wanted = lock_of(byte, type);
    int ret;

    do
        ret = fcntl(lock, command, &wanted);
    while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

int entry_lock_life(int lock)
{
    return set_lock(lock, LOCK_LIFE, F_WRLCK, F_OFD_SETLK);
}

void entry_give_up(struct entry *entry)
{
    (void)set_lock(entry->lock, LOCK_LIFE, F_UNLCK, F_OFD_SETLK);
    entry->owner = false;
}

bool entry_is_gone(const struct entry *entry)
{
    struct stat st;

    return fstat(entry->dir, &st) == 0 && st.st_nlink == 0;
}

int entry_lock_mark(int lock)
{
    return set_lock(lock, LOCK_MARK, F_WRLCK, F_OFD_SETLKW);
}

void entry_unlock_mark(int lock)
{
    (void)set_lock(lock, LOCK_MARK, F_UNLCK, F_OFD_SETLK);
}

bool entry_alive(const struct entry *entry)
{
    struct flock held = lock_of(LOCK_LIFE, F_WRLCK);

    if (entry->owner) /* one's own lock is in nobody's way, and not seen */
        return true;
    return entry->lock >= 0 && fcntl(entry->lock, F_OFD_GETLK, &held) == 0 &&
           held.l_type != F_UNLCK;
}

bool entry_has_ended(const struct entry *entry, int error)
{
    const struct timespec moment = {.tv_nsec = 5000000};

    if (error != -ESRCH && error != -ECONNRESET && error != -EPIPE)
        return false;
    for (unsigned i = 0; i < ENDING_TRIES && entry_alive(entry); i++)
        nanosleep(&moment, NULL);
    return !entry_alive(entry);
}

bool entry_was_alive(const struct entry *entry)
{
    return entry_alive(entry) || faccessat(entry->dir, ENTRY_SOCKET_FILE, F_OK, 0) == 0;
}

int entry_new(const struct entry_store *store, const char *name, struct entry **out,
              struct husk_error *err)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return error_set(err, ENOMEM, name, "cannot be opened", NULL);
    entry->kind = store->kind;
    entry->dir = entry->lock = entry->listener = -1;
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    if (snprintf(entry->path, sizeof(entry->path), "%s/%s", store->path, name) >=
        (int)sizeof(entry->path)) {
        free(entry);
        return error_set(err, ENAMETOOLONG, store->path, "has a name that is too long", NULL);
    }
    *out = entry;
    return 0;
}

int entry_open_at(const struct entry_store *store, const char *name, struct entry **out,
                  struct husk_error *err)
{
    struct entry *entry = NULL;
    int ret = entry_new(store, name, &entry, err);

    if (!entry)
        return ret;
    entry->dir = openat(store->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (entry->dir < 0)
        ret = -errno;
    if (ret == 0) {
        entry->lock = openat(entry->dir, ENTRY_LOCK_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (entry->lock < 0 && errno != ENOENT)
            ret = -errno;
    }
    if (ret) {
        if (ret != -ENOENT)
            entry_error(entry, -ret, NULL, "cannot be opened", err);
        entry_close(entry);
        return ret;
    }
    *out = entry;
    return 0;
}

void entry_close(struct entry *entry)
{
    if (!entry)
        return;
    close_fd(&entry->listener);
    close_fd(&entry->lock);
    close_fd(&entry->dir);
    free(entry);
}

/* A socket's address has 108 bytes: too few for many a directory, enough for a descriptor's. */
static socklen_t socket_address(int dir, const char *name, struct sockaddr_un *address)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", dir, name);
    return (socklen_t)sizeof(*address);
}

int entry_listen(int dir)
{
    struct sockaddr_un address;
    socklen_t len = socket_address(dir, ENTRY_SOCKET_NEW, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)unlinkat(dir, ENTRY_SOCKET_NEW, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
        fchmodat(dir, ENTRY_SOCKET_NEW, 0600, 0) < 0 || listen(fd, BACKLOG) < 0 ||
        renameat(dir, ENTRY_SOCKET_NEW, dir, ENTRY_SOCKET_FILE) < 0) {
        int ret = -errno;

        close_fd(&fd);
        return ret;
    }
    return fd;
}

int entry_connect(const struct entry *entry, struct husk_error *err)
{
    struct sockaddr_un address;
    socklen_t len = socket_address(entry->dir, ENTRY_SOCKET_FILE, &address);
    int fd, ret;

    if (!entry_alive(entry))
        return error_set(err, ECONNREFUSED, entry->name, "is not running",
                         "its supervisor has ended");
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, len) == 0)
        return fd;
    ret = errno;
    close_fd(&fd);
    return error_set(err, ret == ENOENT ? ECONNREFUSED : ret, entry->name,
                     "has a supervisor that cannot be asked", NULL);
}
