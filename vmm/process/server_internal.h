// SPDX-License-Identifier: Apache-2.0
/* husk-vmm's control thread, between its loop (server.c) and what it does (requests.c). */
#ifndef HUSK_VMM_PROCESS_SERVER_INTERNAL_H
#define HUSK_VMM_PROCESS_SERVER_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/log.h"
#include "vmm/machine.h"
#include "vmm/process/channel.h"

struct server {
    int control, events;
    int signal_fd;
    struct log log;
    atomic_uint lost_lines;
    int first_free_fd; /* none of ours is above */
    bool jailed;
    struct machine_config config;
    struct machine *machine; /* NULL until BUILD */
    bool finished;
    bool event_waits;
    struct husk_event event;
    struct message message; /* the request, then its reply */
};

/* One request: fields from `in`, on success fields to `out`. 0 or -errno with err filled. */
typedef int (*request_fn)(struct server *server, struct wire_reader *in, struct wire_writer *out,
                          struct husk_error *err);

struct request {
    request_fn run; /* NULL: there is no such kind */
    bool needs_machine;
};

/* By kind. */
extern const struct request requests[];
extern const unsigned request_count;

int request_refused(struct husk_error *err, int code);
int request_out_of_order(struct husk_error *err);

#endif
