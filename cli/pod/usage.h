// SPDX-License-Identifier: Apache-2.0
/* What containers use, for tables: the columns that `husk stats` and `husk pod stats` share. */
#ifndef HUSK_CLI_POD_USAGE_H
#define HUSK_CLI_POD_USAGE_H

#include <jansson.h>
#include <stdint.h>

#include "cli/pod/table.h"

#define USAGE_MAX       1024u
#define USAGE_KEY_BYTES 208u

/* The processor time of each container a moment ago. Zero-initialise; big. */
struct usage_history {
    struct {
        char key[USAGE_KEY_BYTES]; /* an id, or names */
        uint64_t at_ns, cpu_us;
    } before[USAGE_MAX];
    unsigned count;
};

/* "stats" of husk/agent.h as four cells: CPU since the last look or, at the first, since the
 * container's start; MEMORY; READ / WRITE; PROCESSES. */
void usage_add_cells(struct table *table, struct usage_history *history, const char *key,
                     uint64_t started_ns, const json_t *stats);

/* A count in an object; 0 when there is none. */
uint64_t usage_number(const json_t *object, const char *name);

/* The resident memory of "machine" as a cell. */
void usage_add_machine(struct table *table, const json_t *machine);

#endif
