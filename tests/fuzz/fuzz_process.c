// SPDX-License-Identifier: Apache-2.0
/*
 * What the process of a jailed VM may say to the library: its answers and its events, message by
 * message, each with its length before it. The first byte chooses the call that is answered.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "vmm/process/internal.h"

static void ignore(void *arg, enum log_level level, const char *line)
{
    for (; *line; line++) {
        if ((unsigned char)*line < 0x20)
            abort();
    }
}

static void send_messages(int fd, const uint8_t *data, size_t size)
{
    while (size >= 2) {
        size_t len = get_le16(data);

        data += 2;
        size -= 2;
        len = len < size ? len : size;
        if (send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return;
        data += len;
        size -= len;
    }
}

static void call(struct vm_process *process, uint8_t which)
{
    struct husk_drive_stats stats;
    struct husk_moment moments[8];
    struct husk_error err;

    switch (which % 5) {
    case 0:
        vm_process_pause(process, &err);
        break;
    case 1:
        if (vm_process_state(process) > HUSK_STATE_STOPPED)
            abort();
        break;
    case 2:
        if (vm_process_timeline(process, moments, 8) > 8)
            abort();
        break;
    case 3:
        vm_process_drive_stats(process, "drive1", &stats, &err);
        break;
    default:
        vm_process_shutdown(process, 1, &err);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct log log = {.sink = ignore, .level = LOG_LEVEL_DEBUG};
    struct vm_process *process;
    struct epoll_event watched = {.events = EPOLLIN};
    struct husk_event event;
    int control[2], events[2];

    if (size < 2)
        return 0;
    process = calloc(1, sizeof(*process));
    if (!process || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET, 0, events))
        abort();
    process->log = &log;
    process->control = control[0];
    process->events = events[0];
    process->epoll = epoll_create1(0);
    process->ended = true; /* there is no process to end */
    pthread_mutex_init(&process->request_lock, NULL);
    pthread_mutex_init(&process->events_lock, NULL);
    pthread_mutex_init(&process->end_lock, NULL);
    epoll_ctl(process->epoll, EPOLL_CTL_ADD, process->events, &watched);
    send_messages(control[1], data + 1, size - 1);
    send_messages(events[1], data + 1, size - 1);
    shutdown(control[1], SHUT_WR);
    close(events[1]);
    call(process, data[0]);
    for (unsigned i = 0; i < 100 && vm_process_next_event(process, &event); i++) {
        if (event.type > HUSK_EVENT_STOPPED || event.reason > HUSK_STOP_MONITOR_ERROR)
            abort();
    }
    close(control[1]);
    vm_process_free(process);
    return 0;
}
