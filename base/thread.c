// SPDX-License-Identifier: Apache-2.0
/* Threads with signals blocked: see thread.h. */
#include "base/thread.h"

#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/checked.h"

static void all_but_faults(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS};

    sigfillset(set);
    for (unsigned i = 0; i < ARRAY_SIZE(faults); i++)
        sigdelset(set, faults[i]);
}

/* On the starter's stack until `ready`. */
struct start {
    const char *name;
    const struct thread_prologue *prologue;
    void *(*run)(void *arg);
    void *arg;
    int result;
    sem_t ready;
};

static void *begin(void *arg)
{
    struct start *start = arg;
    void *(*run)(void *arg) = start->run;
    void *run_arg = start->arg;
    int result = 0;

    /* By itself: for another thread it takes /proc, which a process in jail does not have. */
    prctl(PR_SET_NAME, start->name, 0, 0, 0);
    if (start->prologue)
        result = start->prologue->run(start->prologue->arg);
    start->result = result;
    sem_post(&start->ready);
    return result ? NULL : run(run_arg);
}

/* Returns 0 or -errno; begin() has taken all it needs from *start then. */
static int create(pthread_t *out, size_t stack_bytes, struct start *start)
{
    pthread_attr_t attr;
    sigset_t blocked;
    int rc = pthread_attr_init(&attr);

    if (rc)
        return -rc;
    all_but_faults(&blocked);
    rc = pthread_attr_setsigmask_np(&attr, &blocked);
    if (rc == 0 && stack_bytes)
        rc = pthread_attr_setstacksize(&attr, stack_bytes);
    if (rc == 0)
        rc = pthread_create(out, &attr, begin, start);
    pthread_attr_destroy(&attr);
    if (rc)
        return -rc;
    while (sem_wait(&start->ready) < 0) /* EINTR: a signal of the host program's */
        ;
    if (start->result)
        pthread_join(*out, NULL);
    return start->result;
}

int thread_start_with(pthread_t *out, const char *name, size_t stack_bytes,
                      const struct thread_prologue *prologue, void *(*run)(void *arg), void *arg)
{
    struct start start = {.name = name, .prologue = prologue, .run = run, .arg = arg};
    int ret;

    sem_init(&start.ready, 0, 0);
    ret = create(out, stack_bytes, &start);
    sem_destroy(&start.ready);
    return ret;
}

int thread_start(pthread_t *out, const char *name, size_t stack_bytes, void *(*run)(void *arg),
                 void *arg)
{
    return thread_start_with(out, name, stack_bytes, NULL, run, arg);
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
