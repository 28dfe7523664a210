// SPDX-License-Identifier: Apache-2.0
/* The agent as a whole: see agent.h. */
#include "guest/agent/agent.h"

#include <string.h>
#include <sys/wait.h>

#include "guest/agent/connection.h"
#include "guest/agent/container.h"
#include "guest/agent/job.h"
#include "guest/agent/pending.h"
#include "guest/agent/relay.h"
#include "guest/agent/volume.h"

#define FLUSH_MS 2000

int agent_init(struct agent *agent, const struct log *log, int cgroup, bool booted)
{
    int ret;

    memset(agent, 0, sizeof(*agent));
    agent->log = log;
    agent->cgroup = cgroup;
    agent->booted = booted;
    ret = event_loop_create(&agent->loop);
    return ret ? ret : pending_init(agent);
}

void agent_end(struct agent *agent)
{
    connection_flush_all(agent, FLUSH_MS);
    connection_close_all(agent);
    relay_end_all(agent);
    job_end_all(agent);
    while (agent->containers)
        container_destroy(agent->containers);
    volume_remove_all(agent);
    pending_end(agent);
    event_loop_destroy(agent->loop);
    agent->loop = NULL;
}

void agent_reap(struct agent *agent)
{
    pid_t pid;
    int status;

    /* Children of nobody's are orphans of containers, or helpers. */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        (void)container_reap(agent, pid, status);
}

void agent_tell(struct agent *agent, json_t *event)
{
    if (event)
        connection_tell_all(agent, event);
    json_decref(event);
}
