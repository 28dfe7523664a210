// SPDX-License-Identifier: Apache-2.0
/*
 * A console by callback: between the calls of husk/husk.h and the descriptors that a VM has for its
 * console. The VM's end is an ordinary socket, so it does not matter in which process the VM runs.
 *
 * Threads: console_callback_input() from any thread, also from inside the callback; the rest on the
 * thread that builds and frees the VM.
 */
#ifndef HUSK_VMM_CONSOLE_CALLBACK_H
#define HUSK_VMM_CONSOLE_CALLBACK_H

#include <stddef.h>
#include <sys/types.h>

#include "husk/husk.h"

struct console_callback;

/* Make the pair of sockets and start the thread that calls `write`. 0 or -errno. The caller owns
 * *out. */
int console_callback_create(husk_console_fn write, void *arg, struct console_callback **out);

/* The VM's end, for input and output both. Stays the console's. */
int console_callback_fd(const struct console_callback *console);

/* Bytes for the guest: how many were taken, 0 while what was given before has not been read. -EPIPE
 * when nobody is left to read. Never blocks. */
ssize_t console_callback_input(struct console_callback *console, const void *bytes, size_t len);

/* Deliver all that the VM has written, then release. The VM has let go of its end. NULL is fine. */
void console_callback_destroy(struct console_callback *console);

#endif
