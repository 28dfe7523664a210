// SPDX-License-Identifier: Apache-2.0
/*
 * Work that takes its time, in a process of its own: it sees the agent's memory as it was, and says
 * what came of it as one JSON object. The agent goes on meanwhile. What it reads may be hostile; it
 * cannot hold up more than its own request, and not for longer than its patience.
 */
#ifndef HUSK_GUEST_AGENT_JOB_H
#define HUSK_GUEST_AGENT_JOB_H

#include "guest/agent/request.h"

#define JOBS_MAX       16
#define JOB_ANSWER_MAX (768u << 10) /* bytes, below what fits into a frame */

/* In the process, of whose descriptors but standard error `fd` is the only one: fill the result, an
 * empty object. 0, or -errno with the error filled. */
typedef int (*job_fn)(int fd, const void *arg, json_t *result, struct husk_error *err);

struct job_order {
    const char *subject; /* what errors name */
    unsigned patience_ms;
    job_fn fn;
    int fd; /* for fn; stays the caller's */
    const void *arg;
};

/* Begin; the request will be answered with what fn says, or "failed" when it takes too long. */
int job_begin(struct request *request, const struct job_order *order, struct husk_error *err);

/* They are killed, and not answered. */
void job_end_all(struct agent *agent);

#endif
