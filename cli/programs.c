// SPDX-License-Identifier: Apache-2.0
/* Where husk-vmm, husk-image and husk-oci are: beside this program where it is not installed; else
 * the library, or cmd_image.c, knows. */
#include <stdlib.h>
#include <unistd.h>

#include "base/beside.h"
#include "cli/cli.h"

/* The variable's program comes first, and is not for us to look at. */
static const char *find_program(const char *name, const char *variable, char *path, unsigned size)
{
    return secure_getenv(variable) ? NULL : find_beside(name, X_OK, path, size);
}

const char *vmm_program_find(char *path, unsigned size)
{
    return find_program("husk-vmm", "HUSK_VMM", path, size);
}

const char *image_program_find(char *path, unsigned size)
{
    return find_program("husk-image", "HUSK_IMAGE", path, size);
}

const char *oci_program_find(char *path, unsigned size)
{
    return find_program("husk-oci", "HUSK_OCI", path, size);
}
