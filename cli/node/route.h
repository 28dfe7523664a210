// SPDX-License-Identifier: Apache-2.0
/* From a request's method and path to what is asked for; and its parameters. Pure. */
#ifndef HUSK_CLI_NODE_ROUTE_H
#define HUSK_CLI_NODE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"

enum verb {
    VERB_HEALTH,
    VERB_VERSION,
    VERB_STATUS,
    VERB_METRICS,
    VERB_EVENTS,
    VERB_LIST,
    VERB_APPLY,
    VERB_GET,
    VERB_DELETE,
    VERB_START,
    VERB_STOP,
    VERB_STATS,
    VERB_LOG,
    VERB_EXEC,
    VERB_ATTACH,
    VERB_PORT_FORWARD,
    VERBS
};

#define POD_NAME_MAX 64u

struct route {
    enum verb verb;
    char pod[POD_NAME_MAX + 1]; /* "" where the path has none */
};

/* 0, or the HTTP status of the refusal: 404, or 405 where another method would do. */
int route_find(const char *method, const char *path, struct route *out);

/* How the client may get what it asks for, for the "Allow" of a 405: "GET, POST". */
const char *route_methods(const char *path);

#define COMMAND_WORDS_MAX 256u

/* What is absent is NULL, 0, false or as said. */
struct parameters {
    char *label_selector, *space, *container, *network, *address;
    char *command[COMMAND_WORDS_MAX + 1]; /* ended by NULL */
    unsigned command_words;
    bool stdin_open, tty, follow, previous, timestamps, lenient, has_tail;
    uint64_t tail_lines, after, port, columns, rows;
    int64_t since_seconds; /* -1 */
    int64_t grace_seconds; /* -1 */
};

void parameters_init(struct parameters *parameters);
void parameters_free(struct parameters *parameters);

/* One parameter of a request for `verb`. -EINVAL with err->where its name; -ENOMEM. */
int parameters_add(struct parameters *parameters, enum verb verb, const char *name,
                   const char *value, struct husk_error *err);

#endif
