// SPDX-License-Identifier: Apache-2.0
/*
 * Where the virtual machine of a container or a pod comes from, as its supervisor sees it:
 * libhusk's in the product (machine_vm.h); in tests an agent that runs on this host.
 *
 * All calls and callbacks happen on the thread of the supervisor's loop.
 */
#ifndef HUSK_POD_VM_MACHINE_H
#define HUSK_POD_VM_MACHINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "base/log.h"
#include "pod/agent/connector.h"
#include "pod/machine/layers.h"
#include "pod/machine/options.h"

struct machine;

/* What is wanted. Everything stays the caller's and is used by `start` alone. */
struct machine_request {
    const char *name; /* of the container or pod, for errors */
    const char *id;
    const struct pod_machine_options *options;
    const char *store; /* the image store's path; NULL: the default */
    const struct machine_image *images;
    unsigned image_count;
};

struct machine_host {
    struct event_loop *loop;
    const struct log *log;
    int dir;          /* of the container or pod */
    const char *path; /* the same, for files that are opened by name */
    /* The machine has stopped by itself or after `power_off`, once; `why` says how when that is not
     * what was asked for, else it is "". */
    void (*stopped)(void *arg, const char *why);
    void *arg;
};

/* What to ask of the agent before containers are created, and with them. */
struct machine_plan {
    json_t *requests; /* [{"method": TEXT, "params": {…}}, …] in that order; ours to release */
    json_t *rootfs;   /* [ROOTFS, …]: "rootfs" of the agent's "create" for each image, ours to
                         release; NULL: config.root.path */
};

struct machine_stats {
    uint64_t memory_resident_bytes, cpu_ns; /* UINT64_MAX: not known */
};

struct machine_ops {
    bool needs_images; /* `start` uses the layers of the request */
    /* Builds and starts it; does not wait for the guest. The host struct stays alive. -errno with
     * err filled, and nothing left. */
    int (*start)(const struct machine_request *request, const struct machine_host *host,
                 struct machine **out, struct machine_plan *plan, struct husk_error *err);
    /* Where connections to its agent come from; lives as long as the machine. */
    const struct agent_connector *(*connector)(struct machine *machine);
    /* Takes out of the parameters of a container's "create" what this machine cannot do, for one
     * that is none. NULL: it can do all of it. */
    void (*reduce)(json_t *create);
    /* The process whose end is the machine's, for the record; 0: none. */
    int (*pid)(const struct machine *machine);
    /* End it at once; `stopped` is called. */
    void (*power_off)(struct machine *machine);
    /* -errno when nothing is known. */
    int (*stats)(struct machine *machine, struct machine_stats *out);
    /* What the guest said last, for somebody who asks why it did not start: printable text of at
     * most `size` bytes, "" when there is nothing. */
    void (*last_words)(struct machine *machine, char *text, size_t size);
    /* Ends it if need be, waits for its end and releases everything. Takes NULL. */
    void (*destroy)(struct machine *machine);
};

#endif
