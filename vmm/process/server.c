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
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "base/log.h"
#include "jail/jail.h"
#include "jail/seccomp.h"
#include "vmm/machine.h"
#include "vmm/process/channel.h"
#include "vmm/process/config_wire.h"

#define CANNOT_BUILD "cannot build the VM"

struct server {
    int control, events;
    int signal_fd;
    struct log log;
    atomic_uint lost_lines;
    int first_free_fd; /* none of ours is above */
    bool jailed;
    bool confined; /* under the last filter */
    struct machine_config config;
    struct machine *machine; /* NULL until BUILD */
    bool finished;
    bool event_waits;
    struct husk_event event;
    struct message message; /* the request, then its reply */
};

/* One request: fields from `in`, on success fields to `out`. 0 or -errno with err filled. */
typedef int (*request_fn)(struct server *server, struct wire_reader *in, struct wire_writer *out,
                          struct husk_error *err);

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

/* ---- setting up ---- */

static int wrong_order(struct husk_error *err)
{
    return error_set(err, EINVAL, "husk-vmm", "cannot serve the request", "it is out of order");
}

static int bad_request(struct husk_error *err, int code)
{
    return error_set(err, code, "husk-vmm", "cannot serve the request", NULL);
}

/* One line for all, for they have one reason: what this host permits. */
static void tell_gaps(const struct server *server, const struct jail_report *report)
{
    char list[300] = "";
    size_t used = 0;

    for (unsigned i = 0; i < report->count && used < sizeof(list); i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s (%s)", i ? ", " : "",
                                 report->gaps[i].wall, error_text(report->gaps[i].error));
    if (report->count > 0)
        log_warn(&server->log, "jail", "this host does not permit: %s", list);
}

static int on_hello(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    const char *version = wire_get_string(in);
    uint32_t level = wire_get_u32(in);
    struct jail_plan plan = {.first_free_fd = server->first_free_fd};
    struct jail_report report;
    int ret = 0;

    plan.namespaces = wire_get_u32(in);
    plan.uid = wire_get_u32(in);
    plan.gid = wire_get_u32(in);
    plan.strict = wire_get_u8(in) != 0;
    plan.nofile = wire_get_u32(in);
    plan.vsock_dir_fd = message_take_fd(&server->message, in);
    if (!wire_complete(in) || !version || level > LOG_LEVEL_DEBUG || server->jailed)
        ret = bad_request(err, EPROTO);
    else if (strcmp(version, HUSK_VERSION) != 0)
        ret = error_set(err, EPROTO, "husk-vmm", CANNOT_BUILD,
                        "it is of version " HUSK_VERSION ", the library of version %s", version);
    if (ret) {
        close_fd(&plan.vsock_dir_fd);
        return ret;
    }
    server->log.level = level;
    ret = jail_enter(&plan, &report, err);
    if (ret)
        return ret;
    server->jailed = true;
    tell_gaps(server, &report);
    ret = seccomp_install(SECCOMP_BUILD);
    return ret ? error_set(err, -ret, "seccomp", "cannot put up the wall", NULL) : 0;
}

static int on_vm(struct server *server, struct wire_reader *in, struct wire_writer *out,
                 struct husk_error *err)
{
    int ret;

    if (!server->jailed || server->machine || server->config.command_line)
        return wrong_order(err);
    ret = config_get_vm(&server->message, in, &server->config);
    return ret ? bad_request(err, -ret) : 0;
}

static int on_drive(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    int ret;

    if (server->machine)
        return wrong_order(err);
    ret = config_get_drive(&server->message, in, &server->config);
    return ret ? bad_request(err, -ret) : 0;
}

static int on_net(struct server *server, struct wire_reader *in, struct wire_writer *out,
                  struct husk_error *err)
{
    int ret;

    if (server->machine)
        return wrong_order(err);
    ret = config_get_net(&server->message, in, &server->config);
    return ret ? bad_request(err, -ret) : 0;
}

static int on_vsock(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    int ret;

    if (server->machine)
        return wrong_order(err);
    ret = config_get_vsock(&server->message, in, &server->config);
    return ret ? bad_request(err, -ret) : 0;
}

static int on_build(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    int ret;

    if (server->machine || !server->config.command_line)
        return wrong_order(err);
    ret = machine_build(&server->config, &server->log, &server->machine, err);
    if (ret)
        return ret;
    wire_put_string(out, server->machine->entry.format);
    wire_put_u8(out, server->machine->entry.is_linux);
    return 0;
}

/* ---- the machine's life ---- */

