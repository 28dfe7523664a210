// SPDX-License-Identifier: Apache-2.0
/*
 * The reconcile loop: desired (the files) against observed (the pods), level-triggered. What wakes
 * it, an inotify event, a pod's change, a timer, SIGHUP, says only that it is time to look: every
 * round looks at everything.
 *
 * One thread of its own; reconciler_status() is for any thread.
 */
#ifndef HUSK_CLI_NODE_RECONCILE_H
#define HUSK_CLI_NODE_RECONCILE_H

#include "cli/node/backoff.h"
#include "cli/node/events.h"
#include "cli/node/metrics.h"
#include "cli/node/pods.h"
#include "cli/node/source.h"

struct reconciler;

struct reconciler_options {
    struct source *source; /* all of these are the caller's */
    const struct node_pods *pods;
    struct events *events;
    struct metrics *metrics;
    struct backoff_policy backoff;
    const char *directory; /* of the manifests, absolute */
    const char *node;      /* the host's name */
};

/* NULL without memory. */
struct reconciler *reconciler_create(const struct reconciler_options *options);
/* NULL is fine. */
void reconciler_destroy(struct reconciler *reconciler);

/* One round. How long from now until the next at the latest, in nanoseconds; 0: at once, for what
 * this one has begun; UINT64_MAX: nothing is waited for. */
uint64_t reconciler_round(struct reconciler *reconciler, uint64_t now_ns);

/* What the last round saw and did, as JSON; the caller's, NULL without memory or before the first
 * round. */
char *reconciler_status(struct reconciler *reconciler);

/* Whether the last round could look at everything; else why not, "" before the first. */
bool reconciler_is_well(struct reconciler *reconciler, char *why, size_t size);

#endif
