// SPDX-License-Identifier: Apache-2.0
/* Requests in a row: see asking.h. */
#include "pod/pods/asking.h"

#include <errno.h>

#include "base/error.h"

/* A guest may still be looking for its disks. */
#define DISK_AGAIN_NS  (UINT64_C(20) * 1000000)
#define DISK_TRIES_MAX 500u

static void ask_next(struct asking *asking);

static void finish(struct asking *asking, const struct husk_error *error)
{
    json_decref(asking->requests);
    asking->requests = NULL;
    asking->under_way = false;
    asking->done(asking->arg, error);
}

static void on_again(void *arg)
{
    struct asking *asking = arg;

    if (asking->under_way)
        ask_next(asking);
}

static void on_answer(void *arg, const json_t *result, const struct husk_error *error)
{
    struct asking *asking = arg;
    const json_t *request = json_array_get(asking->requests, asking->next);

    (void)result;
    asking->open = false;
    if (!asking->under_way)
        return;
    if (error && error->code == ENOENT && asking->tries++ < DISK_TRIES_MAX &&
        json_object_get(json_object_get(request, "params"), "disk")) {
        event_timer_arm(asking->again, DISK_AGAIN_NS);
        return;
    }
    if (error) {
        finish(asking, error);
        return;
    }
    asking->tries = 0;
    asking->next++;
    ask_next(asking);
}

static void ask_next(struct asking *asking)
{
    const json_t *request = json_array_get(asking->requests, asking->next);
    struct husk_error error;

    if (!request) {
        finish(asking, NULL);
        return;
    }
    asking->open = true;
    if (agent_client_call(asking->agent, json_string_value(json_object_get(request, "method")),
                          json_incref(json_object_get(request, "params")), AGENT_CLIENT_TIMEOUT_MS,
                          on_answer, asking, &error)) {
        asking->open = false;
        finish(asking, &error);
    }
}

int asking_create(struct asking *asking, struct event_loop *loop)
{
    *asking = (struct asking){.loop = loop};
    return event_loop_add_timer(loop, on_again, asking, &asking->again);
}

void asking_begin(struct asking *asking, struct agent_client *agent, json_t *requests,
                  void (*done)(void *arg, const struct husk_error *error), void *arg)
{
    struct husk_error error;

    asking->agent = agent;
    asking->requests = requests;
    asking->next = 0;
    asking->tries = 0;
    asking->done = done;
    asking->arg = arg;
    asking->under_way = true;
    if (requests) {
        ask_next(asking);
        return;
    }
    error_set(&error, ENOMEM, "the agent", "cannot be asked", NULL);
    finish(asking, &error);
}

void asking_cancel(struct asking *asking)
{
    asking->under_way = false;
    event_timer_disarm(asking->again);
    json_decref(asking->requests);
    asking->requests = NULL;
}

void asking_destroy(struct asking *asking)
{
    asking_cancel(asking);
    event_timer_remove(asking->again);
    asking->again = NULL;
}
