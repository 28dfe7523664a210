// SPDX-License-Identifier: Apache-2.0
/* Processes of containers: see process.h. */
#include "guest/agent/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/connection.h"
#include "guest/agent/starting.h"
#include "guest/agent/stream.h"

/* The process's end of each stream is in `theirs`, ours in a new stream object. */
static int make_stream(struct process *process, enum stream_name name, int *theirs)
{
    bool input = name == STREAM_STDIN;
    int ends[2], ret;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *theirs = ends[input ? 0 : 1];
    ret = stream_create(process->container->agent->loop, ends[input ? 1 : 0], name,
                        &process->streams[name]);
    if (ret)
        close(ends[input ? 1 : 0]);
    return ret;
}

static int make_streams(struct process *process, bool with_stdin, int theirs[3])
{
    int ret = 0;

    if (!with_stdin) {
        theirs[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        ret = theirs[0] < 0 ? -errno : 0;
    } else {
        ret = make_stream(process, STREAM_STDIN, &theirs[0]);
    }
    if (!ret)
        ret = make_stream(process, STREAM_STDOUT, &theirs[1]);
    if (!ret)
        ret = make_stream(process, STREAM_STDERR, &theirs[2]);
    return ret;
}

static struct process *add_process(struct container *container, const char *name)
{
    struct process *process = calloc(1, sizeof(*process)), **end = &container->processes;

    if (!process)
        return NULL;
    process->container = container;
    process->pidfd = -1;
    snprintf(process->name, sizeof(process->name), "%s", name);
    while (*end)
        end = &(*end)->next;
    *end = process;
    container->agent->process_count++;
    return process;
}

int process_make(struct container *container, const char *name, struct launch *launch,
                 bool with_stdin, struct process **out, struct husk_error *err)
{
    struct process *process;
    int ret = 0;

    if (container->agent->process_count >= HUSK_AGENT_PROCESSES_MAX)
        return error_set(err, ENOSPC, name, "cannot be started", "there are %d processes",
                         HUSK_AGENT_PROCESSES_MAX);
    process = add_process(container, name);
    if (!process)
        return error_set(err, ENOMEM, name, "cannot be started", NULL);
    process->oom_kills_before = cgroup_oom_kills(&container->cgroup);
    for (int i = 0; i < 3; i++)
        launch->streams[i] = -1;
    if (!launch->process->terminal)
        ret = make_streams(process, with_stdin, launch->streams);
    if (ret) {
        process_close_theirs(launch);
        process_discard(process);
        return error_set(err, -ret, launch->field, "has no streams", NULL);
    }
    *out = process;
    return 0;
}

void process_close_theirs(struct launch *launch)
{
    for (int i = 0; i < 3; i++)
        close_fd(&launch->streams[i]);
}

bool process_is_busy(const struct process *process)
{
    return process->starting != NULL;
}

json_t *process_exit_json(const struct process_exit *exit)
{
    return json_pack("{s:i, s:i, s:b}", "status", exit->status, "signal", exit->signal, "oom",
                     exit->oom);
}

static void answer_waits(struct process *process)
{
    while (process->waits) {
        struct process_wait *wait = process->waits;

        process->waits = wait->next;
        process->container->agent->wait_count--;
        connection_answer(wait->connection, wait->id, process_exit_json(&process->exit));
        free(wait);
    }
}

void process_end(struct process *process, int wait_status)
{
    struct container *container = process->container;
    struct process_exit *exit = &process->exit;

    process->ended = true;
    if (WIFSIGNALED(wait_status))
        exit->signal = WTERMSIG(wait_status);
    exit->status = exit->signal ? 128 + exit->signal : WEXITSTATUS(wait_status);
    exit->oom = exit->signal == SIGKILL && !process->killed_by_host &&
                cgroup_oom_kills(&container->cgroup) > process->oom_kills_before;
    for (int i = 0; i < STREAM_COUNT; i++)
        stream_process_ended(process->streams[i]);
    agent_tell(container->agent,
               json_pack("{s:s, s:s, s:s, s:o}", "event", "exit", "container", container->name,
                         "process", process->name, "exit", process_exit_json(exit)));
    answer_waits(process);
}

void process_discard(struct process *process)
{
    struct container *container = process->container;
    struct process **at = &container->processes;

    starting_break_off(process->starting);
    while (*at && *at != process)
        at = &(*at)->next;
    if (*at) {
        *at = process->next;
        container->agent->process_count--;
    }
    while (process->waits) {
        struct process_wait *wait = process->waits;

        process->waits = wait->next;
        container->agent->wait_count--;
        connection_refuse(wait->connection, wait->id,
                          &(struct husk_error){.code = ENOENT, .what = "the process is gone"});
        free(wait);
    }
    for (int i = 0; i < STREAM_COUNT; i++)
        stream_destroy(process->streams[i]);
    close_fd(&process->pidfd);
    free(process);
}

int process_wait(struct process *process, struct connection *connection, int64_t id,
                 struct husk_error *err)
{
    struct agent *agent = process->container->agent;
    struct process_wait *wait;

    if (process->ended) {
        connection_answer(connection, id, process_exit_json(&process->exit));
        return 0;
    }
    if (agent->wait_count >= HUSK_AGENT_WAITS_MAX)
        return error_set(err, ENOSPC, process->name, "cannot be waited for", "there are %d waits",
                         HUSK_AGENT_WAITS_MAX);
    wait = calloc(1, sizeof(*wait));
    if (!wait)
        return error_set(err, ENOMEM, process->name, "cannot be waited for", NULL);
    *wait = (struct process_wait){.next = process->waits, .connection = connection, .id = id};
    process->waits = wait;
    agent->wait_count++;
    return 0;
}

void process_forget_waits(struct process *process, const struct connection *connection)
{
    for (struct process_wait **at = &process->waits; *at;) {
        struct process_wait *wait = *at;

        if (wait->connection != connection) {
            at = &wait->next;
            continue;
        }
        *at = wait->next;
        process->container->agent->wait_count--;
        free(wait);
    }
}

int process_signal(struct process *process, int signal)
{
    if (process->ended)
        return -ESRCH;
    if (syscall(SYS_pidfd_send_signal, process->pidfd, signal, NULL, 0) < 0)
        return -errno;
    process->killed_by_host |= signal == SIGKILL;
    return 0;
}
