// SPDX-License-Identifier: Apache-2.0
/* Volumes: disks, shared folders and memory of the guest, mounted by name (husk/agent.h). */
#ifndef HUSK_GUEST_AGENT_VOLUME_H
#define HUSK_GUEST_AGENT_VOLUME_H

#include "guest/agent/agent.h"
#include "guest/agent/node.h"
#include "husk/agent.h"

struct volume {
    struct volume *next;
    char name[HUSK_AGENT_NAME_MAX + 1];
    bool readonly;
};

struct volume *volume_find(const struct agent *agent, const char *name);

/* The params of "volume.add" and "volume.remove". */
int volume_add(struct agent *agent, const struct node *params, struct husk_error *err);
int volume_remove(struct agent *agent, const char *name, struct husk_error *err);

void volume_remove_all(struct agent *agent);

#endif
