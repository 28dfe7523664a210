// SPDX-License-Identifier: Apache-2.0
/* The network's thread: see network_worker.h. */
#include "pod/pods/network_worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/io.h"

static void finish(struct network_worker *worker)
{
    pthread_join(worker->thread, NULL);
    worker->running = false;
    event_source_remove(worker->source);
    worker->source = NULL;
    close_fd(&worker->over);
}

static void on_over(void *arg, uint32_t events)
{
    struct network_worker *worker = arg;

    (void)events;
    finish(worker);
    worker->done(worker->arg, worker->ret ? &worker->error : NULL);
}

static void *run(void *arg)
{
    struct network_worker *worker = arg;
    uint64_t one = 1;

    worker->ret = pod_network_down(worker->dir, &worker->error);
    if (worker->up && worker->ret == 0)
        worker->ret = pod_network_up(worker->request, worker->result, &worker->error);
    (void)!write(worker->over, &one, sizeof(one));
    return NULL;
}

static int start(struct network_worker *worker, bool up)
{
    sigset_t all, before;
    int ret;

    worker->up = up;
    worker->over = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->over < 0)
        return -errno;
    ret = event_loop_add(worker->loop, worker->over, EPOLLIN, on_over, worker, &worker->source);
    if (ret == 0) {
        sigfillset(&all); /* signals are the loop's */
        pthread_sigmask(SIG_SETMASK, &all, &before);
        ret = -pthread_create(&worker->thread, NULL, run, worker);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    worker->running = ret == 0;
    if (ret) {
        event_source_remove(worker->source);
        worker->source = NULL;
        close_fd(&worker->over);
    }
    return ret;
}

int network_worker_up(struct network_worker *worker)
{
    return start(worker, true);
}

int network_worker_down(struct network_worker *worker)
{
    return start(worker, false);
}

void network_worker_join(struct network_worker *worker)
{
    if (worker->running)
        finish(worker);
}
