// SPDX-License-Identifier: Apache-2.0
/* Processes on their way: see starting.h. Each belongs to its process. */
#include "guest/agent/starting.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "guest/agent/pending.h"
#include "guest/agent/process.h"
#include "guest/agent/stream.h"

enum step { PREPARING, GOING };

struct starting {
    struct process *process;
    struct pending *pending; /* NULL: answered */
    enum step step;
    struct launch launch;
    struct launched launched; /* the pidfd is the process's */
    struct starting_own own;
    struct event_source *source;
    struct event_timer *timer;
};

static bool is_init(const struct process *process)
{
    return process == process->container->processes;
}

/* The process goes on without it. */
static void release(struct starting *starting)
{
    struct agent *agent = starting->process->container->agent;

    starting->process->starting = NULL;
    event_source_remove(starting->source);
    event_timer_remove(starting->timer);
    close_fd(&starting->launched.channel);
    close_fd(&starting->launched.terminal);
    if (starting->own.document) {
        oci_free_process(&starting->own.process);
        json_decref(starting->own.document);
    }
    free(starting);
    pending_look_again(agent);
}

static void answer(struct starting *starting, bool with_pid)
{
    struct pending *pending = starting->pending;

    starting->pending = NULL;
    pending_answer(pending,
                   with_pid ? json_pack("{s:i}", "pid", starting->process->pid) : json_object());
}

static void kill_it(const struct process *process)
{
    (void)syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
}

/* Whoever reaps strangers reaps it, unless it is of "start": then its container ends with it. True:
 * the process is still there. */
static bool fail(struct starting *starting, const struct husk_error *error)
{
    struct process *process = starting->process;
    struct pending *pending = starting->pending;
    bool init = is_init(process), stays = init && starting->step == GOING;

    starting->pending = NULL;
    kill_it(process);
    process->ended = !stays; /* of which nobody is told */
    if (stays)
        release(starting);
    else if (init)
        container_destroy(process->container);
    else
        process_discard(process);
    pending_refuse(pending, error);
    return stays;
}

static bool fail_with(struct starting *starting, int code, const char *what)
{
    struct husk_error error;

    error_set(&error, code, starting->launch.field, what, "%s", "");
    return fail(starting, &error);
}

static int go(struct starting *starting, struct husk_error *err)
{
    int ret = launch_go(&starting->launch, &starting->launched, err);

    starting->step = GOING;
    event_timer_arm(starting->timer, STARTING_PATIENCE_MS * 1000000ull);
    return ret;
}

/* It waits to be let go. */
static bool on_prepared(struct starting *starting)
{
    struct process *process = starting->process;
    struct husk_error error = {.code = 0};
    struct stream **terminal = &process->streams[STREAM_TERMINAL];
    int ret = 0;

    if (starting->launched.terminal >= 0) {
        ret = stream_create(process->container->agent->loop, starting->launched.terminal,
                            STREAM_TERMINAL, terminal);
        if (ret)
            return fail_with(starting, -ret, "has no terminal");
        starting->launched.terminal = -1;
    }
    if (!is_init(process)) {
        ret = go(starting, &error);
        return ret ? fail(starting, &error) : true;
    }
    process->container->init_launched = starting->launched;
    starting->launched.channel = -1;
    answer(starting, true);
    release(starting);
    return true;
}

/* The channel has something to say, or the process is dead. True: the process is still there. */
static bool look(struct starting *starting)
{
    struct husk_error error = {.code = 0};
    int ret = launch_take(&starting->launch, &starting->launched, &error);

    if (ret < 0)
        return fail(starting, &error);
    if (starting->step == PREPARING)
        return ret ? on_prepared(starting)
                   : fail_with(starting, ECHILD, "died while it was being prepared");
    if (ret)
        return fail_with(starting, EPROTO, "is ready twice");
    answer(starting, !is_init(starting->process));
    release(starting);
    return true;
}

