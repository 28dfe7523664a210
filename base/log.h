// SPDX-License-Identifier: Apache-2.0
/*
 * Logging without globals: every component is handed a `const struct log *` and writes one line per
 * event through it. A NULL log swallows everything.
 *
 * Anything that a guest (or another untrusted peer) can trigger repeatedly goes through
 * log_limited(), so that it cannot fill a disk or slow the monitor.
 */
#ifndef HUSK_BASE_LOG_H
#define HUSK_BASE_LOG_H

#include <stdint.h>

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
};

/* Receives one finished line without newline. Called from any thread, maybe concurrently. */
typedef void (*log_sink_fn)(void *arg, enum log_level level, const char *line);

struct log {
    log_sink_fn sink;
    void *sink_arg;
    enum log_level level; /* lines above this level are dropped before formatting */
};

/* A budget of lines per second for one source of untrusted events. Zero-initialise. */
struct log_limit {
    uint64_t window_start_ns;
    uint32_t lines_in_window;
    uint32_t suppressed;
};

void log_write(const struct log *log, enum log_level level, const char *component,
               const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * As log_write, but at most 10 lines a second for one `limit`; what was suppressed is counted and
 * said in the next line that passes. The limit is not locked: give each thread or lock its own.
 */
void log_limited(const struct log *log, struct log_limit *limit, enum log_level level,
                 const char *component, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#define log_error(log, component, ...) log_write((log), LOG_LEVEL_ERROR, (component), __VA_ARGS__)
#define log_warn(log, component, ...)  log_write((log), LOG_LEVEL_WARN, (component), __VA_ARGS__)
#define log_info(log, component, ...)  log_write((log), LOG_LEVEL_INFO, (component), __VA_ARGS__)
#define log_debug(log, component, ...) log_write((log), LOG_LEVEL_DEBUG, (component), __VA_ARGS__)

#endif
