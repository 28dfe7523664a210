// SPDX-License-Identifier: Apache-2.0
/*
 * How libext2fs gets at the file of a scratch disk. Its own way of opening a file begins with
 * fsync(2), and waits for the host's disk; this one goes through an open descriptor and leaves the
 * rest to the page cache. One thread, one file system at a time for each descriptor.
 */
#ifndef HUSK_POD_MACHINE_SCRATCH_IO_H
#define HUSK_POD_MACHINE_SCRATCH_IO_H

#include <et/com_err.h>
#include <ext2fs/ext2fs.h>

/* The name to open is the descriptor's number in decimal; it stays the caller's. */
extern struct struct_io_manager *const scratch_io;

#endif
