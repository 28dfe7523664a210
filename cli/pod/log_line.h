// SPDX-License-Identifier: Apache-2.0
/*
 * One line of a container's log in the form that Kubernetes' container runtime interface gives it:
 *     2026-11-29T02:00:00.000000000Z stdout F text
 * "F" is a line of the container's, "P" a part of one that goes on in the next record of the
 * stream.
 */
#ifndef HUSK_CLI_POD_LOG_LINE_H
#define HUSK_CLI_POD_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_TIME_LENGTH 30u

struct log_line {
    const char *time; /* LOG_TIME_LENGTH characters, in UTC: comparing them compares times */
    bool is_error;    /* of standard error */
    bool partial;
    const char *text;
    size_t len;
};

/* A line without its newline. 0, or -EINVAL when it is none. */
int log_line_parse(const char *line, size_t len, struct log_line *out);

/* The time that --since means, in that form: "2026-11-29[T02:00[:00[.5]]][Z]", seconds since 1970,
 * or how long before now_s ("10m"). 0 or -EINVAL. */
int log_time_parse(const char *text, int64_t now_s, char out[LOG_TIME_LENGTH + 1]);

#endif