static int on_start(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    int ret = machine_start(server->machine, err);

    if (!ret && !server->confined) {
        ret = seccomp_install(SECCOMP_CONTROL);
        server->confined = ret == 0;
        if (ret)
            error_set(err, -ret, "seccomp", "cannot put up the wall", NULL);
    }
    return ret;
}

static int on_pause(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    return machine_pause(server->machine, err);
}

static int on_resume(struct server *server, struct wire_reader *in, struct wire_writer *out,
                     struct husk_error *err)
{
    return machine_resume(server->machine, err);
}

static int on_power_button(struct server *server, struct wire_reader *in, struct wire_writer *out,
                           struct husk_error *err)
{
    int ret = machine_check_started(server->machine, "cannot press the power button", err);

    if (!ret)
        machine_power_button(server->machine);
    return ret;
}

static int on_ctrl_alt_del(struct server *server, struct wire_reader *in, struct wire_writer *out,
                           struct husk_error *err)
{
    int ret = machine_check_started(server->machine, "cannot press Ctrl-Alt-Del", err);

    if (!ret)
        machine_ctrl_alt_del(server->machine);
    return ret;
}

static int on_stop(struct server *server, struct wire_reader *in, struct wire_writer *out,
                   struct husk_error *err)
{
    int ret = machine_check_started(server->machine, "cannot stop the VM", err);

    if (!ret)
        machine_stop(server->machine, HUSK_STOP_HOST_REQUEST, 0, NULL);
    return ret;
}

static int on_state(struct server *server, struct wire_reader *in, struct wire_writer *out,
                    struct husk_error *err)
{
    wire_put_u8(out, (uint8_t)machine_state(server->machine));
    return 0;
}

static int on_console_size(struct server *server, struct wire_reader *in, struct wire_writer *out,
                           struct husk_error *err)
{
    uint16_t columns = wire_get_u16(in);
    uint16_t rows = wire_get_u16(in);

    machine_console_resize(server->machine, columns, rows);
    return 0;
}

static int on_timeline(struct server *server, struct wire_reader *in, struct wire_writer *out,
                       struct husk_error *err)
{
    for (unsigned point = 0; point < TIMELINE_POINTS; point++)
        wire_put_u64(out, atomic_load(&server->machine->timeline.at_ns[point]));
    return 0;
}

static int on_free(struct server *server, struct wire_reader *in, struct wire_writer *out,
                   struct husk_error *err)
{
    machine_destroy(server->machine);
    server->machine = NULL;
    server->finished = true;
    return 0;
}

static const struct {
    request_fn run;
    bool needs_machine;
} requests[] = {
    [PROTOCOL_HELLO] = {on_hello, false},
    [PROTOCOL_VM] = {on_vm, false},
    [PROTOCOL_DRIVE] = {on_drive, false},
    [PROTOCOL_NET] = {on_net, false},
    [PROTOCOL_VSOCK] = {on_vsock, false},
    [PROTOCOL_BUILD] = {on_build, false},
    [PROTOCOL_START] = {on_start, true},
    [PROTOCOL_PAUSE] = {on_pause, true},
    [PROTOCOL_RESUME] = {on_resume, true},
    [PROTOCOL_POWER_BUTTON] = {on_power_button, true},
    [PROTOCOL_CTRL_ALT_DEL] = {on_ctrl_alt_del, true},
    [PROTOCOL_STOP] = {on_stop, true},
    [PROTOCOL_STATE] = {on_state, true},
    [PROTOCOL_CONSOLE_SIZE] = {on_console_size, true},
    [PROTOCOL_TIMELINE] = {on_timeline, true},
    [PROTOCOL_FREE] = {on_free, false},
};

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
    if ((unsigned)kind >= ARRAY_SIZE(requests) || !requests[kind].run)
        ret = bad_request(&err, EPROTO);
    else if (requests[kind].needs_machine && !server->machine)
        ret = wrong_order(&err);
    else
        ret = requests[kind].run(server, &in, &fields, &err);
    if (!ret && fields.bad)
        ret = bad_request(&err, E2BIG);
    return reply(server, ret, &err, &fields);
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
        wire_put_error(&writer, &server->event.error);
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
    server->config.kvm_fd = server->config.kernel.fd = server->config.initrd.fd = -1;
    server->config.console_in_fd = server->config.console_out_fd = -1;
    server->signal_fd = open_signals();
    if (server->signal_fd < 0)
        ret = -errno;
    server->first_free_fd = server->signal_fd + 1;
    server->config.vsock.listen_fd = -1;
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
