// SPDX-License-Identifier: Apache-2.0
/*
 * Which kernel a container's machine boots, and where its modules are, if it has any.
 *
 *   1. the one that is named; else that of husk_find_kernel(): $HUSK_KERNEL, the one that
 *      guest/kernel/build made, the one installed with husk. These are of our own configuration,
 *      with everything built in;
 *   2. Debian's kernel for clouds, which guest/kernel/fetch-debian puts into the cache.
 *
 * A kernel has modules when a tree of them lies where distributions put it: modules/lib/modules or
 * /lib/modules, RELEASE, of which the first is beside the kernel's file (links followed) and the
 * second for kernels of /boot.
 */
#ifndef HUSK_POD_MACHINE_KERNEL_H
#define HUSK_POD_MACHINE_KERNEL_H

#include <linux/limits.h>

#include "husk/error.h"

struct guest_kernel {
    char path[PATH_MAX];
    char modules[PATH_MAX]; /* the directory with modules.dep; "": everything is built in */
};

/* `given`: NULL or "" when none is named. -ENOENT and others with err filled. */
int guest_kernel_choose(const char *given, struct guest_kernel *out, struct husk_error *err);

#endif
