// SPDX-License-Identifier: Apache-2.0
/*
 * One container of a pod, run after run.
 *
 *     IDLE       there is none in the guest; maybe it is started again after a while
 *     MAKING     what precedes it, "create", its streams
 *     STARTING   the agent was asked for "start"
 *     RUNNING    its program runs
 *     STOPPING   it is to end: preStop, its stop signal, SIGKILL
 *     DRAINING   its process has ended; the last output is on its way
 *     CLEANING   its termination message, "delete", what follows it
 *
 * Who has it decides what to do in IDLE: flow.c.
 */
#ifndef HUSK_POD_PODS_CONTAINER_H
#define HUSK_POD_PODS_CONTAINER_H

#include "pod/agent/client.h"
#include "pod/lifecycle/backoff.h"
#include "pod/lifecycle/probe.h"
#include "pod/lifecycle/status.h"
#include "pod/plan/plan.h"
#include "pod/pods/asking.h"
#include "pod/stdio/exec.h"
#include "pod/stdio/hub.h"

struct pod;
struct task;

enum container_step {
    STEP_IDLE,
    STEP_MAKING,
    STEP_STARTING,
    STEP_RUNNING,
    STEP_STOPPING,
    STEP_DRAINING,
    STEP_CLEANING,
};

struct container_stream {
    struct container *container;
    enum hub_stream stream;
    struct agent_dial *dial;
};

struct container {
    struct pod *pod;
    unsigned index;                     /* in the plan */
    json_t *object;                     /* its part of the Pod object; a reference of its own */
    char name[HUSK_AGENT_NAME_MAX + 1]; /* what all others point to as its name */
    enum restart_kind kind;
    enum container_step step;
    struct container_status status;
    unsigned run; /* the number of this run or, when idle, of the next: of its log, too */
    bool made;    /* the agent has it */

    struct asking asking;
    struct container_stream streams[HUB_STREAMS];
    unsigned dialing;
    int logs; /* the directory of its logs */
    struct log_file *log_file;
    struct hub *hub;
    struct exec_set processes;
    LIST_HEAD(task_list, task) tasks;
    unsigned next_task;
    struct action_host task_host; /* for hooks and probes */

    struct event_timer *step_timer; /* DRAINING; of a stop; the back-off when idle */
    struct backoff backoff;
    uint64_t ran_since_ns; /* monotonic; of this run */
    bool waiting;          /* idle, until the back-off is over */
    bool settled;          /* what follows its last run is decided */

    bool ended_early; /* its end was told before the answer to "start" */
    struct agent_exit exit;
    bool lost;                 /* its machine is gone */
    struct husk_error failure; /* of this run, before its program ran */

    bool probed; /* a probe or a hook has ended it: a failure in any case */
    bool signalled, killed;
    bool held;           /* its preStop hook has begun, and its signal waits for its turn */
    uint64_t kill_at_ns; /* monotonic; of a stop */
    struct action *hook; /* postStart or preStop */
    bool post_start_over;
    struct probe *probes[3];
    bool startup_passed;
};

/* Everything but what a run has. The plan has to be there. 0 or -errno. */
int container_init(struct pod *pod, struct container *container, unsigned index);
void container_destroy(struct container *container);

/* Starts a run. For one that is idle. */
void container_begin(struct container *container);
/* Begins its end, with at most grace_ms for hook and signal; an earlier end counts. 0: it is killed
 * at once. */
void container_stop(struct container *container, uint64_t grace_ms);
/* Only its preStop hook, if it has one: its signal comes with container_stop(), or when grace_ms
 * are over. */
void container_stop_soon(struct container *container, uint64_t grace_ms);
/* The machine is gone. The agent's client is being closed, or was. */
void container_lost(struct container *container, const char *reason, const char *message);

/* The Pod object is another one, with the same containers. */
void container_reread(struct container *container);

/* Whether there is something of it in the guest, or on its way. */
bool container_is_busy(const struct container *container);
const struct plan_container *container_plan(const struct container *container);

/* container_end.c: from the end of its process to IDLE. */
void container_exited(struct container *container, const struct agent_exit *exit);
void container_failed(struct container *container, const struct husk_error *error);
void container_drained(void *arg);
void container_drain_late(struct container *container);

/* container_watch.c: hooks and probes of the run. */
void container_watch_begin(struct container *container);
void container_watch_end(struct container *container);
bool container_has_pre_stop(const struct container *container);
/* Runs preStop, then calls container_signal(). */
void container_pre_stop(struct container *container);
/* The probes begin: it has started. */
void container_probe(struct container *container);

/* container_stop.c */
void container_signal(struct container *container);
void container_kill(struct container *container);
void container_stop_timer(struct container *container);

/* container_log.c: the directory of its logs, and the number of the next run, which is one more
 * than that of the newest log. 0 or -errno. */
int container_log_directory(struct container *container);
/* Makes the log of this run, and removes those of old ones. */
int container_log_begin(struct container *container);
/* The last lines of the log of this run: at most `size` - 1 bytes and 80 lines. */
void container_log_tail(struct container *container, char *text, size_t size);

/* How long a termination message may be: all of the pod have 12 KiB together, as kubelets have it.
 */
size_t container_message_max(const struct container *container);

#endif
