// SPDX-License-Identifier: Apache-2.0
/*
 * What a guest's console said last, kept for the case that somebody asks why the machine does not
 * run. A ring of fixed size: a guest that floods it costs nothing but its own time.
 *
 * Written by libhusk's console thread, read by any other; a lock for the time of a copy.
 */
#ifndef HUSK_POD_MACHINE_CONSOLE_H
#define HUSK_POD_MACHINE_CONSOLE_H

#include <pthread.h>
#include <stddef.h>

#include "husk/error.h"
#include "husk/husk.h"

#define CONSOLE_TAIL_BYTES 8192u

struct console_tail {
    pthread_mutex_t lock;
    char bytes[CONSOLE_TAIL_BYTES];
    size_t start, len; /* a ring */
};

void console_tail_init(struct console_tail *tail);
void console_tail_destroy(struct console_tail *tail);

/* A husk_console_fn; arg is the tail. */
void console_tail_write(void *arg, const void *bytes, size_t len);

/*
 * The last whole lines that fit into `size` bytes with the NUL: printable ASCII, each ended by one
 * newline, no empty ones. Returns the length.
 */
size_t console_tail_read(struct console_tail *tail, char *text, size_t size);

/* See pod_machine_explain(). */
int console_explain(struct console_tail *tail, const struct husk_event *event,
                    struct husk_error *err);

#endif
