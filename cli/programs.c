// SPDX-License-Identifier: Apache-2.0
/* Where husk's other programs are: beside this one where it is not installed; else the library
 * knows, or they are in the directory for them. Also part of husk-pod. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/beside.h"
#include "cli/cli.h"

/* The variable's program comes first, and is not for us to look at. */
static const char *find_library_program(const char *name, const char *variable, char *path,
                                        unsigned size)
{
    return secure_getenv(variable) ? NULL : find_beside(name, X_OK, path, size);
}

const char *vmm_program_find(char *path, unsigned size)
{
    return find_library_program("husk-vmm", "HUSK_VMM", path, size);
}

const char *image_program_find(char *path, unsigned size)
{
    return find_library_program("husk-image", "HUSK_IMAGE", path, size);
}

/* The one of the environment; else the one beside us; else the installed one. */
static const char *find_program(const char *name, const char *variable, char *path, unsigned size)
{
    const char *given = secure_getenv(variable);

    if (given)
        return given;
    if (!find_beside(name, X_OK, path, size))
        snprintf(path, size, "%s/%s", HUSK_LIBEXEC_DIR, name);
    return path;
}

const char *oci_program_find(char *path, unsigned size)
{
    return find_program("husk-oci", "HUSK_OCI", path, size);
}

const char *node_program_find(char *path, unsigned size)
{
    return find_program("husk-node", "HUSK_NODE", path, size);
}

const char *pod_program_find(char *path, unsigned size)
{
    return find_program("husk-pod", "HUSK_POD", path, size);
}
