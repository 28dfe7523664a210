// SPDX-License-Identifier: Apache-2.0
/* Threads with signals blocked: see thread.h. */
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>

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
