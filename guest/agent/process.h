// SPDX-License-Identifier: Apache-2.0
/* One process of a container: how it starts, its streams, how it ends. */
#ifndef HUSK_GUEST_AGENT_PROCESS_H
#define HUSK_GUEST_AGENT_PROCESS_H

#include "guest/agent/container.h"

/* One that does not run yet, with its streams, at the end of the container's list. The child's ends
 * go to the launch, and are closed when it has them (process_close_theirs()). */
int process_make(struct container *container, const char *name, struct launch *launch,
                 bool with_stdin, struct process **out, struct husk_error *err);
void process_close_theirs(struct launch *launch);

/* On its way (starting.h). */
bool process_is_busy(const struct process *process);

/* It has been reaped: tell everybody. */
void process_end(struct process *process, int wait_status);

/* Take it out of the list and free it, with its streams; waits for it are answered with an error.
 * Its pid, if it has not ended, is reaped by whoever reaps strangers. */
void process_discard(struct process *process);

/* Answer when it has ended, maybe now. */
int process_wait(struct process *process, struct connection *connection, int64_t id,
                 struct husk_error *err);
void process_forget_waits(struct process *process, const struct connection *connection);

/* -ESRCH when it has ended. */
int process_signal(struct process *process, int signal);

#endif
