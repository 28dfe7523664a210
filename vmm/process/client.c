// SPDX-License-Identifier: Apache-2.0
/* Requests to the process of a jailed VM: see client.h. */
#include "vmm/process/client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/timeline.h"
#include "vmm/machine.h"
#include "vmm/process/config_wire.h"
#include "vmm/process/internal.h"

#define CANNOT_BUILD      "cannot build the VM"
#define ANSWER_MS         10000
#define LONG_ANSWER_MS    30000 /* build and pause */
#define DESCRIPTORS_BASE  128u
#define DESCRIPTORS_VSOCK 2048u

/* ---- the end of the process ---- */

void process_end(struct vm_process *process, int grace_ms)
{
    pthread_mutex_lock(&process->end_lock);
    if (!process->ended) {
        char how[sizeof(process->how)];

        if (child_wait(&process->child, grace_ms, how, sizeof(how))) {
            child_kill(&process->child);
            child_wait(&process->child, -1, NULL, 0);
            snprintf(how, sizeof(how), "it did not answer as it should");
        }
        snprintf(process->how, sizeof(process->how), "%s", how);
        process->ended = true;
    }
    pthread_mutex_unlock(&process->end_lock);
}

bool process_has_ended(struct vm_process *process)
{
    bool ended;

    pthread_mutex_lock(&process->end_lock);
    if (!process->ended)
        process->ended = child_wait(&process->child, 0, process->how, sizeof(process->how)) == 0;
    ended = process->ended;
    pthread_mutex_unlock(&process->end_lock);
    return ended;
}

int process_gone(struct vm_process *process, const char *what, struct husk_error *err)
{
    pthread_mutex_lock(&process->end_lock);
    error_set(err, EPIPE, "husk-vmm", what, "the VM's process is gone: %s", process->how);
    pthread_mutex_unlock(&process->end_lock);
    return -EPIPE;
}

/* ---- one request and its answer ---- */

struct call {
    struct vm_process *process;
    const char *what; /* for errors: "cannot pause the VM" */
    struct wire_writer out;
    struct wire_reader in; /* after call_finish(): what the reply holds beyond the result */
};

/* Takes request_lock; call_end() gives it back. */
static void call_begin(struct call *call, struct vm_process *process, enum protocol_kind kind,
                       const char *what)
{
    *call = (struct call){.process = process, .what = what};
    pthread_mutex_lock(&process->request_lock);
    message_begin(&process->request, &call->out, kind);
}

static void call_end(struct call *call)
{
    message_release(&call->process->request);
    pthread_mutex_unlock(&call->process->request_lock);
}

/* The result that the reply tells. Anything but a proper reply ends the process. */
static int parse_reply(struct call *call, int kind, struct husk_error *err)
{
    struct husk_error error;
    int32_t result;

    if (kind != PROTOCOL_REPLY) {
        process_end(call->process, kind == 0 || kind == -ECONNRESET ? 1000 : 0);
        return process_gone(call->process, call->what, err);
    }
    result = (int32_t)wire_get_u32(&call->in);
    if (result == 0 && !call->in.bad)
        return 0;
    wire_get_error(&call->in, &error);
    if (!wire_complete(&call->in) || result > 0 || result < -4095) {
        process_end(call->process, 0);
        return process_gone(call->process, call->what, err);
    }
    if (err)
        *err = error;
    return result;
}

/* Send, and wait for the answer. 0 with `in` at what it holds, or -errno with err filled. */
static int call_finish(struct call *call, int timeout_ms, struct husk_error *err)
{
    struct vm_process *process = call->process;
    int ret = message_send(process->control, &process->request, &call->out, ANSWER_MS);

    if (ret == -E2BIG)
        return error_set(err, E2BIG, "", call->what, "it is too much for one message");
    process->request.fd_count = 0; /* they were the caller's */
    if (!ret)
        ret = message_receive(process->control, &process->request, &call->in, timeout_ms);
    ret = parse_reply(call, ret, err);
    return ret;
}

/* The answer held what it should, and nothing else; else the process is ended. */
static int call_check(struct call *call, struct husk_error *err)
{
    if (wire_complete(&call->in))
        return 0;
    process_end(call->process, 0);
    return process_gone(call->process, call->what, err);
}

static int simple_call(struct vm_process *process, enum protocol_kind kind, const char *what,
                       int timeout_ms, struct husk_error *err)
{
    struct call call;
    int ret;

    call_begin(&call, process, kind, what);
    ret = call_finish(&call, timeout_ms, err);
    if (!ret)
        ret = call_check(&call, err);
    call_end(&call);
    return ret;
}

/* ---- building ---- */

/* The directory in which the guest's connections find their sockets. */
static int open_vsock_directory(const struct machine_config *machine, int *fd,
                                struct husk_error *err)
{
    const char *path = machine->vsock.path;
    char directory[sizeof(((struct sockaddr_un *)0)->sun_path)] = ".";
    const char *slash;

