// SPDX-License-Identifier: Apache-2.0
/*
 * Requests that are not carried out at once: see pending.h. Both lists are the agent's, in the
 * order of arrival.
 */
#include "guest/agent/pending.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/agent/container.h"
#include "guest/agent/process.h"
#include "husk/agent.h"

/* An answer to come. */
struct pending {
    struct pending *next;
    struct agent *agent;
    struct connection *connection; /* NULL: it is gone */
    int64_t id;
};

/* A request to be carried out later. */
struct waiting {
    struct waiting *next;
    struct connection *connection;
    json_t *message; /* a reference of its own */
    size_t bytes;
    char container[HUSK_AGENT_NAME_MAX + 1];
    char process[HUSK_AGENT_NAME_MAX + 1]; /* "": it waits for the container as a whole */
};

/* ---- answers to come ---- */

struct pending *pending_begin(struct request *request, struct husk_error *err)
{
    struct pending *pending = calloc(1, sizeof(*pending)), **end = &request->agent->pendings;

    if (!pending) {
        error_set(err, ENOMEM, "the request", "cannot be kept", NULL);
        return NULL;
    }
    pending->agent = request->agent;
    pending->connection = request->connection;
    pending->id = request->id;
    while (*end)
        end = &(*end)->next;
    *end = pending;
    request->deferred = true;
    connection_hold(request->connection, 1);
    return pending;
}

/* The connection, which may be gone; the pending is, in any case. */
static struct connection *take(struct pending *pending)
{
    struct connection *connection = pending->connection;
    struct pending **at = &pending->agent->pendings;

    while (*at && *at != pending)
        at = &(*at)->next;
    if (*at)
        *at = pending->next;
    free(pending);
    if (connection)
        connection_hold(connection, -1);
    return connection;
}

void pending_answer(struct pending *pending, json_t *result)
{
    int64_t id = pending->id;
    struct connection *connection = take(pending);

    if (connection)
        connection_answer(connection, id, result);
    else
        json_decref(result);
}

void pending_refuse(struct pending *pending, const struct husk_error *error)
{
    int64_t id = pending->id;
    struct connection *connection = take(pending);

    if (connection)
        connection_refuse(connection, id, error);
}

/* ---- requests that wait ---- */

static const char *name_in(const struct node *params, const char *key)
{
    const char *name = json_string_value(json_object_get(params->json, key));

    return name && agent_name_is_good(name) ? name : NULL;
}

/* What the request would have to wait for: 'c' the container, 'p' the process, 0 nothing. */
static char busy(const struct request *request, const char *container_name,
                 const char *process_name)
{
    const struct container *container = container_find(request->agent, container_name, NULL);
    const struct process *process;

    if (!container)
        return 0;
    if (container_is_busy(container))
        return 'c';
    process = process_name ? container_find_process(container, process_name, NULL) : NULL;
    return process && process_is_busy(process) ? 'p' : 0;
}

/* The same of those that wait already. */
static char behind(const struct request *request, const char *container, const char *process)
{
    for (const struct waiting *at = request->agent->waiting; at; at = at->next) {
        if (strcmp(at->container, container) != 0)
            continue;
        if (!at->process[0])
            return 'c';
        if (process && !strcmp(at->process, process))
            return 'p';
    }
    return 0;
}

/* It breaks off what is under way; another "delete" is soon over. */
static bool breaks_off(const struct request *request, const char *container_name,
                       const char *process_name)
{
    const struct container *container = container_find(request->agent, container_name, NULL);

    return !strcmp(request->method, "delete") && !process_name && container &&
           !container->deletion && json_is_true(json_object_get(request->params.json, "force"));
}

int pending_wait(struct request *request, bool *waits, struct husk_error *err)
{
    const char *container = name_in(&request->params, "container");
    const char *process = name_in(&request->params, "process");
    struct waiting *waiting, **end = &request->agent->waiting;
    char reason;

    *waits = false;
    if (!container || breaks_off(request, container, process))
        return 0;
    reason = behind(request, container, process);
    if (!reason)
        reason = busy(request, container, process);
    if (!reason)
        return 0;
    waiting = calloc(1, sizeof(*waiting));
    if (!waiting)
        return error_set(err, ENOMEM, "the request", "cannot be kept", NULL);
    waiting->connection = request->connection;
    waiting->message = json_incref((json_t *)request->message);
    waiting->bytes = request->bytes;
    snprintf(waiting->container, sizeof(waiting->container), "%s", container);
    if (reason == 'p')
        snprintf(waiting->process, sizeof(waiting->process), "%s", process);
    while (*end)
        end = &(*end)->next;
    *end = waiting;
    request->deferred = *waits = true;
    connection_hold_request(request->connection, waiting->bytes);
    return 0;
}

static void discard(struct waiting *waiting)
{
    json_decref(waiting->message);
    free(waiting);
}

/* All that waits is handled again, in its order; what still has to wait comes into the list anew.
 */
static void on_look(void *arg)
{
    struct agent *agent = arg;
    struct waiting *list = agent->waiting;

    agent->waiting = NULL;
    while (list) {
        struct waiting *waiting = list;

        list = waiting->next;
        connection_release_request(waiting->connection, waiting->bytes);
        (void)request_handle(agent, waiting->connection, waiting->message, waiting->bytes);
        discard(waiting);
    }
}

void pending_look_again(struct agent *agent)
{
    if (agent->waiting && agent->waiting_timer)
        event_timer_arm(agent->waiting_timer, 0);
}

int pending_init(struct agent *agent)
{
    return event_loop_add_timer(agent->loop, on_look, agent, &agent->waiting_timer);
}

/* ---- the end ---- */

void pending_forget(struct agent *agent, const struct connection *connection)
{
    for (struct pending *at = agent->pendings; at; at = at->next) {
        if (at->connection == connection)
            at->connection = NULL;
    }
    for (struct waiting **at = &agent->waiting; *at;) {
        struct waiting *waiting = *at;

        if (waiting->connection != connection) {
            at = &waiting->next;
            continue;
        }
        *at = waiting->next;
        discard(waiting);
    }
}

void pending_end(struct agent *agent)
{
    struct pending *next;

    for (struct pending *at = agent->pendings; at; at = next) {
        next = at->next;
        free(at);
    }
    agent->pendings = NULL;
    event_timer_remove(agent->waiting_timer);
    agent->waiting_timer = NULL;
}
