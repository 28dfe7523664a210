// SPDX-License-Identifier: Apache-2.0
/* The root file system of a container out of volumes: overlayfs over read-only layers. */
#ifndef HUSK_GUEST_AGENT_OVERLAY_H
#define HUSK_GUEST_AGENT_OVERLAY_H

#include "guest/agent/container.h"

/* Read ROOTFS (husk/agent.h) and mount it; sets the container's root_path, layers and upper. */
int overlay_mount(struct container *container, const struct node *rootfs, struct husk_error *err);

/* Undo that, as far as it went. What the container wrote is removed by a process of its own: it can
 * be much. */
void overlay_unmount(struct container *container);

#endif
