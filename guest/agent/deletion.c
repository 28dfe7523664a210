// SPDX-License-Identifier: Apache-2.0
/*
 * The end of a container (container.h, container_delete()): everything in it is killed, and when
 * all of that is gone, so is the container. To die can take a while (memory is freed, disks are
 * waited for), in which the agent does other things. A deletion belongs to its container.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/io.h"
#include "guest/agent/container.h"
#include "guest/agent/pending.h"

#define PAUSE_NS    1000000ull
#define PATIENCE_MS 10000ull

struct deletion {
    struct container *container;
    struct pending *pending;
    struct event_timer *timer;
    uint64_t end_ns;
};

void deletion_end(struct deletion *deletion)
{
    if (!deletion)
        return;
    deletion->container->deletion = NULL;
    if (deletion->pending)
        pending_refuse(deletion->pending,
                       &(struct husk_error){.code = ESTALE, .what = "the agent ends"});
    event_timer_remove(deletion->timer);
    free(deletion);
}

static int cannot(const struct container *container, int code, struct husk_error *err)
{
    return error_set(err, code, container->name, "cannot be deleted",
                     "its cgroup cannot be removed: %s", error_text(code));
}

static void on_time(void *arg)
{
    struct deletion *deletion = arg;
    struct container *container = deletion->container;
    struct agent *agent = container->agent;
    struct pending *pending = deletion->pending;
    int ret = cgroup_try_remove(&container->cgroup);
    struct husk_error error;

    if (ret == -EBUSY && monotonic_ns() < deletion->end_ns) {
        event_timer_arm(deletion->timer, PAUSE_NS);
        return;
    }
    deletion->pending = NULL;
    deletion_end(deletion);
    if (ret) {
        (void)cannot(container, -ret, &error);
        pending_refuse(pending, &error);
        pending_look_again(agent);
        return;
    }
    /* Dead, but maybe not reaped yet: its end is told before its name goes. */
    agent_reap(agent);
    container_release(container);
    pending_answer(pending, json_object());
}

static int begin(struct request *request, struct container *container, struct husk_error *err)
{
    struct deletion *deletion = calloc(1, sizeof(*deletion));

    if (!deletion)
        return error_set(err, ENOMEM, container->name, "cannot be deleted", NULL);
    deletion->container = container;
    deletion->end_ns = monotonic_ns() + PATIENCE_MS * 1000000ull;
    container->deletion = deletion;
    if (event_loop_add_timer(container->agent->loop, on_time, deletion, &deletion->timer)) {
        deletion_end(deletion);
        return error_set(err, ENOMEM, container->name, "cannot be deleted", NULL);
    }
    deletion->pending = pending_begin(request, err);
    if (!deletion->pending) {
        deletion_end(deletion);
        return -ENOMEM;
    }
    event_timer_arm(deletion->timer, PAUSE_NS);
    return 0;
}

int container_delete(struct request *request, struct container *container, bool force,
                     struct husk_error *err)
{
    int ret;

    if (container->status != CONTAINER_STOPPED && !force)
        return container_wrong_state(container, "stopped", err);
    container_break_off(container);
    ret = cgroup_try_remove(&container->cgroup);
    if (ret == -EBUSY)
        return begin(request, container, err);
    if (ret)
        return cannot(container, -ret, err);
    agent_reap(container->agent);
    container_release(container);
    return 0;
}
