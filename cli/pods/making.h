// SPDX-License-Identifier: Apache-2.0
/*
 * Pods that a command makes of manifests: all of them, or none. What `run`, `create` and `apply`
 * share.
 */
#ifndef HUSK_CLI_PODS_MAKING_H
#define HUSK_CLI_PODS_MAKING_H

#include "cli/pods/pods.h"

/* Options of the three. */
struct making_options {
    struct pod_list files; /* of -f */
    struct pod_list publish;
    const char *network, *kernel; /* NULL: not given */
    bool lenient, quiet, remove, dry_run;
};

struct making {
    const struct making_options *options;
    struct husk_manifest *manifest;
    struct husk_pods *pods;
    json_t *names;   /* of the pods that this command has made */
    int signals;     /* see pods_open_signals(); -1: not open */
    int interrupted; /* the signal that came; 0: none */
};

/* Reads the manifests and opens the directory of pods. Returns 0 or an exit status, the reason
 * printed. Everything of *out is for making_end() in any case. */
int making_begin(struct making *out, const struct pod_syntax *syntax,
                 const struct making_options *options, char **files, unsigned count);
void making_end(struct making *making);

/* --dry-run: checks the manifests, and that what their pods refer to is there; prints what is
 * right. Returns an exit status. */
int making_check(const struct pod_syntax *syntax, const struct making_options *options,
                 char **files, unsigned count);

/* Records one pod of the manifest. */
int making_create(struct making *making, unsigned index, struct husk_error *err);
int making_start(struct making *making, const char *name, struct husk_error *err);

/* Waits until the pod has come up, or cannot, or a signal comes; tells what goes on on a terminal
 * and, of a failure, why. 0, or an exit status. */
int making_await_up(struct making *making, const char *name);

/* Removes what the command has made; `ran` false: but for pods of which a container has been
 * started, whose logs may say why. */
void making_undo(struct making *making, bool ran);

#endif
