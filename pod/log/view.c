// SPDX-License-Identifier: Apache-2.0
/* What of a log is wanted: see view.h. */
#include "pod/log/view.h"

#include <string.h>

/* The next line that is not too old. */
static int next_wanted(struct log_reader *reader, const char *since, struct log_line *out)
{
    int ret;

    do
        ret = log_reader_next(reader, out);
    while (ret == 1 && memcmp(out->time, since, LOG_TIME_LENGTH) < 0);
    return ret;
}

/* How many lines there are. */
static int count_lines(struct log_view *view, uint64_t *lines)
{
    struct log_line line;
    bool open[2] = {false, false};
    int ret;

    *lines = 0;
    while ((ret = next_wanted(&view->reader, view->since, &line)) == 1) {
        *lines += !line.partial;
        open[line.is_error] = line.partial;
    }
    *lines += open[0] + open[1]; /* the last one may have no end */
    return ret;
}

int log_view_open(struct log_view *view, int dir, const char *name, int64_t since_ns, int64_t tail)
{
    uint64_t lines;
    int ret;

    *view = (struct log_view){.skip = 0};
    log_reader_init(&view->reader, dir, name);
    ret = log_time_format(since_ns, view->since);
    if (ret || tail < 0)
        return ret;
    ret = count_lines(view, &lines);
    log_reader_close(&view->reader);
    log_reader_init(&view->reader, dir, name);
    if (!ret && lines > (uint64_t)tail)
        view->skip = lines - (uint64_t)tail;
    return ret;
}

void log_view_close(struct log_view *view)
{
    log_reader_close(&view->reader);
}

int log_view_next(struct log_view *view, struct log_line *out)
{
    int ret;

    while ((ret = next_wanted(&view->reader, view->since, out)) == 1) {
        if (view->skip == 0)
            return 1;
        view->skip -= !out->partial;
    }
    return ret;
}
