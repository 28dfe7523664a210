// SPDX-License-Identifier: Apache-2.0
/*
 * One container's supervisor, as its files see it. Everything happens on the loop's thread.
 *
 *     BOOTING    the machine runs, its agent is awaited                        life.c
 *     PREPARING  volumes, files, the container in the guest, its streams       prepare.c
 *     READY      the container is there; "start" has not been asked            life.c
 *     STARTING   the agent was asked
 *     RUNNING    (paused too)
 *     DRAINING   its process has ended; the last output is on its way
 *     POWER_OFF  the guest shuts down                                          ending.c
 *     OVER       the machine is gone; records and answers
 *
 * The phase only goes forward; whatever fails leads to POWER_OFF. What is known of the process's
 * end is recorded as soon as it is known.
 */
#ifndef HUSK_POD_SUPERVISOR_SUPERVISOR_H
#define HUSK_POD_SUPERVISOR_SUPERVISOR_H

#include "base/log.h"
#include "pod/agent/client.h"
#include "pod/control/process.h"
#include "pod/control/status.h"
#include "pod/control/waiters.h"
#include "pod/spec/spec.h"
#include "pod/stdio/exec.h"
#include "pod/stdio/hub.h"
#include "pod/vm/machine.h"
#include "pod/supervisor/containers.h"
#include "pod/supervisor/protocol.h"

enum phase {
    PHASE_BOOTING,
    PHASE_PREPARING,
    PHASE_READY,
    PHASE_STARTING,
    PHASE_RUNNING,
    PHASE_DRAINING,
    PHASE_POWER_OFF,
    PHASE_OVER,
};

#define MS_NS UINT64_C(1000000)

struct prepare; /* prepare.c */

struct supervisor {
    struct event_loop *loop;
    const struct log *log;
    const struct machine_ops *ops;
    struct entry *container;
    struct container_spec record;
    struct spec spec; /* of the record */
    struct container_state state;
    enum phase phase;

    int first;     /* the first client, until it is served */
    int signal_fd; /* SIGTERM, SIGINT */
    struct event_source *signal_source;

    struct machine_host host;
    struct machine *machine;
    struct machine_plan plan;
    struct agent_client *agent;
    struct prepare *prepare;
    struct log_file *log_file;
    struct hub *hub;
    struct server *server;
    struct exec_set processes; /* of "exec" and of archives */

    bool start_asked;
    struct husk_error failure; /* why it did not come to the program's start; code 0: nothing yet */
    struct husk_error lost; /* the agent has gone, and the machine says nothing yet; code 0: no */
    uint8_t lost_status;
    bool ended_early; /* its end was told before the answer to "start", which says more */
    struct agent_exit early;
    struct ticket start;    /* who asked */
    struct waiters waiters; /* of "wait" and "stop" for the container */
    bool stop_asked;
    bool mounted; /* the guest may have mounted the scratch disk, and not yet written it back */
    bool cut_off; /* the machine was ended by force */
    bool torn_down, finished;       /* steps of OVER: nothing is left; the answers are given */
    bool record_failed;             /* the end could not be written down */
    uint64_t leave_at_ns;           /* when clients that do not read are not waited for any more */
    uint64_t kill_at_ns;            /* of a stop; 0: none */
    unsigned last_resort;           /* how often a stop has not helped */
    struct event_timer *stop_timer; /* the grace of a stop */
    struct event_timer *timeout_timer; /* of the record */
    struct event_timer *phase_timer;   /* how long DRAINING, POWER_OFF, OVER and `lost` last */
    struct event_timer *save_timer;    /* the record could not be written */
    unsigned save_failures;
    bool save_soon; /* within the time of that timer */
};

/* life.c: from the machine's start to the program's. */
int life_begin(struct supervisor *s, struct husk_error *err);
void life_prepared(struct supervisor *s);
void life_start(struct supervisor *s, struct ticket ticket);
/* husk failed: the container ends with this status, if it has none yet, and the error. */
void life_fail(struct supervisor *s, const struct husk_error *error, uint8_t status);
/* It failed for want of the agent, and the machine has not said why. */
void life_lost(struct supervisor *s);
/* Nobody is told any more that "start" worked. */
void life_refuse_start(struct supervisor *s, const struct husk_error *error, uint8_t status);

/* boot.c: starts the machine of the record; s->machine and s->plan are there then. */
int boot_machine(struct supervisor *s, struct husk_error *err);

/* prepare.c: what is asked of the agent before the start. Calls life_prepared() or life_fail(). */
int prepare_begin(struct supervisor *s);
void prepare_destroy(struct supervisor *s);

/* stop.c. Before stop_create(), which makes its timers, nothing may be asked. */
int stop_create(struct supervisor *s);
void stop_begin(struct supervisor *s, int signal, uint64_t grace_ms);
void stop_timeout_arm(struct supervisor *s);

/* ending.c: from the process's end to the supervisor's. */
void ending_exited(struct supervisor *s, const struct agent_exit *exit);
void ending_drained(void *arg);
void ending_power_off(struct supervisor *s);
void ending_machine_stopped(void *arg, const char *why);
void ending_timer(void *arg);
/* There is nothing (any more) to be turned off. */
void ending_over(struct supervisor *s);
json_t *ending_exit_json(const struct supervisor *s);

/* state.c: the record. Changes are told and written; what cannot be written is tried again. */
void state_changed(struct supervisor *s);
int state_save(struct supervisor *s);
/* Within a second, however often it is called. */
void state_save_soon(struct supervisor *s);
void state_save_again(void *arg);
void state_set_error(struct supervisor *s, const char *text);
json_t *state_json(struct supervisor *s);

/* requests.c */
void requests_handle(void *arg, struct ticket ticket, const char *method, const json_t *params);
void requests_closed(void *arg, uint64_t connection, unsigned left);
/* Passes a request on to the agent, with "container" added; steals params (NULL: no memory). The
 * answer goes to the ticket as it is. */
void requests_forward(struct supervisor *s, struct ticket ticket, const char *method,
                      json_t *params);

#endif
