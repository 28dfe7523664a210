// SPDX-License-Identifier: Apache-2.0
/*
 * Mounts of a container, made with the kernel's descriptors for mounts (fsopen(2), open_tree(2),
 * move_mount(2)): a mount is complete, attributes and all, before anybody can see it, and it goes
 * onto a directory that is held open. Runs in the container's mount namespace.
 */
#ifndef HUSK_GUEST_AGENT_MOUNTS_H
#define HUSK_GUEST_AGENT_MOUNTS_H

#include "guest/agent/oci.h"

/* All of the config, in their order, below root; the agent's files are still to be seen. */
int mounts_make(int root, const struct oci_config *config, bool seal, struct husk_error *err);

/* With `seal`, mounts of volumes that are to be read-only are not yet: this makes them so, and the
 * root that is to be, from inside of it. */
int mounts_seal(const struct oci_config *config, struct husk_error *err);

/* config-linux.md, "Masked Paths" and "Readonly Paths"; what is not there is passed over. */
int mounts_mask(int root, const struct oci_config *config, struct husk_error *err);

/* Put a copy of what `source` (a descriptor) shows onto `target`, with these attributes. */
int mount_bind(int source, int target, bool recursive, uint64_t attributes);

/* Make a file system (a descriptor of its mount, or -errno); `options` as in oci_mount_options, may
 * be NULL. What the kernel says of a failure goes to `why`. */
int mount_new(const char *type, const char *source, const char *const *options, uint64_t attributes,
              char *why, size_t why_size);

#endif
