// SPDX-License-Identifier: Apache-2.0
/*
 * The log of a VM, one line an event:
 *
 *     2026-01-31T12:00:00.123456789 [ID:THREAD:LEVEL:ORIGIN] text
 *
 * in UTC, where LEVEL and ORIGIN (the part of the program that speaks) are shown on request.
 *
 * Lines come from any thread, vCPUs included, so writing never blocks: the file is non-blocking,
 * and what a full FIFO or disk does not take is dropped and counted. Threads under a system call
 * filter may come here: nothing but write() is called.
 *
 * Settings change only while there is no VM.
 */
#ifndef HUSK_VMM_API_LOG_H
#define HUSK_VMM_API_LOG_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/husk.h"
#include "vmm/api/settings.h"

#define API_MODULE_MAX 64u

struct api_log {
    int fd;             /* -1 until a path is set: then standard error */
    unsigned max_level; /* LOG_CHOICE_OFF .. LOG_CHOICE_DEBUG */
    bool show_level, show_origin;
    char module[API_MODULE_MAX]; /* only origins that begin so; "": all */
    char id[API_ID_MAX + 1];
    int stderr_fd; /* a descriptor of standard error */
    bool stderr_is_socket, stderr_blocks;
    _Atomic uint64_t missed;
};

void log_init(struct api_log *log, const char *id);
void log_close(struct api_log *log);

/* Apply what is given; a level that is not becomes Info, as with Firecracker. 0 or -errno, when the
 * path cannot be opened: then nothing changes. */
int log_configure(struct api_log *log, const struct logger_settings *settings);

/* The husk_log_fn of VMs; arg is the log. */
void log_vm_line(void *arg, enum husk_log_level level, const char *line);

/* A line of the API's own. */
void log_vprint(struct api_log *log, enum husk_log_level level, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
void log_print(struct api_log *log, enum husk_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What husk needs not even format. */
enum husk_log_level log_vm_level(const struct api_log *log);

/* Open a file or FIFO for writing that must never block: made when missing, appended to. For
 * reading too, so that a FIFO opens without a reader and outlives it. Returns it or -errno. */
int open_sink(const char *path);

#endif
