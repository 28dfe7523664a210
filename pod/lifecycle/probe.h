// SPDX-License-Identifier: Apache-2.0
/*
 * One probe of a running container, as kubelets do it: after initialDelaySeconds and then every
 * periodSeconds its handler is run for at most timeoutSeconds; what it says counts when it has said
 * so successThreshold or failureThreshold times one after the other. On the loop's thread.
 *
 * A probe is made for one run of a container and destroyed with it.
 */
#ifndef HUSK_POD_LIFECYCLE_PROBE_H
#define HUSK_POD_LIFECYCLE_PROBE_H

#include "pod/lifecycle/action.h"

enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS };

/* "Startup", "Liveness", "Readiness". */
const char *probe_kind_name(enum probe_kind kind);
/* Its member of a container: "startupProbe" and so on. */
const char *probe_kind_member(enum probe_kind kind);

struct probe;

struct probe_callbacks {
    /* The result now counts as such; also when it did before only if it is a failure that ends a
     * container. Not from within a call here. The probe may be destroyed. */
    void (*result)(void *arg, struct probe *probe, bool success);
    /* A single failure, for people: "Readiness probe failed: …"; also what does not count, because
     * the probe could not be made: "Readiness probe errored: …". */
    void (*unhealthy)(void *arg, struct probe *probe, const char *text);
    /* It succeeded, but: "Readiness probe warning: …". */
    void (*warned)(void *arg, struct probe *probe, const char *text);
    void *arg;
};

/* `description` is a probe of a Pod object, with defaults; `container` the one it belongs to. The
 * probe keeps references to both, so that the Pod object may be replaced, and copies of the rest;
 * what the host's `arg` is stays alive. Begins at once. 0, -EINVAL (no such address) or another
 * -errno. */
int probe_start(const struct action_host *host, enum probe_kind kind, const json_t *description,
                const json_t *container, const char *address,
                const struct probe_callbacks *callbacks, struct probe **out);
enum probe_kind probe_kind_of(const struct probe *probe);
/* Takes NULL. */
void probe_destroy(struct probe *probe);

#endif
