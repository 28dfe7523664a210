// SPDX-License-Identifier: Apache-2.0
/*
 * The PodStatus of a pod, as Kubernetes' API has it (v1), of what its supervisor knows: phase,
 * conditions with the times of their changes, and the status of each container. Pure.
 */
#ifndef HUSK_POD_LIFECYCLE_STATUS_H
#define HUSK_POD_LIFECYCLE_STATUS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "pod/lifecycle/restart.h"

#define STATUS_REASON_BYTES  64u
#define STATUS_MESSAGE_BYTES 4097u /* a termination message is at most as long */
#define STATUS_ID_BYTES      160u

enum container_phase { CONTAINER_WAITING, CONTAINER_RUNS, CONTAINER_TERMINATED };

struct container_end {
    bool known; /* false: there is none */
    int exit_code, signal;
    uint64_t started_ns, finished_ns; /* since 1970; 0: it never ran */
    char reason[STATUS_REASON_BYTES]; /* "Completed", "Error", "OOMKilled", "StartError", … */
    char message[STATUS_MESSAGE_BYTES];
    char container_id[STATUS_ID_BYTES]; /* of that run; "": not known */
};

struct container_status {
    const char *name, *image;           /* as the Pod object has them */
    char image_id[80];                  /* digest of the image's manifest; "": not known yet */
    char container_id[STATUS_ID_BYTES]; /* "husk://UID/NAME/N"; "": it has never been made */
    enum restart_kind kind;
    enum container_phase phase;
    bool backs_off; /* terminated, and waits for its next run: told as waiting until the pod ends */
    char reason[STATUS_REASON_BYTES];   /* of waiting: "PodInitializing", "CrashLoopBackOff", … */
    char message[STATUS_MESSAGE_BYTES]; /* of waiting */
    uint64_t started_ns;                /* of this run */
    struct container_end end;           /* of this run, when it is terminated */
    struct container_end last;          /* of the run before */
    bool started; /* it runs, and its startup probe has succeeded or there is none */
    bool ready;
    unsigned restarts;
    bool done;               /* terminated for good: as its policy wants */
    const json_t *resources; /* of the Pod object, as they are now; NULL: none */
    char stop_signal[16];    /* "SIGTERM"; "": not known yet */
};

struct pod_status_input {
    const struct container_status *containers; /* init containers first, in the Pod's order */
    unsigned count;
    enum restart_policy policy;
    bool machine_ready;     /* it runs, with its network */
    bool initialized;       /* all init containers have done what they had to */
    bool ending;            /* nothing is started any more */
    bool ended;             /* nothing runs any more, nor will */
    const char *reason;     /* of the pod: "Evicted", "DeadlineExceeded", …; NULL or "" */
    const char *message;    /* likewise; with a reason an ended pod has failed */
    const char *qos_class;  /* "Guaranteed", "Burstable", "BestEffort" */
    const char *const *ips; /* the pod's, the first is podIP */
    unsigned ip_count;
    const char *host_ip; /* "" or NULL: none */
    uint64_t started_ns; /* since 1970: when its supervisor began */
    uint64_t now_ns;
    const json_t *before; /* the PodStatus before this one, for times of changes; may be NULL */
};

/* A new object, or NULL without memory. */
json_t *pod_status_json(const struct pod_status_input *input);

/* RFC 3339 with seconds, in UTC, as Kubernetes writes times. */
void pod_status_time(uint64_t ns, char text[32]);

#endif
