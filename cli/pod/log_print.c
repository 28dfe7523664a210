// SPDX-License-Identifier: Apache-2.0
/* Lines of logs for people: see log_print.h. */
#include "cli/pod/log_print.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"
#include "cli/pod/log_since.h"
#include "pod/log/line.h"

bool log_print(struct log_print *print, const char *time, bool is_error, bool partial,
               const char *text, size_t len)
{
    FILE *out = is_error ? stderr : stdout;
    bool *open = &print->line_open[is_error];

    if (is_error)
        fflush(stdout);
    if (print->prefix && !*open)
        fputs(print->prefix, out);
    if (print->times && !*open)
        fprintf(out, "%.*s ", (int)LOG_TIME_LENGTH, time);
    fwrite(text, 1, len, out);
    if (!partial)
        fputc('\n', out);
    *open = partial;
    return !ferror(out);
}

int log_set_tail(void *member, const struct pod_place *place, const char *value)
{
    uint64_t number;

    if (!strcmp(value, "all")) {
        *(int64_t *)member = -1;
        return 0;
    }
    if (parse_u64(value, 0, INT32_MAX, &number))
        return pod_usage(place->syntax, "%s: %s: wants a number of lines, or all", place->option,
                         value);
    *(int64_t *)member = (int64_t)number;
    return 0;
}

int log_set_since(void *member, const struct pod_place *place, const char *value)
{
    if (log_since_parse(value, time(NULL), member))
        return pod_usage(
            place->syntax,
            "%s: %s: wants a time such as 2026-11-29T02:00:00Z, seconds since 1970, or "
            "how long ago, such as 10m",
            place->option, value);
    return 0;
}
