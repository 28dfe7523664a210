// SPDX-License-Identifier: Apache-2.0
/*
 * husk-vmm's control thread, which is its main thread: takes requests one by one, and forwards the
 * machine's events. See protocol.h for the order in which things happen.
 *
 * The events socket never blocks: while it is full, one event waits here and the others in the
 * machine's queue; a line of log that does not fit is dropped and counted.
 */
#include "vmm/process/server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "vmm/process/server_internal.h"

/* ---- log ---- */

static bool send_line(struct server *server, enum log_level level, const char *line)
{
    uint8_t bytes[600];
    struct wire_writer writer;

    wire_writer_init(&writer, bytes, sizeof(bytes));
    wire_put_u8(&writer, PROTOCOL_LOG);
    wire_put_u8(&writer, (uint8_t)level);
    wire_put_string(&writer, line);
    /* write(), because every thread may: the socket does not block, and SIGPIPE is blocked. */
    return !writer.bad && write(server->events, bytes, wire_written(&writer)) > 0;
}

static void on_log(void *arg, enum log_level level, const char *line)
{
    struct server *server = arg;
    unsigned lost = atomic_load(&server->lost_lines);

    if (lost > 0) {
        char note[64];

        snprintf(note, sizeof(note), "log: %u lines were lost: nobody read them", lost);
        if (send_line(server, LOG_LEVEL_WARN, note))
            atomic_fetch_sub(&server->lost_lines, lost);
    }
    if (!send_line(server, level, line))
        atomic_fetch_add(&server->lost_lines, 1);
}

/* ---- the loop ---- */

/* What goes into the reply is written beside the request, whose strings may be in use. */
static int reply(struct server *server, int result, const struct husk_error *err,
                 const struct wire_writer *fields)
{
    struct wire_writer writer;

    message_release(&server->message);
    message_begin(&server->message, &writer, PROTOCOL_REPLY);
    wire_put_u32(&writer, (uint32_t)result);
    if (result)
        wire_put_error(&writer, err);
    else if (wire_written(fields) <= (size_t)(writer.end - writer.at)) {
        memcpy(writer.at, fields->start, wire_written(fields));
        writer.at += wire_written(fields);
    }
    return message_send(server->control, &server->message, &writer, -1);
}

static int serve_request(struct server *server)
{
    uint8_t bytes[1024];
    struct husk_error err = {0};
    struct wire_writer fields;
    struct wire_reader in;
    int kind = message_receive(server->control, &server->message, &in, 0);
    int ret;

    if (kind == -ETIMEDOUT)
        return 0;
    if (kind <= 0) {
        server->finished = true; /* the library has gone */
        return kind;
    }
    wire_writer_init(&fields, bytes, sizeof(bytes));
    if ((unsigned)kind >= request_count || !requests[kind].run)
        ret = request_refused(&err, EPROTO);
    else if (requests[kind].needs_machine && !server->machine)
        ret = request_out_of_order(&err);
    else
        ret = requests[kind].run(server, &in, &fields, &err);
    if (!ret && fields.bad)
        ret = request_refused(&err, E2BIG);
    return reply(server, ret, &err, &fields);
}

/* An error and a device, of which an event has one at most. */
static void put_details(struct wire_writer *writer, const struct husk_event *event)
{
    const struct husk_error none = {0};
    bool device = event->type >= HUSK_EVENT_DEVICE_REMOVED;

    wire_put_error(writer, device ? &none : &event->error);
    wire_put_u8(writer, device ? (uint8_t)event->device.kind : 0);
    wire_put_string(writer, device ? event->device.id : "");
}

/* Sends what waits and what comes after it, as far as the socket takes it. */
static void forward_events(struct server *server)
{
    while (server->event_waits ||
           (server->machine && event_queue_pop(&server->machine->events, &server->event) == 1)) {
        uint8_t bytes[sizeof(struct husk_event) + 64];
        struct wire_writer writer;
        ssize_t sent;

        server->event_waits = true;
        wire_writer_init(&writer, bytes, sizeof(bytes));
        wire_put_u8(&writer, PROTOCOL_EVENT);
        wire_put_u8(&writer, (uint8_t)server->event.type);
        wire_put_u8(&writer, (uint8_t)server->event.reason);
        wire_put_u8(&writer, server->event.guest_status);
        put_details(&writer, &server->event);
        sent = write(server->events, bytes, wire_written(&writer));
        if (sent < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        server->event_waits = false; /* or nobody is left to hear it */
    }
}

/* Somebody asks the process itself to end. */
static void take_signal(struct server *server)
{
    struct signalfd_siginfo info;

    if (read(server->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (server->machine)
        machine_stop(server->machine, HUSK_STOP_HOST_REQUEST, 0, NULL);
    else
        server->finished = true;
}

static int serve_once(struct server *server)
{
    struct pollfd fds[] = {
        {.fd = server->control, .events = POLLIN},
        {.fd = server->signal_fd, .events = POLLIN},
        {.fd = server->event_waits ? server->events : -1, .events = POLLOUT},
        {.fd = server->machine && !server->event_waits ? server->machine->events.fd : -1,
         .events = POLLIN},
    };

    if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
        return errno == EINTR ? 0 : -errno;
    if (fds[1].revents)
        take_signal(server);
    if (fds[2].revents || fds[3].revents)
        forward_events(server);
    return fds[0].revents ? serve_request(server) : 0;
}

/* All signals are blocked; those that ask for the end are read. */
static int open_signals(void)
{
    sigset_t set;

    sigfillset(&set);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGFPE);
    sigdelset(&set, SIGSYS);
    if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
        return -errno;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int process_serve(int control_fd, int events_fd)
{
    struct server *server = calloc(1, sizeof(*server));
    int ret = 0;

    if (!server)
        return -ENOMEM;
    server->control = control_fd;
    server->events = events_fd;
    server->log = (struct log){.sink = on_log, .sink_arg = server, .level = LOG_LEVEL_WARN};
    pthread_mutex_init(&server->config.devices_lock, NULL);
    server->config.kvm_fd = server->config.kernel.fd = server->config.initrd.fd = -1;
    server->config.console_in_fd = server->config.console_out_fd = -1;
    server->signal_fd = open_signals();
    if (server->signal_fd < 0)
        ret = -errno;
    server->first_free_fd = server->signal_fd + 1;
    server->config.vsock.listen_fd = server->config.vfio_iommu_fd = -1;
    while (!ret && !server->finished)
        ret = serve_once(server);
    machine_destroy(server->machine);
    close_fd(&server->config.console_in_fd);
    close_fd(&server->config.console_out_fd);
    machine_config_release(&server->config);
    close_fd(&server->signal_fd);
    free(server);
    return ret;
}
