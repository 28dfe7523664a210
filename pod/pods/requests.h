// SPDX-License-Identifier: Apache-2.0
/* What the files that answer requests share. */
#ifndef HUSK_POD_PODS_REQUESTS_H
#define HUSK_POD_PODS_REQUESTS_H

#include "pod/pods/pod.h"

/* A connection into the pod that a client waits for. */
struct dialing {
    LIST_ENTRY(dialing) next;
    struct pod *pod;
    struct ticket ticket;
    struct agent_dial *dial;
};

/* stats.c */
void stats_request(struct pod *pod, struct container *container, struct ticket ticket,
                   const json_t *params);

/* apply.c */
void apply_request(struct pod *pod, struct ticket ticket, const char *file);

#endif
