// SPDX-License-Identifier: Apache-2.0
/*
 * One line of a container's log in the form that Kubernetes' container runtime interface gives it:
 *     2026-11-29T02:00:00.000000000Z stdout F text
 * "F" is a line of the container's, "P" a part of one that goes on in the next record of the
 * stream.
 */
#ifndef HUSK_POD_LOG_LINE_H
#define HUSK_POD_LOG_LINE_H

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

/* A time in that form; one before 1970 is 1970. -ERANGE after the year 9999. */
int log_time_format(int64_t since_1970_ns, char out[LOG_TIME_LENGTH + 1]);

#endif
