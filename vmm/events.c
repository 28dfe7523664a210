// SPDX-License-Identifier: Apache-2.0
/* The queue of events: see events.h. */
#include "vmm/events.h"

#include <errno.h>
#include <string.h>

#include "base/io.h"
#include "base/pages.h"

#define EVENTS_BYTES (EVENTS_MAX * sizeof(struct husk_event))

int event_queue_init(struct event_queue *queue)
{
    memset(queue, 0, sizeof(*queue));
    queue->fd = eventfd_open();
    if (queue->fd < 0)
        return queue->fd;
    queue->events = pages_alloc(EVENTS_BYTES);
    if (!queue->events) {
        close_fd(&queue->fd);
        return -ENOMEM;
    }
    pthread_mutex_init(&queue->lock, NULL);
    return 0;
}

void event_queue_release(struct event_queue *queue)
{
    close_fd(&queue->fd);
    pages_free(queue->events, EVENTS_BYTES);
    queue->events = NULL;
    pthread_mutex_destroy(&queue->lock);
}

static void remove_at(struct event_queue *queue, unsigned index)
{
    queue->count--;
    memmove(&queue->events[index], &queue->events[index + 1],
            (queue->count - index) * sizeof(queue->events[0]));
}

/* Make room for one of this type: its oldest goes when there are as many as can be. */
static void make_room(struct event_queue *queue, enum husk_event_type type)
{
    unsigned most = type >= HUSK_EVENT_DEVICE_REMOVED ? EVENT_REMOVALS_MAX : 1;
    unsigned count = 0, oldest = 0;

    for (unsigned i = queue->count; i-- > 0;) {
        if (queue->events[i].type != type)
            continue;
        count++;
        oldest = i;
    }
    if (count >= most)
        remove_at(queue, oldest);
}

void event_queue_push(struct event_queue *queue, const struct husk_event *event)
{
    pthread_mutex_lock(&queue->lock);
    make_room(queue, event->type);
    queue->events[queue->count++] = *event;
    eventfd_signal(queue->fd);
    pthread_mutex_unlock(&queue->lock);
}

int event_queue_pop(struct event_queue *queue, struct husk_event *out)
{
    int ret = 0;

    pthread_mutex_lock(&queue->lock);
    if (queue->count > 0) {
        *out = queue->events[0];
        remove_at(queue, 0);
        if (queue->count == 0)
            eventfd_drain(queue->fd);
        ret = 1;
    }
    pthread_mutex_unlock(&queue->lock);
    return ret;
}
