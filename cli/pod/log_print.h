// SPDX-License-Identifier: Apache-2.0
/* What `husk logs` and `husk pod logs` share: printing lines, and options. */
#ifndef HUSK_CLI_POD_LOG_PRINT_H
#define HUSK_CLI_POD_LOG_PRINT_H

#include "cli/pod/options.h"

/* One container's log on its way to standard output and error. Zero-initialise. */
struct log_print {
    bool times;         /* each line's time is printed before it */
    const char *prefix; /* printed before that; NULL: nothing */
    bool line_open[2];  /* the last record of the stream was a part of a line */
};

/* A line, or a part of one. `time` has LOG_TIME_LENGTH characters. Whether anybody reads it. */
bool log_print(struct log_print *print, const char *time, bool is_error, bool partial,
               const char *text, size_t len);

/* Setters: int64_t lines, -1 for all; int64_t nanoseconds since 1970. */
int log_set_tail(void *member, const struct pod_place *place, const char *value);
int log_set_since(void *member, const struct pod_place *place, const char *value);

#endif
