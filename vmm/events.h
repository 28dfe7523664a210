// SPDX-License-Identifier: Apache-2.0
/*
 * The events of a VM on their way to the host program.
 *
 * Bounded without losing anything that matters: at most one event of each type waits, and of
 * devices that are gone, or wanted, the newest EVENT_REMOVALS_MAX each. A newer one takes the place
 * of an unread older one of its type, at the end of the queue, so that the order of what is left is
 * the order in which it last happened.
 *
 * Room for all of them is set aside at once, so that no event is lost for want of memory: 77 KiB of
 * pages, of which a VM that loses no devices touches the first only.
 *
 * Threads: any.
 */
#ifndef HUSK_VMM_EVENTS_H
#define HUSK_VMM_EVENTS_H

#include <pthread.h>

#include "husk/husk.h"

#define EVENT_REMOVALS_MAX 64u
/* Events of devices are the last types. */
#define EVENTS_MAX         (HUSK_EVENT_DEVICE_REMOVED + 2 * EVENT_REMOVALS_MAX)

struct event_queue {
    pthread_mutex_t lock;
    int fd;                    /* an eventfd, readable exactly while count > 0 */
    struct husk_event *events; /* EVENTS_MAX, oldest first */
    unsigned count;
};

/* Returns 0, -ENOMEM or -errno; event_queue_release() is due only after success. */
int event_queue_init(struct event_queue *queue);
void event_queue_release(struct event_queue *queue);

void event_queue_push(struct event_queue *queue, const struct husk_event *event);

/* Returns 1 with *out filled, 0 when none waits. */
int event_queue_pop(struct event_queue *queue, struct husk_event *out);

#endif
