// SPDX-License-Identifier: Apache-2.0
#include "pod/pods/programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/beside.h"

void program_find(const char *name, const char *variable, char path[PATH_MAX])
{
    const char *given = secure_getenv(variable);

    if (given)
        snprintf(path, PATH_MAX, "%s", given);
    else if (!find_beside(name, X_OK, path, PATH_MAX))
        snprintf(path, PATH_MAX, "%s/%.30s", HUSK_LIBEXEC_DIR, name);
}
