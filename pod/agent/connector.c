// SPDX-License-Identifier: Apache-2.0
/* Connections to unix sockets by path: see connector.h. No state. */
#include "pod/agent/connector.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"

#define NAME_MAX_BYTES 80 /* what "/proc/self/fd/N/" leaves of sun_path */

/* sun_path has 108 bytes only: a longer way is gone by its directory's descriptor. */
static int fill_address(const char *path, struct sockaddr_un *address, int *directory)
{
    const char *slash = strrchr(path, '/');
    char parent[4096];

    address->sun_family = AF_UNIX;
    if (strlen(path) < sizeof(address->sun_path)) {
        memcpy(address->sun_path, path, strlen(path) + 1);
        return 0;
    }
    if (!slash || strlen(slash + 1) > NAME_MAX_BYTES || (size_t)(slash - path) >= sizeof(parent))
        return -ENAMETOOLONG;
    snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
    *directory = open(slash == path ? "/" : parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*directory < 0)
        return -errno;
    snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", *directory,
             slash + 1);
    return 0;
}

int agent_connect_path(const char *path, struct husk_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int directory = -1;
    int ret = fill_address(path, &address, &directory);
    int fd = -1;

    if (!ret) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
            ret = -errno;
    }
    close_fd(&directory);
    if (!ret)
        return fd;
    close_fd(&fd);
    return error_set(err, -ret, path, "cannot connect to the agent", NULL);
}

int agent_connector_path(void *arg, struct husk_error *err)
{
    return agent_connect_path(arg, err);
}
