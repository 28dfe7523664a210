// SPDX-License-Identifier: Apache-2.0
/* What is wrong in one round of the reconcile loop. Comparing it with the former round's tells what
 * is news. Pure. */
#ifndef HUSK_CLI_NODE_PROBLEMS_H
#define HUSK_CLI_NODE_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>

struct problem {
    char *file; /* a base name; "" */
    char *pod;  /* "" for the file as a whole; both "": the directory */
    char *uid;  /* of the pod; "" */
    char *reason, *message;
};

struct problems {
    struct problem *items;
    size_t count;
};

/* Any text may be NULL. Without memory it is left out. */
void problems_add(struct problems *problems, const char *file, const char *pod, const char *uid,
                  const char *reason, const char *message);
void problems_free(struct problems *problems);

/* One with the same file, pod, reason and message is there. */
bool problems_have(const struct problems *problems, const struct problem *problem);

/* The first of a file or pod ("" and NULL are the same), or NULL. */
const struct problem *problems_of_file(const struct problems *problems, const char *file);
const struct problem *problems_of_pod(const struct problems *problems, const char *pod);

#endif
