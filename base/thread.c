// SPDX-License-Identifier: Apache-2.0
/* Threads with signals blocked: see thread.h. */
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/checked.h"

static void all_but_faults(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};

    sigfillset(set);
    for (unsigned i = 0; i < ARRAY_SIZE(faults); i++)
        sigdelset(set, faults[i]);
}

int thread_start(pthread_t *out, const char *name, size_t stack_bytes, void *(*run)(void *arg),
                 void *arg)
{
    pthread_attr_t attr;
    sigset_t blocked;
    char shown[16];
    int rc = pthread_attr_init(&attr);

    if (rc)
        return -rc;
    all_but_faults(&blocked);
    rc = pthread_attr_setsigmask_np(&attr, &blocked);
    if (rc == 0 && stack_bytes)
        rc = pthread_attr_setstacksize(&attr, stack_bytes);
    if (rc == 0)
        rc = pthread_create(out, &attr, run, arg);
    pthread_attr_destroy(&attr);
    if (rc)
        return -rc;
    snprintf(shown, sizeof(shown), "%.15s", name);
    pthread_setname_np(*out, shown);
    return 0;
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) < 0)
        return 0;
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void thread_cpu_time_begin(struct thread_cpu_time *time)
{
    clockid_t clock;

    if (pthread_getcpuclockid(pthread_self(), &clock))
        return;
    atomic_store(&time->ended_ns, 0);
    atomic_store(&time->clock, clock);
    atomic_store(&time->running, true);
}

void thread_cpu_time_end(struct thread_cpu_time *time)
{
    atomic_store(&time->ended_ns, clock_ns(CLOCK_THREAD_CPUTIME_ID));
    atomic_store(&time->running, false);
}

uint64_t thread_cpu_time_ns(const struct thread_cpu_time *time)
{
    uint64_t running_ns = 0, ended_ns;

    if (atomic_load(&time->running))
        running_ns = clock_ns(atomic_load(&time->clock));
    /* Its clock says nothing any more once a thread has gone; then this is set, and is the most
     * that it ever said. */
    ended_ns = atomic_load(&time->ended_ns);
    return running_ns > ended_ns ? running_ns : ended_ns;
}
