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
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* What a thread does before anything else; it never runs when that fails with -errno. */
struct thread_prologue {
    int (*run)(void *arg);
    void *arg;
};

/*
 * name: for ps and debuggers, of which 15 characters show. stack_bytes: 0 for the system's default.
 * prologue: NULL for none. Returns when the thread has its name and its prologue behind it: 0 or
 * -errno.
 */
int thread_start_with(pthread_t *out, const char *name, size_t stack_bytes,
                      const struct thread_prologue *prologue, void *(*run)(void *arg), void *arg);

/* The same without a prologue. */
int thread_start(pthread_t *out, const char *name, size_t stack_bytes, void *(*run)(void *arg),
                 void *arg);

/* The CPU time of one thread, also after its end. Zero-initialise. The thread itself calls begin
 * and end; any thread reads, at any time. */
struct thread_cpu_time {
    atomic_bool running;
    _Atomic int clock;         /* clockid_t of the thread, while it runs */
    _Atomic uint64_t ended_ns; /* what it came to */
};

void thread_cpu_time_begin(struct thread_cpu_time *time);
void thread_cpu_time_end(struct thread_cpu_time *time);
uint64_t thread_cpu_time_ns(const struct thread_cpu_time *time);

#endif
