// SPDX-License-Identifier: Apache-2.0
/*
 * Making the listening socket: see vsock_listen.h.
 *
 * bind() never replaces a file. What is left of a monitor that was killed is told from a socket in
 * use by connecting to it: without a listener that is refused.
 */
#include "devices/backend/vsock_listen.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define BACKLOG       128
#define CANNOT_LISTEN "cannot make the vsock socket"

/* Why `path` cannot be replaced, as a positive errno value; 0 when it is a socket left behind. */
static int check_stale(const struct sockaddr_un *address)
{
    struct stat info;
    int fd, code = 0;

    if (lstat(address->sun_path, &info) < 0)
        return errno;
    if (!S_ISSOCK(info.st_mode))
        return EEXIST;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        code = EADDRINUSE;
    else if (errno != ECONNREFUSED)
        code = errno;
    close_fd(&fd);
    return code;
}

static int bind_at(int fd, const struct sockaddr_un *address, struct husk_error *err)
{
    const char *path = address->sun_path;
    int code;

    if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return error_set(err, errno, path, CANNOT_LISTEN, NULL);
    code = check_stale(address);
    if (code == EEXIST)
        return error_set(err, EEXIST, path, CANNOT_LISTEN, "a file of this name exists");
    if (code == EADDRINUSE)
        return error_set(err, EADDRINUSE, path, CANNOT_LISTEN, "another process listens there");
    if (code == 0 &&
        (unlink(path) < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0))
        code = errno;
    return code ? error_set(err, code, path, CANNOT_LISTEN, NULL) : 0;
}

int vsock_listen(const char *path, uint64_t *device, uint64_t *inode, struct husk_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    int fd, ret;

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(err, ENAMETOOLONG, path, CANNOT_LISTEN, NULL);
    memcpy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(err, errno, path, CANNOT_LISTEN, NULL);
    ret = bind_at(fd, &address, err);
    if (ret) {
        close_fd(&fd);
        return ret;
    }
    if (listen(fd, BACKLOG) < 0 || lstat(path, &info) < 0) {
        ret = error_set(err, errno, path, CANNOT_LISTEN, NULL);
        unlink(path);
        close_fd(&fd);
        return ret;
    }
    *device = info.st_dev;
    *inode = info.st_ino;
    return fd;
}
