// SPDX-License-Identifier: Apache-2.0
#include "pod/pods/programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void program_find(const char *name, const char *variable, char path[PATH_MAX])
{
    const char *given = secure_getenv(variable);
    char self[PATH_MAX - 32], *slash;
    ssize_t len;

    if (given) {
        snprintf(path, PATH_MAX, "%s", given);
        return;
    }
    len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[len > 0 ? len : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash) {
        snprintf(path, PATH_MAX, "%.*s/%.30s", (int)(slash - self), self, name);
        if (access(path, X_OK) == 0)
            return;
    }
    snprintf(path, PATH_MAX, "%s/%.30s", HUSK_LIBEXEC_DIR, name);
}
