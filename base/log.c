// SPDX-License-Identifier: Apache-2.0
/* Formatting log lines into a caller-given sink: see log.h. No state of its own. */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/io.h"

#define LINES_PER_SECOND 10u
#define SECOND_NS        1000000000ull

__attribute__((format(printf, 4, 0))) static void emit(const struct log *log, enum log_level level,
                                                       const char *component, const char *format,
                                                       va_list args, uint32_t suppressed)
{
    char line[512];
    int used = snprintf(line, sizeof(line), "%s: ", component);

    if (used < 0 || (size_t)used >= sizeof(line))
        used = 0;
    vsnprintf(line + used, sizeof(line) - (size_t)used, format, args);
    /* A guest's bytes may be in here: one event is one printable line. */
    for (char *c = line; *c; c++) {
        if (*c < 0x20 || *c > 0x7e)
            *c = '?';
    }
    if (suppressed) {
        char note[64];

        snprintf(note, sizeof(note), "%s: %u similar lines suppressed", component, suppressed);
        log->sink(log->sink_arg, level, note);
    }
    log->sink(log->sink_arg, level, line);
}

static bool wanted(const struct log *log, enum log_level level)
{
    return log && log->sink && level <= log->level;
}

void log_write(const struct log *log, enum log_level level, const char *component,
               const char *format, ...)
{
    va_list args;

    if (!wanted(log, level))
        return;
    va_start(args, format);
    emit(log, level, component, format, args, 0);
    va_end(args);
}

void log_limited(const struct log *log, struct log_limit *limit, enum log_level level,
                 const char *component, const char *format, ...)
{
    uint32_t suppressed = 0;
    uint64_t now;
    va_list args;

    if (!wanted(log, level))
        return;
    now = monotonic_ns();
    if (limit->window_start_ns == 0 || now - limit->window_start_ns >= SECOND_NS) {
        limit->window_start_ns = now;
        limit->lines_in_window = 0;
        suppressed = limit->suppressed;
        limit->suppressed = 0;
    }
    if (limit->lines_in_window >= LINES_PER_SECOND) {
        if (limit->suppressed < UINT32_MAX)
            limit->suppressed++;
        return;
    }
    limit->lines_in_window++;
    va_start(args, format);
    emit(log, level, component, format, args, suppressed);
    va_end(args);
}
