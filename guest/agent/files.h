// SPDX-License-Identifier: Apache-2.0
/* Small files of the kernel (proc, sysfs, cgroups): whole texts, in one call. Return 0 or -errno.
 */
#ifndef HUSK_GUEST_AGENT_FILES_H
#define HUSK_GUEST_AGENT_FILES_H

#include <stddef.h>

/* Relative to the directory dir (AT_FDCWD is fine). What does not fit is cut; always terminated. */
int file_read(int dir, const char *name, char *buf, size_t size);

/* An existing file. */
int file_write(int dir, const char *name, const char *text);

#endif
