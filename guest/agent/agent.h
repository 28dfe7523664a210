// SPDX-License-Identifier: Apache-2.0
/*
 * The agent as a whole: one thread, one event loop, no state but this struct.
 *
 * What the host says comes in through connections (connection.h), is carried out by the handlers of
 * requests (request.h), and changes containers (container.h), volumes and the pod. The kernel's
 * news (children that end, memory that runs out) come through the same loop.
 */
#ifndef HUSK_GUEST_AGENT_AGENT_H
#define HUSK_GUEST_AGENT_AGENT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/event_loop.h"
#include "base/log.h"

struct connection;
struct container;
struct job;
struct pending;
struct relay;
struct volume;
struct waiting;

struct agent {
    struct event_loop *loop;
    const struct log *log;
    int cgroup; /* the directory below which the containers' are */
    bool booted;
    bool ending, rebooting;
    bool pod_is_set;
    struct connection *connections;
    unsigned connection_count;
    struct container *containers;
    unsigned container_count, process_count, wait_count;
    struct volume *volumes;
    unsigned volume_count;
    struct relay *relays;
    unsigned relay_count;
    struct pending *pendings; /* pending.h, as the next two */
    struct waiting *waiting;
    struct event_timer *waiting_timer;
    struct job *jobs;
    unsigned job_count;
    unsigned trash_count; /* names of what is being removed */
};

/* A loop and nothing else; 0 or -errno. */
int agent_init(struct agent *agent, const struct log *log, int cgroup, bool booted);

/* Everything that is left: connections, containers (killed), volumes (unmounted). */
void agent_end(struct agent *agent);

/* A child of ours has ended, or has been adopted and has. */
void agent_reap(struct agent *agent);

/* To every control connection. Steals the event. */
void agent_tell(struct agent *agent, json_t *event);

/* husk/agent.h, "Names". */
bool agent_name_is_good(const char *name);

#endif