    *fd = -1;
    if (!machine->vsock.present)
        return 0;
    slash = strrchr(path, '/');
    if (slash)
        snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path) + (slash == path), path);
    *fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *fd < 0
               ? error_set(err, errno, directory, "cannot open the directory of the vsock", NULL)
               : 0;
}

/* How many descriptors a VM may need: its own, and some for devices that change. */
static unsigned descriptors_needed(const struct machine_config *machine)
{
    unsigned count = DESCRIPTORS_BASE + machine->vcpus + 4 * machine->drive_count;

    for (unsigned i = 0; i < machine->net_count; i++)
        count += 8 * machine->nets[i].queue_pairs;
    return count + (machine->vsock.present ? DESCRIPTORS_VSOCK : 0);
}

static int send_hello(struct vm_process *process, const struct process_config *config,
                      const struct machine_config *machine, struct husk_error *err)
{
    struct call call;
    int vsock_directory;
    int ret = open_vsock_directory(machine, &vsock_directory, err);

    if (ret)
        return ret;
    call_begin(&call, process, PROTOCOL_HELLO, CANNOT_BUILD);
    wire_put_string(&call.out, HUSK_VERSION);
    wire_put_u32(&call.out, process->log->level);
    wire_put_u32(&call.out, process->child.namespaces);
    wire_put_u32(&call.out, config->jail.uid);
    wire_put_u32(&call.out, config->jail.gid);
    wire_put_u8(&call.out, config->jail.strict != 0);
    wire_put_u32(&call.out, descriptors_needed(machine));
    message_put_fd(&process->request, &call.out, vsock_directory);
    ret = call_finish(&call, ANSWER_MS, err);
    if (!ret)
        ret = call_check(&call, err);
    call_end(&call);
    close_fd(&vsock_directory);
    return ret;
}

static int send_vm(struct vm_process *process, const struct machine_config *machine,
                   struct husk_error *err)
{
    int console_in = -1, console_out = -1;
    struct call call;
    int ret = machine_open_console(machine, &console_in, &console_out, err);

    if (ret)
        return ret;
    call_begin(&call, process, PROTOCOL_VM, CANNOT_BUILD);
    config_put_vm(&process->request, &call.out, machine, console_in, console_out);
    ret = call_finish(&call, ANSWER_MS, err);
    call_end(&call);
    close_fd(&console_in);
    close_fd(&console_out);
    return ret;
}

static int send_devices(struct vm_process *process, const struct machine_config *machine,
                        struct husk_error *err)
{
    struct call call;
    int ret = 0;

    for (unsigned i = 0; !ret && i < machine->drive_count; i++) {
        call_begin(&call, process, PROTOCOL_DRIVE, CANNOT_BUILD);
        config_put_drive(&process->request, &call.out, &machine->drives[i]);
        ret = call_finish(&call, ANSWER_MS, err);
        call_end(&call);
    }
    if (!ret && machine->vsock.present) {
        call_begin(&call, process, PROTOCOL_VSOCK, CANNOT_BUILD);
        config_put_vsock(&process->request, &call.out, &machine->vsock);
        ret = call_finish(&call, ANSWER_MS, err);
        call_end(&call);
    }
    for (unsigned i = 0; !ret && i < machine->net_count; i++) {
        call_begin(&call, process, PROTOCOL_NET, CANNOT_BUILD);
        config_put_net(&process->request, &call.out, &machine->nets[i]);
        ret = call_finish(&call, ANSWER_MS, err);
        call_end(&call);
    }
    return ret;
}

static int send_build(struct vm_process *process, struct husk_error *err)
{
    struct call call;
    int ret;

    call_begin(&call, process, PROTOCOL_BUILD, CANNOT_BUILD);
    ret = call_finish(&call, LONG_ANSWER_MS, err);
    if (!ret) {
        wire_get_text(&call.in, process->kernel_format, sizeof(process->kernel_format));
        process->kernel_is_linux = wire_get_u8(&call.in) != 0;
        ret = call_check(&call, err);
    }
    call_end(&call);
    return ret;
}

static int open_sockets(struct vm_process *process, int theirs[2])
{
    struct epoll_event event = {.events = EPOLLIN};
    int control[2], events[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        return -errno;
    process->control = control[0];
    theirs[0] = control[1];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, events) < 0)
        return -errno;
    process->events = events[0];
    theirs[1] = events[1];
    process->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (process->epoll < 0 || epoll_ctl(process->epoll, EPOLL_CTL_ADD, process->events, &event) < 0)
        return -errno;
    return 0;
}

static int start_process(struct vm_process *process, const struct process_config *config,
                         struct husk_error *err)
{
    int theirs[2] = {-1, -1};
    int ret = open_sockets(process, theirs);

    if (ret)
        error_set(err, -ret, "", CANNOT_BUILD, NULL);
    else
        ret = child_spawn(config->vmm_path, config->id, theirs[0], theirs[1], &process->child, err);
    close_fd(&theirs[0]);
    close_fd(&theirs[1]);
    if (!ret) {
        process->pid = process->child.pid;
        process->ended = false;
    }
    return ret;
}

