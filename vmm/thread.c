// SPDX-License-Identifier: Apache-2.0
/* Threads with all signals blocked: see thread.h. */
#include "vmm/thread.h"

#include <signal.h>
#include <stdio.h>

int thread_start(pthread_t *out, const char *name, void *(*run)(void *arg), void *arg)
{
    sigset_t all, before;
    char shown[16];
    int ret;

    /* A new thread inherits the mask. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = pthread_create(out, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ret)
        return -ret;
    snprintf(shown, sizeof(shown), "%.15s", name);
    pthread_setname_np(*out, shown);
    return 0;
}
