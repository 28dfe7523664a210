// SPDX-License-Identifier: Apache-2.0
/*
 * The modules of a distribution's kernel that a container's machine needs, as a cpio archive that
 * follows the agent's: /modules/NAME.ko, and /modules.list with their paths in the order of
 * loading. Uncompressed, so that the guest need not unpack them at every start.
 *
 * What a tree of modules says comes from the host's packages; it is still read with bounds.
 */
#ifndef HUSK_POD_MACHINE_MODULES_H
#define HUSK_POD_MACHINE_MODULES_H

#include <stdbool.h>

#include "husk/error.h"

#define MODULES_MAX       64u  /* of all that are needed, dependencies included */
#define MODULE_NAME_BYTES 128u /* with its NUL */

struct module_list {
    char *paths[MODULES_MAX]; /* below the tree, ours; each after what it needs */
    unsigned count;
};

/*
 * The files of `names` (ended by NULL) and of what they depend on, by TREE/modules.dep; those that
 * TREE/modules.builtin has are left out. -ENOENT with err naming the module that is neither. On
 * success *out is to be given to module_list_clear().
 */
int module_list_read(const char *tree, const char *const *names, struct module_list *out,
                     struct husk_error *err);
void module_list_clear(struct module_list *list);

/*
 * The module that drives a device which calls itself `modalias` (of sysfs), by TREE/modules.alias;
 * "" when the driver is built in, by TREE/modules.builtin.modinfo. -ENOENT with err naming the tree
 * when there is none.
 */
int module_for_device(const char *tree, const char *modalias, char name[MODULE_NAME_BYTES],
                      struct husk_error *err);

/* Writes the archive to fd, from where it stands. Blocks: a second for twenty compressed modules.
 */
int module_archive_write(const char *tree, const struct module_list *list, int fd,
                         struct husk_error *err);

#endif
