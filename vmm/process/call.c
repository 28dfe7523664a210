// SPDX-License-Identifier: Apache-2.0
/* One request to the process of a jailed VM, its answer, and the end of a process that does not
 * give one: see internal.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/error.h"
#include "vmm/process/internal.h"

/* ---- the end of the process ---- */

/* Once it is reaped; under end_lock. The sockets end with it for whoever uses or polls them, also
 * when somebody else has copies of its ends: a child that the caller forked meanwhile, or a message
 * that lies unread in the other socket. */
static void note_end(struct vm_process *process)
{
    epoll_ctl(process->epoll, EPOLL_CTL_DEL, process->child.pidfd, NULL);
    child_release(&process->child);
    shutdown(process->control, SHUT_RDWR);
    shutdown(process->events, SHUT_RDWR);
    process->ended = true;
}

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
        note_end(process);
    }
    pthread_mutex_unlock(&process->end_lock);
}

bool process_has_ended(struct vm_process *process)
{
    bool ended;

    pthread_mutex_lock(&process->end_lock);
    if (!process->ended && child_wait(&process->child, 0, process->how, sizeof(process->how)) == 0)
        note_end(process);
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

/* As process_gone(), for the call that was waited for in vain; returns -ETIMEDOUT. */
static int process_silent(const char *what, struct husk_error *err)
{
    return error_set(err, ETIMEDOUT, "husk-vmm", what,
                     "the VM's process did not answer in time, and was ended");
}

/* ---- one request and its answer ---- */

/* Takes request_lock; call_end() gives it back. */
void call_begin(struct call *call, struct vm_process *process, enum protocol_kind kind,
                const char *what)
{
    *call = (struct call){.process = process, .what = what};
    pthread_mutex_lock(&process->request_lock);
    message_begin(&process->request, &call->out, kind);
}

void call_end(struct call *call)
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
        process_end(call->process, kind == 0 || kind == -EPIPE || kind == -ECONNRESET ? 1000 : 0);
        return kind == -ETIMEDOUT || kind == -EAGAIN ? process_silent(call->what, err)
                                                     : process_gone(call->process, call->what, err);
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
int call_finish(struct call *call, int timeout_ms, struct husk_error *err)
{
    struct vm_process *process = call->process;
    int ret = message_send(process->control, &process->request, &call->out, ANSWER_MS);

    process->request.fd_count = 0; /* they were the caller's, and are when nothing was sent */
    if (ret == -E2BIG)
        return error_set(err, E2BIG, "", call->what, "it is too much for one message");
    if (!ret)
        ret = message_receive_plain(process->control, &process->request, &call->in, timeout_ms);
    ret = parse_reply(call, ret, err);
    return ret;
}

/* The answer held what it should, and nothing else; else the process is ended. */
int call_check(struct call *call, struct husk_error *err)
{
    if (wire_complete(&call->in))
        return 0;
    process_end(call->process, 0);
    return process_gone(call->process, call->what, err);
}

int call_simply(struct vm_process *process, enum protocol_kind kind, const char *what,
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
