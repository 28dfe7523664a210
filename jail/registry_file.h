// SPDX-License-Identifier: Apache-2.0
/* The text of an entry: docs/formats/registry.md. For registry*.c and their tests. */
#ifndef HUSK_JAIL_REGISTRY_FILE_H
#define HUSK_JAIL_REGISTRY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jail/registry.h"

#define REGISTRY_HEADER         "husk-registry 1\n"
#define REGISTRY_FILE_BYTES_MAX 65536u
#define REGISTRY_NAME_BYTES     24u /* of a file's name with its end */

struct registry_item {
    bool used;
    bool made; /* its identity is known */
    enum registry_kind kind;
    const char *path; /* into the text */
    uint64_t device, inode;
};

/* The directory of entries: opened after it was checked, created when `create`. -errno. */
int registry_open_directory(const char *directory, bool create, struct husk_error *err);

/* Whether a file of this name can be an entry: "vm-" and 16 hexadecimal digits. */
bool registry_is_entry_name(const char *name);

/* Absolute, every component a name, and not too long: as path_resolve_parent() gives it. */
bool registry_is_resolved(const char *path);

const char *registry_kind_name(enum registry_kind kind);

/*
 * Replay `len` bytes of text, which are changed (lines are cut apart), into items. A last line
 * without its end was never written whole and counts for nothing. Returns 0, -EPROTONOSUPPORT when
 * it is no entry of this version, -EINVAL at any line that no registry writes.
 */
int registry_parse(char *text, size_t len, struct registry_item items[REGISTRY_SLOTS]);

#endif
