// SPDX-License-Identifier: Apache-2.0
/* The request "stats": all containers of the pod are asked for, and the machine is looked at. */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "pod/pods/requests.h"

/* Lives until the agent has answered for each container. */
struct gathering {
    struct pod *pod;
    struct ticket ticket;
    json_t *containers;
    unsigned open;
};

struct asked {
    struct gathering *gathering;
    unsigned index;
};

static json_t *machine_json(struct pod *pod)
{
    struct machine_stats stats = {UINT64_MAX, UINT64_MAX};
    json_t *json = json_object();

    if (!pod->machine || pod->ops->stats(pod->machine, &stats))
        return json;
    if (stats.memory_resident_bytes <= INT64_MAX)
        json_object_set_new(json, "memory_resident_bytes",
                            json_integer((json_int_t)stats.memory_resident_bytes));
    if (stats.cpu_ns <= INT64_MAX)
        json_object_set_new(json, "cpu_ns", json_integer((json_int_t)stats.cpu_ns));
    return json;
}

static void finish_if_done(struct gathering *gathering)
{
    if (gathering->open)
        return;
    server_answer(gathering->pod->server, gathering->ticket,
                  json_pack("{s:o, s:o}", "machine", machine_json(gathering->pod), "containers",
                            gathering->containers));
    free(gathering);
}

static void on_stats(void *arg, const json_t *result, const struct husk_error *error)
{
    struct asked *asked = arg;
    struct gathering *gathering = asked->gathering;

    /* One that has just ended is left out. */
    if (!error)
        json_array_append_new(gathering->containers,
                              json_pack("{s:s, s:O}", "name",
                                        gathering->pod->containers[asked->index].status.name,
                                        "stats", result));
    free(asked);
    gathering->open--;
    finish_if_done(gathering);
}

void stats_request(struct pod *pod, struct container *container, struct ticket ticket,
                   const json_t *params)
{
    struct gathering *gathering = calloc(1, sizeof(*gathering));
    struct husk_error error;

    (void)container;
    (void)params;
    if (!gathering) {
        error_set(&error, ENOMEM, "stats", "is not possible", NULL);
        server_refuse(pod->server, ticket, &error, 0);
        return;
    }
    *gathering =
        (struct gathering){.pod = pod, .ticket = ticket, .containers = json_array(), .open = 1};
    for (unsigned i = 0; i < pod->container_count; i++) {
        struct container *c = &pod->containers[i];
        struct asked *asked =
            c->step == STEP_RUNNING || c->step == STEP_STOPPING ? malloc(sizeof(*asked)) : NULL;

        if (!asked)
            continue;
        *asked = (struct asked){.gathering = gathering, .index = i};
        gathering->open++;
        if (agent_client_call(pod->agent, "stats", json_pack("{s:s}", "container", c->status.name),
                              AGENT_CLIENT_TIMEOUT_MS, on_stats, asked, &error)) {
            free(asked);
            gathering->open--;
        }
    }
    gathering->open--;
    finish_if_done(gathering);
}
