// SPDX-License-Identifier: Apache-2.0
/*
 * What the agent counts, and its metrics in Prometheus' text format, version 0.0.4. Counters may be
 * counted by any thread; formatting is pure.
 */
#ifndef HUSK_CLI_NODE_METRICS_H
#define HUSK_CLI_NODE_METRICS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/node/observed.h"

enum operation {
    OPERATION_LIST,
    OPERATION_CREATE,
    OPERATION_START,
    OPERATION_RESTART,
    OPERATION_APPLY,
    OPERATION_STOP,
    OPERATION_REMOVE,
    OPERATIONS
};

#define DURATION_BUCKETS 12u

/* Zero-initialise. */
struct metrics {
    _Atomic uint64_t done[OPERATIONS], failed[OPERATIONS];
    _Atomic uint64_t
        rounds[DURATION_BUCKETS + 1]; /* by duration, not cumulative; the last: longer */
    _Atomic uint64_t round_ns;        /* of all */
    _Atomic uint64_t requests[6];     /* over HTTP, by the first digit of the status */
    _Atomic unsigned files, files_broken;
    _Atomic int64_t finished_ns; /* the last round, since 1970; 0: none yet */
};

void metrics_count(struct metrics *metrics, enum operation operation, bool failed);
void metrics_round(struct metrics *metrics, uint64_t took_ns);
void metrics_request(struct metrics *metrics, int status);

const char *operation_name(enum operation operation);

/* What one pod uses; from its husk_pod_stats(). */
struct pod_usage {
    const char *name; /* of an observed pod */
    uint64_t memory_bytes, cpu_ns;
};

/* The caller's text; NULL without memory. */
char *metrics_format(const struct metrics *metrics, const struct observed *observed,
                     const struct pod_usage *usage, size_t usage_count);

/* Reads husk_pod_stats()' text. False when it is none. */
bool usage_parse(const char *stats, struct pod_usage *out);

#endif
