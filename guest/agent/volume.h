// SPDX-License-Identifier: Apache-2.0
/* Volumes: disks, shared folders, memory and directories of other volumes, mounted by name
 * (husk/agent.h). */
#ifndef HUSK_GUEST_AGENT_VOLUME_H
#define HUSK_GUEST_AGENT_VOLUME_H

#include "guest/agent/agent.h"
#include "guest/agent/node.h"
#include "guest/agent/partition.h"
#include "husk/agent.h"

struct volume {
    struct volume *next;
    char name[HUSK_AGENT_NAME_MAX + 1];
    char parent[HUSK_AGENT_NAME_MAX + 1]; /* the volume that it is a directory of, or "" */
    bool readonly;
    struct partition partition; /* that was made for it */
};

struct volume *volume_find(const struct agent *agent, const char *name);

/* "fill" of "create", which may be absent: a NULL-terminated list of writable volumes for
 * copy_fill(), which is the caller's to free (its texts are the document's). */
int volume_fill_list(const struct agent *agent, const struct node *params, const char ***out,
                     struct husk_error *err);

/* The params of "volume.add" and "volume.remove". */
int volume_add(struct agent *agent, const struct node *params, struct husk_error *err);
int volume_remove(struct agent *agent, const char *name, struct husk_error *err);

void volume_remove_all(struct agent *agent);

#endif
