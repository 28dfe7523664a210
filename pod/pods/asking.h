// SPDX-License-Identifier: Apache-2.0
/*
 * A row of requests to an agent, one after the other: volumes, files, what precedes a container. A
 * request for a disk that the guest has not found yet is made again for a while.
 */
#ifndef HUSK_POD_PODS_ASKING_H
#define HUSK_POD_PODS_ASKING_H

#include <jansson.h>

#include "pod/agent/client.h"

struct asking {
    struct event_loop *loop;
    struct agent_client *agent;
    json_t *requests; /* [{"method": TEXT, "params": {…}}, …]; ours */
    size_t next;
    unsigned tries; /* of this request */
    struct event_timer *again;
    bool open; /* the agent has not answered */
    bool under_way;
    /* All was answered, or one refused (then the rest is not asked). Once. */
    void (*done)(void *arg, const struct husk_error *error);
    void *arg;
};

/* A timer. 0 or -errno. */
int asking_create(struct asking *asking, struct event_loop *loop);
/*
 * Begins; steals the requests (NULL: no memory), none of which may be under way. `done` comes from
 * the loop, or from here when there is nothing to ask or nothing can be asked.
 */
void asking_begin(struct asking *asking, struct agent_client *agent, json_t *requests,
                  void (*done)(void *arg, const struct husk_error *error), void *arg);
/* `done` does not come any more. The agent's client must be closed, or about to be. */
void asking_cancel(struct asking *asking);
void asking_destroy(struct asking *asking);

#endif
