// SPDX-License-Identifier: Apache-2.0
/*
 * What is to be done so that the pods that there are become the pods that are wanted. Pure: the
 * files, the pods and the clock go in, actions come out. Whoever carries them out need not succeed,
 * nor remember: the next round sees how far it came.
 *
 * A pod that is wanted                        is
 *   and is not there                          created and started
 *   and is there, of somebody else            left alone, and that is said
 *   and was made from another description     changed in place, or, where it cannot be, retired,
 *                                             which makes it one that is not there
 *   and has not been started                  started
 *   and has ended although it should run      started anew, with back-off
 * A pod of ours that is not wanted            is retired: ended gently, and removed once it has;
 *   unless its file cannot be read            then it is kept as it is
 *
 * Of two files with a pod of one name the one has it whose pod is there; else the first by name.
 */
#ifndef HUSK_CLI_NODE_PLAN_H
#define HUSK_CLI_NODE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/node/backoff.h"
#include "cli/node/names.h"
#include "cli/node/observed.h"

/* A pod in a file. */
struct wanted_pod {
    char *name;
    char hash[HASH_DIGITS + 1];
    size_t file;    /* in wanted.files */
    unsigned index; /* in the file's manifest */
};

struct wanted_file {
    char *name;
    bool broken; /* what it wants is not known */
};

struct wanted {
    struct wanted_file *files; /* by name */
    size_t file_count;
    struct wanted_pod *pods; /* by file, then as they are in it */
    size_t pod_count;
    bool unknown; /* the directory cannot be read: nothing is known about any file */
};

enum action_kind {
    ACTION_CREATE,  /* and start; pod */
    ACTION_START,   /* seen */
    ACTION_RESTART, /* the same, after an end; seen */
    ACTION_APPLY,   /* in place, else retire; pod, seen */
    ACTION_RETIRE,  /* seen */
    /* Nothing to do but to say: */
    ACTION_TAKEN,   /* the name is another file's, `file`; pod */
    ACTION_FOREIGN, /* the name is that of a pod of somebody else; pod, seen */
    ACTION_WAIT,    /* for the back-off; pod or seen */
};

struct action {
    enum action_kind kind;
    const struct wanted_pod *pod; /* NULL: of a file that is broken or gone */
    const struct observed_pod *seen;
    const char *file; /* ACTION_TAKEN */
};

struct plan {
    struct action *actions;
    size_t count;
};

/* 0 or -ENOMEM. *out points into wanted and observed. */
int plan_make(const struct wanted *wanted, const struct observed *observed, struct backoff *backoff,
              uint64_t now_ns, struct plan *out);
void plan_free(struct plan *plan);

/* It has ended, and its restartPolicy says that it should not have. */
bool plan_should_run(const struct observed_pod *pod);

#endif
