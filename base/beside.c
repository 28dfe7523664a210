// SPDX-License-Identifier: Apache-2.0
#include "base/beside.h"

#include <string.h>
#include <unistd.h>

const char *find_beside(const char *name, int mode, char *path, size_t size)
{
    ssize_t len = readlink("/proc/self/exe", path, size);
    char *slash;

    if (len <= 0 || (size_t)len >= size)
        return NULL;
    path[len] = '\0';
    slash = strrchr(path, '/');
    if (!slash || (size_t)(slash + 1 - path) + strlen(name) >= size)
        return NULL;
    memcpy(slash + 1, name, strlen(name) + 1);
    return access(path, mode) == 0 ? path : NULL;
}
