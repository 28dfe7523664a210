// SPDX-License-Identifier: Apache-2.0
/*
 * One container's directory: opening, the lock that means life, the control socket. See store.h.
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
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "pod/supervisor/store_internal.h"

#define BACKLOG 64

enum lock_byte { LOCK_LIFE, LOCK_MARK };

int container_error(const struct container *container, int code, const char *name, const char *what,
                    struct husk_error *err)
{
    char where[sizeof(container->path) + 64];

    snprintf(where, sizeof(where), "%s%s%s", container->path, name ? "/" : "", name ? name : "");
    return error_set(err, code, where, what, NULL);
}

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

int container_lock_life(int lock)
{
    return set_lock(lock, LOCK_LIFE, F_WRLCK, F_OFD_SETLK);
}

void container_give_up(struct container *container)
{
    (void)set_lock(container->lock, LOCK_LIFE, F_UNLCK, F_OFD_SETLK);
    container->owner = false;
}

int container_lock_mark(int lock)
{
    return set_lock(lock, LOCK_MARK, F_WRLCK, F_OFD_SETLKW);
}

void container_unlock_mark(int lock)
{
    (void)set_lock(lock, LOCK_MARK, F_UNLCK, F_OFD_SETLK);
}

bool container_alive(const struct container *container)
{
    struct flock held = lock_of(LOCK_LIFE, F_WRLCK);

    if (container->owner) /* one's own lock is in nobody's way, and not seen */
        return true;
    return container->lock >= 0 && fcntl(container->lock, F_OFD_GETLK, &held) == 0 &&
           held.l_type != F_UNLCK;
}

int container_open_at(const struct container_store *store, const char *name, struct container **out,
                      struct husk_error *err)
{
    struct container *container = calloc(1, sizeof(*container));
    int ret = 0;

    if (!container)
        return error_set(err, ENOMEM, name, "cannot be opened", NULL);
    container->dir = container->lock = container->listener = -1;
    snprintf(container->name, sizeof(container->name), "%s", name);
    if (snprintf(container->path, sizeof(container->path), "%s/%s", store->path, name) >=
        (int)sizeof(container->path))
        ret = -ENAMETOOLONG;
    if (ret == 0)
        container->dir = openat(store->dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (ret == 0 && container->dir < 0)
        ret = -errno;
    if (ret == 0) {
        container->lock =
            openat(container->dir, CONTAINER_LOCK_FILE, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (container->lock < 0 && errno != ENOENT)
            ret = -errno;
    }
    if (ret) {
        if (ret != -ENOENT)
            container_error(container, -ret, NULL, "cannot be opened", err);
        container_close(container);
        return ret;
    }
    *out = container;
    return 0;
}

void container_close(struct container *container)
{
    if (!container)
        return;
    close_fd(&container->listener);
    close_fd(&container->lock);
    close_fd(&container->dir);
    free(container);
}

/* A socket's address has 108 bytes: too few for many a directory, enough for a descriptor's. */
static socklen_t socket_address(int dir, struct sockaddr_un *address)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof(address->sun_path),
             "/proc/self/fd/%d/" CONTAINER_SOCKET_FILE, dir);
    return (socklen_t)sizeof(*address);
}

int container_listen(int dir)
{
    struct sockaddr_un address;
    socklen_t len = socket_address(dir, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) < 0 ||
        fchmodat(dir, CONTAINER_SOCKET_FILE, 0600, 0) < 0 || listen(fd, BACKLOG) < 0) {
        int ret = -errno;

        close_fd(&fd);
        return ret;
    }
    return fd;
}

int container_connect(const struct container *container, struct husk_error *err)
{
    struct sockaddr_un address;
    socklen_t len = socket_address(container->dir, &address);
    int fd, ret;

    if (!container_alive(container))
        return error_set(err, ECONNREFUSED, container->name, "is not running",
                         "its supervisor has ended");
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, len) == 0)
        return fd;
    ret = errno;
    close_fd(&fd);
    return error_set(err, ret == ENOENT ? ECONNREFUSED : ret, container->name,
                     "has a supervisor that cannot be asked", NULL);
}
