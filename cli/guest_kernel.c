// SPDX-License-Identifier: Apache-2.0
/* Where `husk run` finds the guest kernel when none is named. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"

int guest_kernel_find(char *path, unsigned size, struct husk_error *err)
{
    const char *given = getenv("HUSK_KERNEL");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int n;

    if (given && *given) {
        n = snprintf(path, size, "%s", given);
        if (n > 0 && (unsigned)n < size && access(path, R_OK) == 0)
            return 0;
        return error_set(err, n > 0 && (unsigned)n < size ? errno : ENAMETOOLONG, given,
                         "cannot use the kernel that HUSK_KERNEL names", NULL);
    }
    /* XDG base directory specification 0.8: a relative path is to be ignored. */
    if (cache && cache[0] == '/')
        n = snprintf(path, size, "%s/husk/kernels/guest/vmlinux", cache);
    else
        n = snprintf(path, size, "%s/.cache/husk/kernels/guest/vmlinux", home ? home : "");
    if (n > 0 && (unsigned)n < size && access(path, R_OK) == 0)
        return 0;
    n = snprintf(path, size, "%s/husk/vmlinux", HUSK_DATA_DIR);
    if (n > 0 && (unsigned)n < size && access(path, R_OK) == 0)
        return 0;
    return error_set(err, ENOENT, "-k", "no kernel given and none found",
                     "build one with guest/kernel/build, or name one with -k "
                     "(looked in HUSK_KERNEL, ~/.cache/husk/kernels/guest, " HUSK_DATA_DIR
                     "/husk)");
}
