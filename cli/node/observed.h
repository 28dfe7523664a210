// SPDX-License-Identifier: Apache-2.0
/* The pods that there are, as the library lists them, in what the agent decides by. Pure. */
#ifndef HUSK_CLI_NODE_OBSERVED_H
#define HUSK_CLI_NODE_OBSERVED_H

#include <stdbool.h>
#include <stddef.h>

#include "husk/error.h"

enum pod_phase { PHASE_PENDING, PHASE_RUNNING, PHASE_SUCCEEDED, PHASE_FAILED, PHASE_UNKNOWN };
#define PHASES 5u

enum pod_restart { RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_NEVER };

struct observed_pod {
    char *name; /* as the library's calls take it: NAME, or NAMESPACE/NAME */
    char *uid;
    char *file; /* the base name of its manifest in the agent's directory; NULL: not the agent's */
    char *hash; /* of the description that it was made from; "" when it has none */
    char *reason, *message; /* of its status; "" */
    enum pod_phase phase;
    enum pod_restart restart;
    bool started;  /* a supervisor has had it */
    bool stopping; /* its end has begun */
    bool ready;
    unsigned containers_running;
    unsigned long long restarts; /* of its containers */
};

struct observed {
    struct observed_pod *pods; /* by name */
    size_t count;
};

/* `list` is a PodList; `directory` the agent's, absolute, without a slash at its end. -EBADMSG when
 * it is none; -ENOMEM. */
int observed_parse(const char *list, const char *directory, struct observed *out,
                   struct husk_error *err);
void observed_free(struct observed *observed);

const struct observed_pod *observed_find(const struct observed *observed, const char *name);

const char *phase_name(enum pod_phase phase);

static inline bool phase_has_ended(enum pod_phase phase)
{
    return phase == PHASE_SUCCEEDED || phase == PHASE_FAILED;
}

#endif
