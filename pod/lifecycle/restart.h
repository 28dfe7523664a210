// SPDX-License-Identifier: Apache-2.0
/* What follows when a container of a pod has ended: Kubernetes' rules of restartPolicy. Pure. */
#ifndef HUSK_POD_LIFECYCLE_RESTART_H
#define HUSK_POD_LIFECYCLE_RESTART_H

#include <stdbool.h>

enum restart_policy { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };

/* "Always" (also for NULL), "OnFailure", "Never". */
enum restart_policy restart_policy_of(const char *text);

enum restart_kind {
    RESTART_INIT,    /* has to succeed before the next one */
    RESTART_SIDECAR, /* an init container that lives on: restarted always, until the pod ends */
    RESTART_MAIN,
};

enum restart_verdict {
    RESTART_AGAIN,
    RESTART_DONE,  /* it has ended for good */
    RESTART_FATAL, /* the pod fails: an init container that is not run again */
};

/* `exit_code` of a container that ended by itself, or that a probe had ended (`probed`: a failure
 * in any case). */
enum restart_verdict restart_decide(enum restart_policy policy, enum restart_kind kind,
                                    int exit_code, bool probed);

#endif
