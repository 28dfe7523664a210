// SPDX-License-Identifier: Apache-2.0
/*
 * Events and lines of log from the process of a jailed VM. The last event is that it stopped: the
 * process says so, or its unexpected end does.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "vmm/process/internal.h"

#define LINE_MAX_BYTES   512u
#define LINES_AT_THE_END 4096
#define LINES_PER_CALL   64 /* a process that floods the log must not keep its caller */

static bool parse_event(struct wire_reader *reader, struct husk_event *event)
{
    uint8_t type = wire_get_u8(reader);
    uint8_t reason = wire_get_u8(reader);
    struct husk_error error;
    uint8_t kind;
    char id[sizeof(event->device.id)];

    *event = (struct husk_event){.guest_status = wire_get_u8(reader)};
    wire_get_error(reader, &error);
    kind = wire_get_u8(reader);
    wire_get_text(reader, id, sizeof(id));
    if (!wire_complete(reader) || type > HUSK_EVENT_DEVICE_WANTED ||
        reason > HUSK_STOP_MONITOR_ERROR || kind > HUSK_DEVICE_VFIO ||
        (type == HUSK_EVENT_STOPPED) != (reason != HUSK_STOP_NONE))
        return false;
    event->type = type;
    event->reason = reason;
    if (reason == HUSK_STOP_MONITOR_ERROR)
        event->error = error;
    if (type >= HUSK_EVENT_DEVICE_REMOVED) {
        event->device.kind = kind;
        memcpy(event->device.id, id, sizeof(id));
    }
    return true;
}

static bool take_one_of(atomic_uint *count)
{
    if (atomic_load(count) == 0)
        return false;
    atomic_fetch_sub(count, 1); /* by the one reader only */
    return true;
}

/*
 * Whether it can have happened: the guest is ready once, pauses and goes on when it is told to, and
 * loses no more devices than it had; the host wants each of its own back once.
 * Events without end would keep a caller who fetches until there are none, and all its other VMs.
 */
static bool is_due(struct vm_process *process, const struct husk_event *event)
{
    bool ready = process->ready_delivered;

    switch (event->type) {
    case HUSK_EVENT_READY:
        process->ready_delivered = true;
        return !ready;
    case HUSK_EVENT_PAUSED:
        return take_one_of(&process->pauses);
    case HUSK_EVENT_RESUMED:
        return take_one_of(&process->resumes);
    case HUSK_EVENT_DEVICE_REMOVED:
        return take_one_of(&process->devices);
    case HUSK_EVENT_DEVICE_WANTED:
        return take_one_of(&process->wants);
    case HUSK_EVENT_STOPPED:
        break;
    }
    return true;
}

static void pass_on_line(const struct vm_process *process, struct wire_reader *reader)
{
    const struct log *log = process->log;
    uint8_t level = wire_get_u8(reader);
    char line[LINE_MAX_BYTES];

    wire_get_text(reader, line, sizeof(line));
    if (wire_complete(reader) && log->sink && level <= log->level)
        log->sink(log->sink_arg, level, line);
}

/* The process ended and had not said that the VM stopped. */
static int report_end(struct vm_process *process, struct husk_event *event)
{
    process_end(process, 1000);
    *event = (struct husk_event){.type = HUSK_EVENT_STOPPED, .reason = HUSK_STOP_MONITOR_ERROR};
    process_gone(process, "the VM ended", &event->error);
    return 1;
}

/* One message: 1 with *event filled, 0 for a line of log, -EAGAIN when there is nothing. */
static int take_one(struct vm_process *process, struct husk_event *event)
{
    struct wire_reader reader;
    int kind = message_receive_plain(process->events, &process->incoming, &reader, 0);

    if (kind == -ETIMEDOUT) /* or it ended just now: then what it sent last is there, or the end */
        return process_has_ended(process) ? 0 : -EAGAIN;
    if (kind == PROTOCOL_LOG) {
        pass_on_line(process, &reader);
        return 0;
    }
    if (kind == PROTOCOL_EVENT && parse_event(&reader, event) && is_due(process, event))
        return 1;
    return report_end(process, event);
}

void process_drain_log(struct vm_process *process)
{
    struct wire_reader reader;

    for (unsigned lines = 0; process->events >= 0 && lines < LINES_AT_THE_END; lines++) {
        int kind = message_receive_plain(process->events, &process->incoming, &reader, 0);

        if (kind <= 0)
            return;
        if (kind == PROTOCOL_LOG)
            pass_on_line(process, &reader);
    }
}

int vm_process_event_fd(const struct vm_process *process)
{
    return process->epoll;
}

/* Whoever polls must not be woken by the end of the process as well. */
static void stop_watching(struct vm_process *process)
{
    epoll_ctl(process->epoll, EPOLL_CTL_DEL, process->events, NULL);
    pthread_mutex_lock(&process->end_lock);
    if (!process->ended)
        epoll_ctl(process->epoll, EPOLL_CTL_DEL, process->child.pidfd, NULL);
    pthread_mutex_unlock(&process->end_lock);
}

int vm_process_next_event(struct vm_process *process, struct husk_event *event)
{
    int ret = 0;

    pthread_mutex_lock(&process->events_lock);
    for (unsigned lines = 0; !ret && !process->stopped_delivered && lines < LINES_PER_CALL; lines++)
        ret = take_one(process, event);
    if (ret == 1 && event->type == HUSK_EVENT_STOPPED) {
        process->stopped_delivered = true;
        stop_watching(process);
    }
    pthread_mutex_unlock(&process->events_lock);
    return ret == 1;
}
