// SPDX-License-Identifier: Apache-2.0
/* A jailed VM's process inside the library; private to vmm/process. */
#ifndef HUSK_VMM_PROCESS_INTERNAL_H
#define HUSK_VMM_PROCESS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/log.h"
#include "vmm/process/channel.h"
#include "vmm/process/client.h"
#include "vmm/process/limits.h"
#include "jail/spawn.h"

#define KERNEL_FORMAT_MAX 32u

struct process_limits;

struct vm_process {
    const struct log *log;
    struct process_limits *limits; /* or NULL */
    int control, events;
    int epoll; /* what the caller polls: `events` and the process, until the last event was fetched
                */
    pid_t pid;
    char kernel_format[KERNEL_FORMAT_MAX];
    bool kernel_is_linux;

    pthread_mutex_t request_lock; /* one request at a time; guards the next */
    struct message request;

    pthread_mutex_t events_lock; /* one reader of events at a time; guards the next three */
    struct message incoming;
    atomic_bool stopped_delivered; /* written under the lock, read by anybody */
    bool ready_delivered;

    atomic_uint pauses, resumes; /* asked for; of as many at most the process may tell */
    atomic_uint devices;         /* that it has and that can go; as above, their end */
    atomic_uint wants;           /* of them the host's own; as above, that the host wants them */

    pthread_mutex_t end_lock; /* guards the rest */
    struct child child;
    bool ended; /* reaped */
    char how[96];
};

/* ---- call.c ---- */

#define ANSWER_MS      10000
#define LONG_ANSWER_MS 30000 /* build, pause, and waiting for a disk */

struct call {
    struct vm_process *process;
    const char *what; /* for errors: "cannot pause the VM" */
    struct wire_writer out;
    struct wire_reader in; /* after call_finish(): what the reply holds beyond the result */
};

/* Takes request_lock; call_end() gives it back. Between them: fields to `out`, call_finish(),
 * fields from `in`, call_check(). */
void call_begin(struct call *call, struct vm_process *process, enum protocol_kind kind,
                const char *what);
void call_end(struct call *call);

/* Send, and wait for the answer. 0 with `in` at what it holds, or -errno with err filled:
 * -ETIMEDOUT when there was none. Anything but a proper answer ends the process. */
int call_finish(struct call *call, int timeout_ms, struct husk_error *err);

/* The answer held what it should, and nothing else; else the process is ended. */
int call_check(struct call *call, struct husk_error *err);

/* A request without fields, answered without any. */
int call_simply(struct vm_process *process, enum protocol_kind kind, const char *what,
                int timeout_ms, struct husk_error *err);

/* Make sure that the process is no more, after waiting for its own end for grace_ms. */
void process_end(struct vm_process *process, int grace_ms);

/* Whether it has ended by itself; does not wait. */
bool process_has_ended(struct vm_process *process);

/* Hands over what lines of log are left; events are forgotten. Nobody else reads any more. */
void process_drain_log(struct vm_process *process);

/* ---- client.c, client_raise.c ---- */

/* Raise the process's limits to what one more device of the host needs. */
int process_make_room(struct vm_process *process, const struct machine_config *machine,
                      enum husk_vfio_iommu iommu, struct husk_error *err);

/* Raise a soft limit (RLIMIT_*) to `needed`, and the hard one with it if it must be and may be;
 * else as far as that goes. Limits are never lowered. 0 or -errno with err filled. */
int process_raise(struct vm_process *process, int resource, uint64_t needed,
                  struct husk_error *err);

/* Fills err with the end of the process as the reason; returns -EPIPE. */
int process_gone(struct vm_process *process, const char *what, struct husk_error *err);

#endif
