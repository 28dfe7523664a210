// SPDX-License-Identifier: Apache-2.0
/* The public interface: where the guest kernel is when none is named. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "husk/husk.h"

/* Whether the text that was printed into `path` fits and names a file that can be read. */
static int check(const char *path, size_t size, int printed)
{
    if (printed < 0 || (size_t)printed >= size)
        return -ENAMETOOLONG;
    return access(path, R_OK) == 0 ? 0 : -errno;
}

int husk_find_kernel(char *path, size_t size, struct husk_error *err)
{
    const char *given = getenv("HUSK_KERNEL");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int ret;

    if (given && *given) {
        ret = check(path, size, snprintf(path, size, "%s", given));
        return ret ? error_set(err, -ret, given, "cannot use the kernel that HUSK_KERNEL names",
                               NULL)
                   : 0;
    }
    /* XDG base directory specification 0.8: a relative path is to be ignored. */
    if (cache && cache[0] == '/')
        ret = snprintf(path, size, "%s/husk/kernels/guest/vmlinux", cache);
    else
        ret = snprintf(path, size, "%s/.cache/husk/kernels/guest/vmlinux", home ? home : "");
    if (!check(path, size, ret) ||
        !check(path, size, snprintf(path, size, "%s/husk/vmlinux", HUSK_DATA_DIR)))
        return 0;
    return error_set(err, ENOENT, "kernel", "no kernel given and none found",
                     "build one with guest/kernel/build, or name one with -k "
                     "(looked in HUSK_KERNEL, ~/.cache/husk/kernels/guest, " HUSK_DATA_DIR
                     "/husk)");
}
