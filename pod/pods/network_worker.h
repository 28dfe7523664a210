// SPDX-License-Identifier: Apache-2.0
/*
 * The pod's network, made and taken down in a thread of its own: plugins may take half a minute
 * each, and the supervisor has clients to answer meanwhile. One call is under way at a time.
 */
#ifndef HUSK_POD_PODS_NETWORK_WORKER_H
#define HUSK_POD_PODS_NETWORK_WORKER_H

#include <pthread.h>
#include <stdbool.h>

#include "base/event_loop.h"
#include "pod/network/network.h"

struct network_worker {
    struct event_loop *loop;
    struct pod_network_request *request; /* of `up`; the owner's, alive until `done` */
    struct pod_network_result *result;   /* filled by `up` */
    int dir;
    bool up, running;
    pthread_t thread;
    int over; /* readable when the thread has ended */
    struct event_source *source;
    int ret;
    struct husk_error error;
    /* On the loop's thread; error NULL: it worked. */
    void (*done)(void *arg, const struct husk_error *error);
    void *arg;
};

/* Begin; `done` comes from the loop. -errno when there is no thread. What an earlier attempt left
 * is taken back before `up` makes anything. */
int network_worker_up(struct network_worker *worker);
int network_worker_down(struct network_worker *worker);
/* Waits for what is under way; `done` does not come any more. */
void network_worker_join(struct network_worker *worker);

#endif