static void on_channel(void *arg, uint32_t events)
{
    (void)look(arg);
}

static void on_late(void *arg)
{
    (void)fail_with(arg, ETIMEDOUT, "did not start in time");
}

bool starting_reap(struct starting *starting)
{
    struct process *process = starting->process;

    /* What it has said last is still to be read; an exec that was ready is then let go in vain. */
    if (!look(starting))
        return false;
    return !process->starting || look(process->starting);
}

void starting_break_off(struct starting *starting)
{
    struct husk_error error;

    if (!starting)
        return;
    kill_it(starting->process);
    starting->process->ended = starting->step == PREPARING; /* of which nobody is told */
    if (starting->pending) {
        error_set(&error, ESTALE, starting->process->container->name, "is being deleted", "%s", "");
        pending_refuse(starting->pending, &error);
    }
    release(starting);
}

/* ---- the beginning ---- */

static int watch(struct starting *starting, unsigned patience_ms)
{
    struct event_loop *loop = starting->process->container->agent->loop;
    int ret = event_loop_add(loop, starting->launched.channel, EPOLLIN, on_channel, starting,
                             &starting->source);

    if (!ret)
        ret = event_loop_add_timer(loop, on_late, starting, &starting->timer);
    if (!ret)
        event_timer_arm(starting->timer, patience_ms * 1000000ull);
    return ret;
}

static struct starting *new_starting(struct process *process, const struct launch *launch)
{
    struct starting *starting = calloc(1, sizeof(*starting));

    if (!starting)
        return NULL;
    starting->process = process;
    starting->launch = *launch;
    starting->launched = (struct launched){.pidfd = -1, .channel = -1, .terminal = -1};
    process->starting = starting;
    return starting;
}

/* The process is launched: from now on the request is answered from here. */
static int begin(struct request *request, struct starting *starting, const struct starting_own *own,
                 struct husk_error *err)
{
    int ret =
        watch(starting, starting->launch.fill ? STARTING_FILL_PATIENCE_MS : STARTING_PATIENCE_MS);

    if (ret)
        return error_set(err, -ret, starting->launch.field, "cannot be started", NULL);
    starting->pending = pending_begin(request, err);
    if (!starting->pending)
        return -ENOMEM;
    if (own) {
        starting->own = *own;
        starting->launch.process = &starting->own.process;
    }
    /* These were the child's business, and do not live as long. */
    starting->launch.archive = NULL;
    starting->launch.user = NULL;
    starting->launch.fill = NULL;
    return 0;
}

int starting_begin(struct request *request, struct container *container, const char *name,
                   struct launch *launch, bool with_stdin, const struct starting_own *own,
                   struct husk_error *err)
{
    struct starting *starting;
    struct process *process;
    int ret = process_make(container, name, launch, with_stdin, &process, err);

    if (ret)
        return ret;
    starting = new_starting(process, launch);
    ret = starting ? launch_begin(launch, &starting->launched, err)
                   : error_set(err, ENOMEM, name, "cannot be started", NULL);
    process_close_theirs(launch);
    if (!ret) {
        process->pid = starting->launched.pid;
        process->pidfd = starting->launched.pidfd;
        ret = begin(request, starting, own, err);
    }
    if (ret)
        process_discard(process);
    return ret;
}

int starting_go(struct request *request, struct container *container, struct husk_error *err)
{
    const struct launch launch = {.config = &container->config,
                                  .process = &container->config.process,
                                  .field = "process",
                                  .container = -1};
    struct starting *starting = new_starting(container->processes, &launch);
    int ret;

    if (!starting)
        return error_set(err, ENOMEM, container->name, "cannot be started", NULL);
    starting->launched = container->init_launched;
    container->init_launched.channel = -1;
    ret = begin(request, starting, NULL, err);
    if (!ret && go(starting, err)) {
        (void)fail(starting, err);
        return 0;
    }
    if (ret) {
        kill_it(container->processes);
        release(starting);
    }
    return ret;
}
