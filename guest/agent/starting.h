// SPDX-License-Identifier: Apache-2.0
/*
 * Processes on their way (launch.h), while the agent does other things. Each is of a request, which
 * is answered at the end of the step that it asked for:
 *
 *     "create"                   begin -> preparing -> ready: "created"
 *     "start"                            (ready)    -> going -> executing: "running"
 *     "exec", "archive.*"        begin -> preparing -> going -> executing
 *
 * Each step has STARTING_PATIENCE_MS, preparing STARTING_FILL_PATIENCE_MS where volumes are filled.
 * What fails leaves no process, but for "start", whose container ends then; and no container, if it
 * is "create". A process that is on its way and dies is reaped by the way of starting_reap().
 */
#ifndef HUSK_GUEST_AGENT_STARTING_H
#define HUSK_GUEST_AGENT_STARTING_H

#include "guest/agent/container.h"
#include "guest/agent/request.h"

#define STARTING_PATIENCE_MS      10000
#define STARTING_FILL_PATIENCE_MS 120000

struct starting;

/* What an exec brings and has to live until it is over. */
struct starting_own {
    struct oci_process process;
    json_t *document;
};

/*
 * Make a process in the container (process.h) and begin; `own` (NULL for the others) is copied when
 * it succeeds, and freed at the end. When this fails, nothing is left but the container.
 */
int starting_begin(struct request *request, struct container *container, const char *name,
                   struct launch *launch, bool with_stdin, const struct starting_own *own,
                   struct husk_error *err);

/* The first process of a container that is created. */
int starting_go(struct request *request, struct container *container, struct husk_error *err);

/* The process has died. False: it is gone for good; else its end is to be told. */
bool starting_reap(struct starting *starting);

/* The process is discarded: its request is refused, and it is killed. NULL is fine. */
void starting_break_off(struct starting *starting);

#endif
