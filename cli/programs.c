// SPDX-License-Identifier: Apache-2.0
/* Where husk-vmm, husk-image and husk-oci are: beside this program where it is not installed; else
 * the library, or cmd_image.c, knows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const char *find_beside(const char *name, const char *variable, char *path, unsigned size)
{
    ssize_t len = readlink("/proc/self/exe", path, size);
    char *slash;

    if (secure_getenv(variable) || len <= 0 || (unsigned)len >= size)
        return NULL;
    path[len] = '\0';
    slash = strrchr(path, '/');
    if (!slash || (size_t)(slash + 1 - path) + strlen(name) >= size)
        return NULL;
    memcpy(slash + 1, name, strlen(name) + 1);
    return access(path, X_OK) == 0 ? path : NULL;
}

const char *vmm_program_find(char *path, unsigned size)
{
    return find_beside("husk-vmm", "HUSK_VMM", path, size);
}

const char *image_program_find(char *path, unsigned size)
{
    return find_beside("husk-image", "HUSK_IMAGE", path, size);
}

const char *oci_program_find(char *path, unsigned size)
{
    return find_beside("husk-oci", "HUSK_OCI", path, size);
}