int vm_process_build(const struct process_config *config, const struct machine_config *machine,
                     const struct log *log, struct vm_process **out, struct husk_error *err)
{
    struct vm_process *process = calloc(1, sizeof(*process));
    int ret;

    if (!process)
        return error_set(err, ENOMEM, "", CANNOT_BUILD, NULL);
    process->log = log;
    process->control = process->events = process->epoll = -1;
    process->ended = true;
    pthread_mutex_init(&process->request_lock, NULL);
    pthread_mutex_init(&process->events_lock, NULL);
    pthread_mutex_init(&process->end_lock, NULL);
    ret = start_process(process, config, err);
    if (!ret)
        ret = send_hello(process, config, machine, err);
    if (!ret)
        ret = send_vm(process, machine, err);
    if (!ret)
        ret = send_devices(process, machine, err);
    if (!ret)
        ret = send_build(process, err);
    if (ret) {
        vm_process_free(process);
        return ret;
    }
    *out = process;
    return 0;
}

void vm_process_free(struct vm_process *process)
{
    if (!process)
        return;
    if (!process_has_ended(process)) {
        simple_call(process, PROTOCOL_FREE, "cannot end the VM", ANSWER_MS, NULL);
        process_end(process, 1000);
    }
    process_drain_log(process);
    close_fd(&process->epoll);
    close_fd(&process->events);
    close_fd(&process->control);
    pthread_mutex_destroy(&process->end_lock);
    pthread_mutex_destroy(&process->events_lock);
    pthread_mutex_destroy(&process->request_lock);
    free(process);
}

/* ---- the calls ---- */

int vm_process_start(struct vm_process *process, struct husk_error *err)
{
    return simple_call(process, PROTOCOL_START, "cannot start the VM", ANSWER_MS, err);
}

int vm_process_pause(struct vm_process *process, struct husk_error *err)
{
    return simple_call(process, PROTOCOL_PAUSE, "cannot pause the VM", LONG_ANSWER_MS, err);
}

int vm_process_resume(struct vm_process *process, struct husk_error *err)
{
    return simple_call(process, PROTOCOL_RESUME, "cannot resume the VM", ANSWER_MS, err);
}

int vm_process_power_button(struct vm_process *process, struct husk_error *err)
{
    return simple_call(process, PROTOCOL_POWER_BUTTON, "cannot press the power button", ANSWER_MS,
                       err);
}

int vm_process_ctrl_alt_del(struct vm_process *process, struct husk_error *err)
{
    return simple_call(process, PROTOCOL_CTRL_ALT_DEL, "cannot press Ctrl-Alt-Del", ANSWER_MS, err);
}

int vm_process_stop(struct vm_process *process, struct husk_error *err)
{
    return simple_call(process, PROTOCOL_STOP, "cannot stop the VM", ANSWER_MS, err);
}

enum husk_state vm_process_state(struct vm_process *process)
{
    enum husk_state state = HUSK_STATE_STOPPED;
    struct call call;

    if (process_has_ended(process))
        return state;
    call_begin(&call, process, PROTOCOL_STATE, "cannot ask for the VM's state");
    if (call_finish(&call, ANSWER_MS, NULL) == 0) {
        uint8_t answer = wire_get_u8(&call.in);

        if (call_check(&call, NULL) == 0 && answer <= HUSK_STATE_STOPPED)
            state = answer;
    }
    call_end(&call);
    return state;
}

void vm_process_console_resize(struct vm_process *process, uint16_t columns, uint16_t rows)
{
    struct call call;

    call_begin(&call, process, PROTOCOL_CONSOLE_SIZE, "cannot resize the console");
    wire_put_u16(&call.out, columns);
    wire_put_u16(&call.out, rows);
    call_finish(&call, ANSWER_MS, NULL);
    call_end(&call);
}

unsigned vm_process_timeline(struct vm_process *process, struct husk_moment *out, unsigned max)
{
    unsigned count = 0;
    struct call call;

    call_begin(&call, process, PROTOCOL_TIMELINE, "cannot ask for the VM's timeline");
    if (call_finish(&call, ANSWER_MS, NULL) == 0) {
        for (unsigned point = 0; point < TIMELINE_POINTS && count < max; point++) {
            uint64_t at_ns = wire_get_u64(&call.in);

            if (at_ns)
                out[count++] = (struct husk_moment){.name = timeline_name(point), .at_ns = at_ns};
        }
    }
    call_end(&call);
    return count;
}

pid_t vm_process_pid(const struct vm_process *process)
{
    return process->pid;
}

const char *vm_process_kernel_format(const struct vm_process *process)
{
    return process->kernel_format;
}

bool vm_process_kernel_is_linux(const struct vm_process *process)
{
    return process->kernel_is_linux;
}
