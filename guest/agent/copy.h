// SPDX-License-Identifier: Apache-2.0
/* Copying a directory that a stranger has filled. */
#ifndef HUSK_GUEST_AGENT_COPY_H
#define HUSK_GUEST_AGENT_COPY_H

#include "guest/agent/oci.h"

#define COPY_DEPTH_MAX 128

/*
 * What is in the directory `from` into the directory `to`, and from's own owner, mode, times and
 * attributes: files (with their data), directories, links, pipes, sockets, devices. Links are
 * copied, never followed; several names of one file become several files; attributes of the
 * kernel's own
 * ("trusted.") stay away. 0, or -errno; -ELOOP: deeper than COPY_DEPTH_MAX. Part of it may be there
 * then. Takes as long as it takes.
 */
int copy_tree(int from, int to);

/*
 * "fill" of "create": each of these volumes (a NULL-terminated list, or NULL) that is the source of
 * a bind mount and still empty gets what `root` has at that mount's destination. Before the mounts
 * are made.
 */
int copy_fill(int root, const struct oci_config *config, const char *const *volumes,
              struct husk_error *err);

#endif
