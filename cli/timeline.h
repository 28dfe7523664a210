// SPDX-License-Identifier: Apache-2.0
/* Showing where the time of a start went, as text and as a picture. */
#ifndef HUSK_CLI_TIMELINE_H
#define HUSK_CLI_TIMELINE_H

#include <stdio.h>

#include "base/timeline.h"
#include "husk/husk.h"

/* What happened in one start, in order of time. */
struct timeline_moments {
    struct husk_moment at[TIMELINE_POINTS];
    unsigned count;
    uint64_t pinned_bytes; /* that the moment "pinned" is about */
};

/* The phase that ends at a moment, for people: "guest memory". */
const char *timeline_phase(const char *moment_name);

/* A table: when each phase ended and how long it took, in milliseconds since the first moment. */
void timeline_print(FILE *out, const struct timeline_moments *moments);

/* An SVG document with a bar a phase. Returns 0 or -errno (the stream's error). */
int timeline_svg(FILE *out, const struct timeline_moments *moments);

/*
 * A picture file that appears whole or not at all: created beside `path` under a temporary name,
 * renamed by _commit, removed by _abandon.
 */
struct timeline_file {
    FILE *stream;
    const char *path;
    char temporary[4096];
};
int timeline_file_open(struct timeline_file *file, const char *path, struct husk_error *err);
int timeline_file_commit(struct timeline_file *file, const struct timeline_moments *moments,
                         struct husk_error *err);
void timeline_file_abandon(struct timeline_file *file);

#endif
