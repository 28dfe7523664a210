// SPDX-License-Identifier: Apache-2.0
/*
 * `husk pod VERB`: one function for each verb, and what they share. All of it is a client of
 * libhusk-pod (husk/pod.h); terminals, tables, archives and logs are those of cli/pod/.
 */
#ifndef HUSK_CLI_PODS_PODS_H
#define HUSK_CLI_PODS_PODS_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/cli.h"
#include "cli/pod/options.h"
#include "husk/pod.h"

/* `husk pod ...`: argv[0] is "pod". Returns an exit status. */
int pods_main(int argc, char **argv);

/* Each takes argv with the verb first and returns an exit status. */
int verb_run(int argc, char **argv);
int verb_create(int argc, char **argv);
int verb_apply(int argc, char **argv);
int verb_start(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_rm(int argc, char **argv);
int verb_wait(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_logs(int argc, char **argv);
int verb_exec(int argc, char **argv);
int verb_attach(int argc, char **argv);
int verb_cp(int argc, char **argv);
int verb_stats(int argc, char **argv);
int verb_top(int argc, char **argv);
int verb_port_forward(int argc, char **argv);

/* Of what was waited for and has not come in time, as timeout(1) has it. */
enum { STATUS_TIMEOUT = 124 };

/* ---- which pods ---- */

/* Options of all verbs that name pods. */
struct pods_scope {
    const char *space;    /* NULL: "default" */
    const char *selector; /* NULL: none */
    bool all_spaces;
    bool all; /* every pod of the namespace */
};

/* Lines of a table of options whose structure has a `struct pods_scope scope`. */
#define SCOPE_NAMESPACE(type)                                             \
    {                                                                     \
        'n', "namespace", true, pod_set_text, offsetof(type, scope.space) \
    }
#define SCOPE_MANY(type)                                                                          \
    SCOPE_NAMESPACE(type), {'l', "selector", true, pod_set_text, offsetof(type, scope.selector)}, \
    {                                                                                             \
        'A', "all-namespaces", false, pod_set_flag, offsetof(type, scope.all_spaces)              \
    }

/* NAME, or NAMESPACE/NAME by -n; the caller's. NULL when memory is short, which has been said. */
char *scope_name(const struct pods_scope *scope, const char *word);

/* Whether a pod is of the scope's namespace. */
bool scope_has(const struct pods_scope *scope, const json_t *pod);

/* The pods that words (or, without any, the selector, or `all`) mean: their names, an array of
 * texts; NULL with the reason printed. */
json_t *scope_names(struct husk_pods *pods, const struct pods_scope *scope, char **words,
                    unsigned count);

/* ---- the library ---- */

/* NULL, and the reason printed. */
struct husk_pods *pods_open_all(void);

/* A pod with its status, or a list of those that the selector means, as JSON; a new reference. */
int pods_get(struct husk_pods *pods, const char *name, json_t **out, struct husk_error *err);
int pods_list(struct husk_pods *pods, const char *selector, json_t **out, struct husk_error *err);

/* "NAME" or "NAMESPACE/NAME" of a Pod object; the caller's, or NULL. */
char *pods_name_of(const json_t *pod);

/* The container that is meant when none is named; borrowed, or NULL. */
const char *pods_default_container(const json_t *pod);
/* husk_pod_remove_by_force(); what is left is told on standard error. */
int pods_remove_by_force(struct husk_pods *pods, const char *name, struct husk_error *err);

/* Does it to each of the names, one after the other; what fails for one is printed and does not
 * keep the others from their turn. Returns an exit status. */
int pods_each(struct husk_pods *pods, const json_t *names,
              int (*act)(struct husk_pods *pods, const char *name, void *arg,
                         struct husk_error *err),
              void *arg);

/* Opens the pods, and does it to each that is meant; then `after` (may be NULL) to those for which
 * that worked. Returns an exit status, with what failed printed. */
int scope_each(const struct pods_scope *scope, char **words, unsigned count,
               int (*act)(struct husk_pods *pods, const char *name, void *arg,
                          struct husk_error *err),
               int (*after)(struct husk_pods *pods, const char *name, void *arg,
                            struct husk_error *err),
               void *arg);

/* Waits for something about pods to change, for at most timeout_ms, or until `fd` (-1: none) is
 * readable. Whether `fd` is. */
bool pods_await(struct husk_pods *pods, int fd, int timeout_ms);

/* SIGINT and SIGTERM, blocked from now on, for poll(); -1 with the reason printed. */
int pods_open_signals(void);

/* Reads the files ("-": standard input) as one manifest; NULL, and the reason printed. */
struct husk_manifest *pods_load(char **files, unsigned count, const struct pod_list *more,
                                bool lenient);

/* Gets the images of a pod that are not here, or that are to be got anew, with progress on a
 * terminal. Returns 0 or an exit status with the reason printed. */
int pods_pull(const struct husk_manifest *manifest, unsigned index, bool quiet);

#endif
