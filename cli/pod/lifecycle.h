// SPDX-License-Identifier: Apache-2.0
/* Ending containers, for more than one command. */
#ifndef HUSK_CLI_POD_LIFECYCLE_H
#define HUSK_CLI_POD_LIFECYCLE_H

#include "cli/pod/pod.h"

struct stop_wishes {
    int64_t grace_s; /* -1: the record's */
    int signal;      /* 0: the record's */
};

#define STOP_WISHES_INIT \
    {                    \
        .grace_s = -1    \
    }

/* As `husk stop`; returns when all is over. One that has ended already is fine. */
int stop_container(struct pod_target *target, const struct stop_wishes *wishes,
                   struct husk_error *err);

#endif
