// SPDX-License-Identifier: Apache-2.0
/* The logs of several containers, one after the other, or followed all at once. */
#ifndef HUSK_CLI_PODS_FOLLOW_H
#define HUSK_CLI_PODS_FOLLOW_H

#include "cli/pod/log_print.h"
#include "cli/pods/pods.h"

struct followed {
    char *pod, *container, *prefix; /* ours */
    struct husk_pod_log *log;       /* NULL: not open (yet) */
    struct log_print print;
    bool over, more; /* nothing will come any more; more is there already */
};

/* Zero-initialise. */
struct followed_list {
    struct followed *all;
    unsigned count, open, more;
    bool failed; /* memory was short: followed_run() says so */
};

/* A container; with a prefix its lines begin "[POD/CONTAINER] ". */
void followed_add(struct followed_list *list, const char *pod, const char *container, bool prefix);
/* All containers of a pod. */
int followed_add_pod(struct followed_list *list, struct husk_pods *pods, const char *name,
                     bool prefix, struct husk_error *err);
void followed_release(struct followed_list *list);

/*
 * Prints until nothing more will come (without `follow`: what there is), a signal comes on
 * `signals` (-1: none), or nobody reads. Returns 0, the signal's number (SIGPIPE for the last), or
 * -1 with the reason printed. May be called again: what was printed is not printed once more.
 */
int followed_run(struct followed_list *list, struct husk_pods *pods,
                 const struct husk_pod_log_options *wants, int signals);

#endif
