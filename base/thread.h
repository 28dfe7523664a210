// SPDX-License-Identifier: Apache-2.0
/*
 * Threads of the monitor: they block all signals from their first instruction, so that none of the
 * host program's is ever delivered to them. Only those that report a fault of the thread itself
 * (SIGSEGV and the like) stay open: the kernel would kill the process for them all the same, but
 * past the program's own crash handler.
 */
#ifndef HUSK_BASE_THREAD_H
#define HUSK_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* name: for ps and debuggers, of which 15 characters show. stack_bytes: 0 for the system's default.
 * Returns 0 or -errno. */
int thread_start(pthread_t *out, const char *name, size_t stack_bytes, void *(*run)(void *arg),
                 void *arg);

#endif
