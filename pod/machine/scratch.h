// SPDX-License-Identifier: Apache-2.0
/*
 * The scratch disk: what a container writes. A sparse file with an empty ext4 in it, of which a new
 * one takes about a hundred KiB of the host's disk whatever its size. The guest frees blocks of
 * files that are deleted (discard), and they become holes again.
 *
 * The file system has no journal: it is never mounted again after a machine that was cut off. Its
 * inode tables are declared to be zero, as the holes that they are in do read, so that the guest
 * does not come to write them while it is idle.
 */
#ifndef HUSK_POD_MACHINE_SCRATCH_H
#define HUSK_POD_MACHINE_SCRATCH_H

#include <stdint.h>

#include "husk/error.h"

#define SCRATCH_FILE "scratch.img"

/*
 * The scratch disk in the directory `dir`, open for reading and writing, the caller's. Made with
 * `size_bytes` (cut to blocks of 4 KiB) when it is not there, complete or not at all; its size is
 * not changed when it is. For one process at a time. A few milliseconds. -errno with err filled.
 */
int scratch_open(int dir, uint64_t size_bytes, struct husk_error *err);

#endif
