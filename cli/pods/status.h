// SPDX-License-Identifier: Apache-2.0
/*
 * What a Pod with its status comes to in a line: the columns that `kubectl get pods` has, found as
 * it finds them. Pure functions of JSON; nothing in it is trusted to be there.
 */
#ifndef HUSK_CLI_PODS_STATUS_H
#define HUSK_CLI_PODS_STATUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define STATUS_WORDS_BYTES 128u
#define PROGRESS_BYTES     512u

struct pod_summary {
    const char *name, *space, *phase, *ip; /* borrowed of the pod; "" when it has none */
    const char *created;                   /* NULL: not known */
    unsigned ready, containers;            /* containers that are ready, of how many */
    uint64_t restarts;
    const char *restarted;           /* when the last one that ended did; NULL: none did */
    char status[STATUS_WORDS_BYTES]; /* "Running", "Init:1/2", "CrashLoopBackOff" */
};

void pod_summary(const json_t *pod, struct pod_summary *out);

/* Where a pod is on its way. */
enum pod_progress {
    POD_COMING, /* it may still come up by itself */
    POD_UP,     /* its containers have been started, maybe ended since */
    POD_STUCK,  /* something fails, and is tried again */
    POD_FAILED, /* it has ended before its containers were started */
};

/*
 * `why` is filled for POD_STUCK and POD_FAILED ("container web: ErrImagePull: no such image"), for
 * POD_COMING with what it waits for ("ContainerCreating"). *ran: whether any of its containers,
 * init containers among them, has ever been started.
 */
enum pod_progress pod_progress(const json_t *pod, char why[PROGRESS_BYTES], bool *ran);

/* Whether its condition of this type ("Ready") is true. */
bool pod_condition(const json_t *pod, const char *type);

/*
 * The exit status that stands for a pod that has ended: 0 when it succeeded, else that of the first
 * container that failed; `otherwise` when none says so.
 */
int pod_end_status(const json_t *pod, int otherwise);

#endif
