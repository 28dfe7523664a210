// SPDX-License-Identifier: Apache-2.0
/* A listening unix socket: see api_socket.h. */
#include "http/api_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define BACKLOG 128

static const char cannot_listen[] = "cannot listen on the API socket";

/* Others may not write to the file, which is what connecting needs. */
static int bind_private(int fd, const struct sockaddr_un *address)
{
    mode_t mask = umask(0);
    int ret;

    umask(mask | 022);
    ret = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
    umask(mask);
    return ret;
}

/* Whether what is at the address is a socket that nobody listens on. 1, 0 or -errno. */
static int is_stale(const struct sockaddr_un *address)
{
    struct stat st;
    int fd, code;

    if (lstat(address->sun_path, &st) < 0)
        return -errno;
    if (!S_ISSOCK(st.st_mode))
        return 0;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    code = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
    close(fd);
    return code == ECONNREFUSED;
}

static int bind_at(int fd, const struct sockaddr_un *address)
{
    int ret = bind_private(fd, address);

    if (ret != -EADDRINUSE || is_stale(address) != 1)
        return ret;
    if (unlink(address->sun_path) < 0)
        return -errno;
    return bind_private(fd, address);
}

int api_socket_open(struct api_socket *out, const char *path, struct husk_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    struct stat st;
    int ret;

    *out = (struct api_socket){.fd = -1, .path = path};
    if (len == 0 || len >= sizeof(address.sun_path))
        return error_set(err, ENAMETOOLONG, path, cannot_listen,
                         "the path of a unix socket has 1 to %zu bytes",
                         sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, len + 1);
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out->fd < 0)
        return error_set(err, errno, path, cannot_listen, NULL);
    ret = bind_at(out->fd, &address);
    if (ret == -EADDRINUSE)
        error_set(err, EADDRINUSE, path, cannot_listen,
                  "the file exists, and is no socket that a dead process left: another process "
                  "listens there, or it is something else");
    else if (ret)
        error_set(err, -ret, path, cannot_listen, NULL);
    if (ret) {
        close_fd(&out->fd);
        return ret;
    }
    if (lstat(path, &st) == 0) {
        out->device = st.st_dev;
        out->inode = st.st_ino;
    }
    if (listen(out->fd, BACKLOG) < 0) {
        ret = error_set(err, errno, path, cannot_listen, NULL);
        api_socket_close(out);
    }
    return ret;
}

void api_socket_close(struct api_socket *socket)
{
    struct stat st;

    if (socket->fd < 0)
        return;
    close_fd(&socket->fd);
    if (lstat(socket->path, &st) == 0 && st.st_dev == socket->device && st.st_ino == socket->inode)
        unlink(socket->path);
}
