// SPDX-License-Identifier: Apache-2.0
/* Requests that one answer will serve. */
#ifndef HUSK_POD_CONTROL_WAITERS_H
#define HUSK_POD_CONTROL_WAITERS_H

#include "pod/control/server.h"

/* A zeroed one is empty; `list` is to be freed. */
struct waiters {
    struct ticket *list;
    unsigned count, space;
};

/* -ENOMEM. */
int waiters_add(struct waiters *waiters, struct ticket ticket);
/* The answer stays the caller's. Nobody waits any more. */
void waiters_answer(struct waiters *waiters, struct server *server, json_t *answer);
void waiters_refuse(struct waiters *waiters, struct server *server, const struct husk_error *error);

#endif
