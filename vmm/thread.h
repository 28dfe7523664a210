// SPDX-License-Identifier: Apache-2.0
/*
 * Threads of the monitor: all signals blocked from their first instruction, so that the host
 * program's signals are never delivered to them.
 */
#ifndef HUSK_VMM_THREAD_H
#define HUSK_VMM_THREAD_H

#include <pthread.h>

/* name: for ps and debuggers, of which 15 characters show. Returns 0 or -errno. */
int thread_start(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg);

#endif
