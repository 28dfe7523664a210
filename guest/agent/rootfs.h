// SPDX-License-Identifier: Apache-2.0
/* The root file system of a container, in its mount namespace. */
#ifndef HUSK_GUEST_AGENT_ROOTFS_H
#define HUSK_GUEST_AGENT_ROOTFS_H

#include "guest/agent/oci.h"

/* Cut this mount namespace off from the one that it was copied from, and make `path` a mount of its
 * own. Returns a descriptor of it, which is the caller's. */
int rootfs_open(const char *path, struct husk_error *err);

/* Make root the root of this namespace, and forget everything else that was mounted. Read-only
 * where the config says so, unless `writable`. */
int rootfs_enter(int root, const struct oci_config *config, bool writable, struct husk_error *err);

#endif
