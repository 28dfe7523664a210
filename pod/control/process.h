// SPDX-License-Identifier: Apache-2.0
/*
 * What the process of every supervisor has of its own, whatever it keeps: a log, signals, and a
 * first client that hears of errors even before there is a server.
 */
#ifndef HUSK_POD_CONTROL_PROCESS_H
#define HUSK_POD_CONTROL_PROCESS_H

#include <stdint.h>

#include "base/event_loop.h"
#include "base/log.h"
#include "husk/error.h"

/* A sink of struct log: lines with their time to standard error, which is the file `errors`. */
void process_log_line(void *arg, enum log_level level, const char *line);

/* Field 22 of /proc/self/stat, which tells a reused pid; 0 when it cannot be read. */
uint64_t process_start_time(void);

/* Nanoseconds since 1970. */
uint64_t process_now_ns(void);

/*
 * SIGTERM and SIGINT call `fn` on the loop's thread, with *fd readable once for each signal
 * (process_take_signal()); signals that would end the process for a socket, a terminal or a file's
 * size are ignored. 0 or -errno. *fd and *source are the caller's.
 */
int process_watch_signals(struct event_loop *loop, event_fn fn, void *arg, int *fd,
                          struct event_source **source);
/* Whether there was one. */
bool process_take_signal(int fd);

/* Before there is a server: the first client waits for an answer to its hello. */
void process_tell_first(int fd, const struct husk_error *error);

#endif
