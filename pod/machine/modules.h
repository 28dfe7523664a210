// SPDX-License-Identifier: Apache-2.0
/*
 * Which modules of a distribution's kernel a container's machine needs, and in which order, by the
 * lists that depmod(8) makes. What a tree of modules says comes from the host's packages; it is
 * still read with bounds.
 */
#ifndef HUSK_POD_MACHINE_MODULES_H
#define HUSK_POD_MACHINE_MODULES_H

#include <stdbool.h>

#include "husk/error.h"

#define MODULES_MAX       64u  /* of all that are needed, dependencies included */
#define MODULE_NAME_BYTES 128u /* with its NUL */

/* "kernel/fs/erofs/erofs.ko.xz" is "erofs"; a dash is as good as an underscore (kmod). */
void module_name(const char *path, char name[MODULE_NAME_BYTES]);

struct module_list {
    char *paths[MODULES_MAX]; /* below the tree, ours; each after what it needs */
    unsigned count;
};

/*
 * The files of `names` (ended by NULL), of what they depend on, by TREE/modules.dep, and of what
 * they want to be there before them, by "pre:" of TREE/modules.softdep as far as it exists
 * (libcrc32c fails without a crc32c). Those that TREE/modules.builtin has are left out. -ENOENT
 * with err naming the module that is neither. On success *out is to be given to
 * module_list_clear().
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

#endif
