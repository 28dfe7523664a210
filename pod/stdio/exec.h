// SPDX-License-Identifier: Apache-2.0
/*
 * Processes of "exec" and of archives in one container of an agent, for clients of a control
 * socket. The agent is asked for the process and for its streams; the connected descriptors go to
 * the client, and nothing is kept but the name and, later, how it ended. A detached one's output is
 * read here and thrown away. Everything happens on the loop's thread.
 */
#ifndef HUSK_POD_STDIO_EXEC_H
#define HUSK_POD_STDIO_EXEC_H

#include <stdbool.h>
#include <sys/queue.h>

#include "base/log.h"
#include "husk/agent.h"
#include "pod/agent/client.h"
#include "pod/control/waiters.h"

struct exec; /* one process */

/* The processes of one container. The owner fills in the upper part, and keeps the struct as long
 * as the agent's client. */
struct exec_set {
    struct event_loop *loop;
    const struct log *log;
    struct server *server;
    const char *container; /* the agent's name of it */
    struct agent_client *agent;
    const struct agent_connector *connector; /* to the agent */
    bool over;                               /* the container has ended */
    bool name_container;                     /* in events: the socket has several */

    bool ready; /* it is there: what is asked for is done at once */
    LIST_HEAD(exec_list, exec) list;
    unsigned count;
    uint64_t next;
};

/* Requests of the control socket, whose params these are; "container" of them is not looked at.
 * "exec" is for a container that is there; archives wait until it is. */
void exec_begin(struct exec_set *set, struct ticket ticket, const json_t *params);
void exec_archive_get(struct exec_set *set, struct ticket ticket, const json_t *params);
void exec_archive_put(struct exec_set *set, struct ticket ticket, const json_t *params);

/* The container is there: what was asked before is done now. */
void exec_begin_all(struct exec_set *set);

/* NULL: there is none of that name. */
struct exec *exec_find(struct exec_set *set, const char *name);
/* Answers with its EXIT when it has ended. */
void exec_wait(struct exec *exec, struct ticket ticket);
/* Those that this connection has made go when they have ended. */
void exec_connection_closed(struct exec_set *set, uint64_t connection);

/* With their container: whoever waits is refused. The set is empty and not ready afterwards. */
void exec_destroy_all(struct exec_set *set);

/* The exit status of an error of "start" or "exec": 126, 127 or STATUS_HUSK; "" or "config" being
 * what `where` begins with. */
uint8_t exec_status_of(const struct husk_error *error);

#endif
