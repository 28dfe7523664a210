// SPDX-License-Identifier: Apache-2.0
/* A listening unix socket: see api_socket.h. */
#include "http/api_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define BACKLOG 128

/* A process that was killed just after it had forked leaves a child that holds its sockets until it
 * becomes another program: that is soon over, and no reason to refuse who comes after it. */
#define LINGER_MS      1000u
#define LINGER_STEP_MS 10u

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

/* Whether nobody listens at the address (any more). 1, 0 or -errno. */
static int is_stale(const struct sockaddr_un *address)
{
    int fd, code;

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    code = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
    close(fd);
    return code == ECONNREFUSED || code == ENOENT;
}

/* Until nobody listens, for LINGER_MS at most. 1, 0 or -errno, as is_stale(). */
static int becomes_stale(const struct sockaddr_un *address)
{
    const struct timespec pause = {.tv_nsec = LINGER_STEP_MS * 1000000};
    int stale = is_stale(address);

    for (unsigned ms = 0; stale == 0 && ms < LINGER_MS; ms += LINGER_STEP_MS) {
        nanosleep(&pause, NULL);
        stale = is_stale(address);
    }
    return stale;
}

static int bind_at(int fd, const struct sockaddr_un *address)
{
    int ret = bind_private(fd, address);
    struct stat st;

    if (ret != -EADDRINUSE)
        return ret;
    if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) || becomes_stale(address) != 1)
        return ret;
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
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
