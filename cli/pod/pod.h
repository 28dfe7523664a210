// SPDX-License-Identifier: Apache-2.0
/*
 * husk-pod, what the husk command becomes for containers: one function for each command, and what
 * they share.
 */
#ifndef HUSK_CLI_POD_POD_H
#define HUSK_CLI_POD_POD_H

#include <stdbool.h>

#include "cli/cli.h"
#include "cli/pod/options.h"
#include "pod/control/client.h"
#include "pod/supervisor/containers.h"

/* Statuses of what returns a program's own: docker's. Those of cli.h are for the others. */
enum { STATUS_OURS = 125, STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

/* Each takes argv with the command's name first and returns an exit status. */
int pod_run(int argc, char **argv);
int pod_cmd_create(int argc, char **argv);
int pod_cmd_start(int argc, char **argv);
int pod_cmd_restart(int argc, char **argv);
int pod_ps(int argc, char **argv);
int pod_logs(int argc, char **argv);
int pod_exec(int argc, char **argv);
int pod_attach(int argc, char **argv);
int pod_stop(int argc, char **argv);
int pod_kill(int argc, char **argv);
int pod_wait(int argc, char **argv);
int pod_rm(int argc, char **argv);
int pod_inspect(int argc, char **argv);
int pod_stats(int argc, char **argv);
int pod_top(int argc, char **argv);
int pod_cp(int argc, char **argv);
int pod_pause(int argc, char **argv);
int pod_resume(int argc, char **argv);
int pod_update(int argc, char **argv);

/* The directory of containers, with the dead marked; `create` makes it. NULL in *out and 0 when
 * there is none and it is not to be made. */
int pod_store(bool create, struct entry_store **out, struct husk_error *err);

/* The container that `text` means; -ENOENT also without a store. Either is the caller's. */
int pod_find(const char *text, struct entry_store **store, struct entry **container,
             struct husk_error *err);

/* The error that it does not run: -ESRCH, with whether it ever did. */
int pod_does_not_run(const struct entry *container, struct husk_error *err);

/* A client of its supervisor. -ESRCH when it has ended. */
int pod_connect(const struct entry *container, struct control_client **out, struct husk_error *err);

/* For each word: the container it means, with a client when it is alive (else NULL). Errors of one
 * are printed and do not keep the others from their turn. Returns an exit status. */
struct pod_target {
    const char *word; /* as the user said it */
    struct entry_store *store;
    struct entry *container;
    struct control_client *client;
};

int pod_for_each(char **words, unsigned count,
                 int (*act)(struct pod_target *target, void *arg, struct husk_error *err),
                 void *arg);

/* The words of a container's command, an array; NULL when its record has none. Whether its first
 * process has a terminal. */
const json_t *pod_command(const struct container_spec *record);
bool pod_has_terminal(const struct container_spec *record);

/* EXIT of protocol.h; -EPROTO when it is none. */
int pod_exit_status(const json_t *exit, int *status, struct husk_error *err);

/* To standard output, for people. 0, or -ENOMEM with that said. */
int pod_print_json(const json_t *value);

#endif
