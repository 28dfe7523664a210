// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel inside a bzImage. Distributions ship their kernels compressed, with a program in front
 * that unpacks them in memory at each start. Unpacked once into a file of the cache (cache.h), the
 * same kernel starts without that work, and the pages that it does not write are those of the
 * file: one copy for all machines of the host.
 */
#ifndef HUSK_POD_MACHINE_VMLINUX_H
#define HUSK_POD_MACHINE_VMLINUX_H

#include "husk/error.h"

/*
 * The ELF file in the bzImage at `path`: a descriptor for reading, the caller's. -ENOTSUP when the
 * file is no bzImage, or holds nothing that can be unpacked and booted here: then it is to be
 * booted as it is. Other errors with err filled. The first time it blocks for some 100 ms.
 */
int vmlinux_open(const char *path, struct husk_error *err);

#endif
