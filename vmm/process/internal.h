// SPDX-License-Identifier: Apache-2.0
/* A jailed VM's process inside the library; private to vmm/process. */
#ifndef HUSK_VMM_PROCESS_INTERNAL_H
#define HUSK_VMM_PROCESS_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include "base/log.h"
#include "vmm/process/channel.h"
#include "vmm/process/client.h"
#include "vmm/process/spawn.h"

#define KERNEL_FORMAT_MAX 32u

struct vm_process {
    const struct log *log;
    int control, events;
    int epoll; /* what the caller polls: `events`, until the last event was fetched */
    pid_t pid;
    char kernel_format[KERNEL_FORMAT_MAX];
    bool kernel_is_linux;

    pthread_mutex_t request_lock; /* one request at a time; guards the next */
    struct message request;

    pthread_mutex_t events_lock; /* one reader of events at a time; guards the next two */
    struct message incoming;
    bool stopped_delivered;

    pthread_mutex_t end_lock; /* guards the rest */
    struct child child;
    bool ended; /* reaped */
    char how[96];
};

/* Make sure that the process is no more, after waiting for its own end for grace_ms. */
void process_end(struct vm_process *process, int grace_ms);

/* Whether it has ended by itself; does not wait. */
bool process_has_ended(struct vm_process *process);

/* Hands over what lines of log are left; events are forgotten. Nobody else reads any more. */
void process_drain_log(struct vm_process *process);

/* Fills err with the end of the process as the reason; returns -EPIPE. */
int process_gone(struct vm_process *process, const char *what, struct husk_error *err);

#endif
