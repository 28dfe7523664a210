// SPDX-License-Identifier: Apache-2.0
/* Requests that one answer will serve: see waiters.h. */
#include "pod/control/waiters.h"

#include <errno.h>
#include <stdlib.h>

int waiters_add(struct waiters *waiters, struct ticket ticket)
{
    if (waiters->count == waiters->space) {
        unsigned space = waiters->space ? 2 * waiters->space : 4;
        struct ticket *more = reallocarray(waiters->list, space, sizeof(*more));

        if (!more)
            return -ENOMEM;
        waiters->list = more;
        waiters->space = space;
    }
    waiters->list[waiters->count++] = ticket;
    return 0;
}

void waiters_answer(struct waiters *waiters, struct server *server, json_t *answer)
{
    for (unsigned i = 0; i < waiters->count; i++)
        server_answer(server, waiters->list[i], json_incref(answer));
    free(waiters->list);
    *waiters = (struct waiters){.list = NULL};
}

void waiters_refuse(struct waiters *waiters, struct server *server, const struct husk_error *error)
{
    for (unsigned i = 0; i < waiters->count; i++)
        server_refuse(server, waiters->list[i], error, 0);
    free(waiters->list);
    *waiters = (struct waiters){.list = NULL};
}
