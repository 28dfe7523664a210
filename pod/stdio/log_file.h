// SPDX-License-Identifier: Apache-2.0
/*
 * The log of what a container writes, in the format of the Kubernetes container runtime interface:
 *
 *     2026-11-29T02:00:00.000000000Z stdout F text
 *
 * F is a whole line, P a part of one: a line longer than LOG_FILE_LINE_MAX, or one that its stream
 * ended without a newline. A full file NAME becomes NAME.1, that one NAME.2, and the oldest goes.
 *
 * A disk that is full costs lines, which are counted and, once there is room again, said in the
 * log; it costs nothing else. What is in the file are whole lines: one that a host that stopped has
 * torn is mended when the file is opened again.
 */
#ifndef HUSK_POD_STDIO_LOG_FILE_H
#define HUSK_POD_STDIO_LOG_FILE_H

#include <stddef.h>
#include <stdint.h>

#define LOG_FILE_LINE_MAX (16u << 10)
#define LOG_FILE_NAME_MAX 31u

enum log_stream { LOG_STDOUT, LOG_STDERR };

struct log_file;

/* `dir` stays the caller's and is used as long as the log is open. `name` has at most
 * LOG_FILE_NAME_MAX bytes. `files` 0: everything is swallowed. A file that cannot be opened now is
 * tried again later. 0 or -ENOMEM. */
int log_file_open(int dir, const char *name, uint64_t file_bytes, unsigned files,
                  struct log_file **out);

/* What the container wrote; blocks for the disk. */
void log_file_write(struct log_file *log, enum log_stream stream, const void *bytes, size_t len);

/* The stream has ended: what it wrote last may lack its newline. */
void log_file_end(struct log_file *log, enum log_stream stream);

/* How many lines could not be written in all, and the errno value of the last that was not. */
uint64_t log_file_lost(const struct log_file *log, int *code);

/* Takes NULL. */
void log_file_close(struct log_file *log);

#endif
