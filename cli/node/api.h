// SPDX-License-Identifier: Apache-2.0
/*
 * The agent's API over HTTP. What is answered from memory is answered at once, on the loop's
 * thread; every other request is a visit: a thread of its own with a handle of the library of its
 * own, so that a pod that keeps somebody waiting keeps nobody else.
 *
 * docs/api/node.yaml describes it.
 */
#ifndef HUSK_CLI_NODE_API_H
#define HUSK_CLI_NODE_API_H

#include <stdatomic.h>

#include "cli/node/events.h"
#include "cli/node/metrics.h"
#include "cli/node/reconcile.h"
#include "cli/node/route.h"
#include "http/server.h"

#define API_VISITS_MAX     128u
#define API_BODY_MAX_BYTES (4u << 20) /* of a manifest, as of its file */

struct api_options {
    struct events *events; /* all of these are the caller's */
    struct metrics *metrics;
    struct reconciler *reconciler;
    const struct husk_pods_options *pods;
    const struct husk_pod_create_options *create; /* of pods that do not say */
    const char *directory;                        /* of the manifests, absolute */
    uint64_t well_ns; /* a last round that is older is no sign of life */
};

struct api;

/* NULL without memory. */
struct api *api_create(const struct api_options *options);
/* There must be no visit. NULL is fine. */
void api_destroy(struct api *api);

/* For http_server_create(). */
void api_handler(struct api *api, struct http_handler *out);

/* Readable when visits have ended, which api_collect() then joins. */
int api_fd(const struct api *api);
void api_collect(struct api *api);
unsigned api_visits(const struct api *api);

/* All visits end soon: streams and processes are let go. */
void api_stop(struct api *api);

#endif
