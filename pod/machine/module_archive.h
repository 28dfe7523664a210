// SPDX-License-Identifier: Apache-2.0
/*
 * Modules as a cpio archive that follows the agent's: /modules/NAME.ko, and /modules.list with
 * their paths in the order of loading. Uncompressed, so that the guest need not unpack them at
 * every start.
 */
#ifndef HUSK_POD_MACHINE_MODULE_ARCHIVE_H
#define HUSK_POD_MACHINE_MODULE_ARCHIVE_H

#include "husk/error.h"
#include "pod/machine/modules.h"

/*
 * Writes those of a list of TREE's to fd, from where that stands. -EIO with err naming the file
 * that cannot be read, or is larger than 64 MiB. Blocks: a second for twenty compressed modules.
 */
int module_archive_write(const char *tree, const struct module_list *list, int fd,
                         struct husk_error *err);

#endif
