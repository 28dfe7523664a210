// SPDX-License-Identifier: Apache-2.0
/* What of a log is wanted: the lines from a time on, and of these that there are the last few. */
#ifndef HUSK_POD_LOG_VIEW_H
#define HUSK_POD_LOG_VIEW_H

#include "pod/log/reader.h"

struct log_view {
    struct log_reader reader;
    char since[LOG_TIME_LENGTH + 1];
    uint64_t skip; /* lines that are still to be left out */
};

/* `dir` and `name` as for log_reader_init(). tail: so many of the last lines that there are now;
 * -1: all. Reads the log once for that. 0 or -errno; to be closed in any case. */
int log_view_open(struct log_view *view, int dir, const char *name, int64_t since_ns, int64_t tail);
void log_view_close(struct log_view *view);

/* As log_reader_next(). */
int log_view_next(struct log_view *view, struct log_line *out);

#endif
