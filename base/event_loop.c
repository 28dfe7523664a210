// SPDX-License-Identifier: Apache-2.0
/*
 * An epoll loop: see event_loop.h for the contract.
 *
 * Data: each source is one allocation, linked into the loop's list; epoll carries its pointer. A
 * removed source is only marked dead and unlinked from epoll; it is freed after the batch of events
 * in which it may still be named. A timer is a source on a timerfd of its own. Calls from other
 * threads travel through a list under `call_lock`, announced by `wake_fd`.
 *
 * Invariants:
 *  1. A source on the list is registered with epoll exactly when it is alive and its mask is not 0
 *     (with a mask of 0 epoll would still report errors and hang-ups, for ever).
 *  2. `expected`, `running` and the caller list change only under call_lock, so that a caller
 * either finds the loop running, or about to be, and is served by it, or runs its function itself.
 */
#include "base/event_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/io.h"

#define BATCH 32

struct event_source {
    struct event_loop *loop;
    struct event_source *next;
    int fd;
    _Atomic uint32_t events; /* written by the owner, read by the loop's thread */
    bool registered;
    bool dead;
    event_fn fn;
    void *arg;
};

struct event_timer {
    struct event_source *source;
    int fd;
    event_call_fn fn;
    void *arg;
    bool dead;
    struct event_timer *next_dead;
};

struct pending_call {
    event_call_fn fn;
    void *arg;
    bool done;
    struct pending_call *next;
};

struct event_loop {
    int epoll_fd;
    int wake_fd;
    struct event_source *sources;
    struct event_timer *dead_timers;
    bool any_dead;
    atomic_bool stop;

    pthread_mutex_t call_lock;
    pthread_cond_t call_done;
    struct pending_call *calls; /* guarded by call_lock, oldest first */
    bool expected, running;     /* guarded by call_lock */
    pthread_t thread;           /* valid while running; guarded by call_lock */
};

int event_loop_create(struct event_loop **out)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct event_loop *loop = calloc(1, sizeof(*loop));
    int ret;

    if (!loop)
        return -ENOMEM;
    loop->wake_fd = -1;
    pthread_mutex_init(&loop->call_lock, NULL);
    pthread_cond_init(&loop->call_done, NULL);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        ret = -errno;
        goto fail;
    }
    loop->wake_fd = eventfd_open();
    if (loop->wake_fd < 0) {
        ret = loop->wake_fd;
        goto fail;
    }
    /* The one event without a source: data.ptr stays NULL. */
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0) {
        ret = -errno;
        goto fail;
    }
    *out = loop;
    return 0;

fail:
    event_loop_destroy(loop);
    return ret;
}

static void release_dead(struct event_loop *loop)
{
    struct event_source **at = &loop->sources;

    if (!loop->any_dead)
        return;
    loop->any_dead = false;
    while (*at) {
        struct event_source *source = *at;

        if (source->dead) {
            *at = source->next;
            free(source);
        } else {
            at = &source->next;
        }
    }
    while (loop->dead_timers) {
        struct event_timer *timer = loop->dead_timers;

        loop->dead_timers = timer->next_dead;
        free(timer);
    }
}

static void timer_fired(void *arg, uint32_t events);

void event_loop_destroy(struct event_loop *loop)
{
    if (!loop)
        return;
    for (struct event_source *source = loop->sources; source; source = source->next) {
        if (source->dead)
            continue;
        if (source->fn == timer_fired)
            event_timer_remove(source->arg);
        else
            event_source_remove(source);
    }
    release_dead(loop);
    close_fd(&loop->wake_fd);
    close_fd(&loop->epoll_fd);
    pthread_cond_destroy(&loop->call_done);
    pthread_mutex_destroy(&loop->call_lock);
    free(loop);
}

int event_loop_add(struct event_loop *loop, int fd, uint32_t events, event_fn fn, void *arg,
                   struct event_source **out)
{
    struct epoll_event event = {.events = events};
    struct event_source *source = calloc(1, sizeof(*source));
    int ret;

    if (!source)
        return -ENOMEM;
    source->loop = loop;
    source->fd = fd;
    source->events = events;
    source->fn = fn;
    source->arg = arg;
    event.data.ptr = source;
    /* Added even when nothing is watched yet, so that an unpollable descriptor fails here. */
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        ret = -errno;
        free(source);
        return ret;
    }
    source->registered = true;
    if (events == 0) {
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        source->registered = false;
    }
    source->next = loop->sources;
    loop->sources = source;
    if (out)
        *out = source;
    return 0;
}

int event_source_watch(struct event_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    int op;

    if (source->dead || (source->registered && source->events == events))
        return 0;
    source->events = events;
    if (events == 0) {
        if (!source->registered)
            return 0;
        op = EPOLL_CTL_DEL;
    } else {
        op = source->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    }
    if (epoll_ctl(source->loop->epoll_fd, op, source->fd, &event) < 0)
        return -errno;
    source->registered = events != 0;
    return 0;
}

void event_source_remove(struct event_source *source)
{
    if (!source || source->dead)
        return;
    event_source_watch(source, 0);
    source->dead = true;
    source->loop->any_dead = true;
}

static void timer_fired(void *arg, uint32_t events)
{
    struct event_timer *timer = arg;
    uint64_t expirations;

    /* Disarmed or re-armed since the event was fetched: nothing to read, nothing to do. */
    if (read(timer->fd, &expirations, sizeof(expirations)) != (ssize_t)sizeof(expirations))
        return;
    timer->fn(timer->arg);
}

int event_loop_add_timer(struct event_loop *loop, event_call_fn fn, void *arg,
                         struct event_timer **out)
{
    struct event_timer *timer = calloc(1, sizeof(*timer));
    int ret;

    if (!timer)
        return -ENOMEM;
    timer->fn = fn;
    timer->arg = arg;
    timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer->fd < 0) {
        ret = -errno;
        free(timer);
        return ret;
    }
    ret = event_loop_add(loop, timer->fd, EPOLLIN, timer_fired, timer, &timer->source);
    if (ret) {
        close_fd(&timer->fd);
        free(timer);
        return ret;
    }
    *out = timer;
    return 0;
}

static void timer_set(struct event_timer *timer, uint64_t delay_ns)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(delay_ns / 1000000000ull),
                     .tv_nsec = (long)(delay_ns % 1000000000ull)},
    };

    /* Fails only for times that cannot be represented; delay_ns / 1e9 always can. */
    timerfd_settime(timer->fd, 0, &when, NULL);
}

void event_timer_arm(struct event_timer *timer, uint64_t delay_ns)
{
    timer_set(timer, delay_ns ? delay_ns : 1); /* 0 would disarm */
}

void event_timer_disarm(struct event_timer *timer)
{
    timer_set(timer, 0);
}

void event_timer_remove(struct event_timer *timer)
{
    struct event_loop *loop;

    if (!timer || timer->dead)
        return;
    loop = timer->source->loop;
    event_source_remove(timer->source);
    close_fd(&timer->fd);
    timer->dead = true;
    timer->next_dead = loop->dead_timers;
    loop->dead_timers = timer;
}

static void run_calls(struct event_loop *loop)
{
    pthread_mutex_lock(&loop->call_lock);
    while (loop->calls) {
        struct pending_call *call = loop->calls;

        loop->calls = call->next;
        pthread_mutex_unlock(&loop->call_lock);
        call->fn(call->arg);
        pthread_mutex_lock(&loop->call_lock);
        call->done = true;
        pthread_cond_broadcast(&loop->call_done);
    }
    pthread_mutex_unlock(&loop->call_lock);
}

int event_loop_run_once(struct event_loop *loop, int timeout_ms)
{
    struct epoll_event events[BATCH];
    int count = epoll_wait(loop->epoll_fd, events, BATCH, timeout_ms);
    int called = 0;

    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        struct event_source *source = events[i].data.ptr;

        if (!source) {
            eventfd_drain(loop->wake_fd);
            run_calls(loop);
            continue;
        }
        /* Removed, or no longer watched, by an earlier callback of this batch. */
        if (source->dead || source->events == 0)
            continue;
        source->fn(source->arg, events[i].events);
        called++;
    }
    release_dead(loop);
    return called;
}

int event_loop_run(struct event_loop *loop)
{
    int ret = 0;

    pthread_mutex_lock(&loop->call_lock);
    loop->expected = false;
    loop->running = true;
    loop->thread = pthread_self();
    pthread_mutex_unlock(&loop->call_lock);

    while (!atomic_load(&loop->stop) && ret >= 0)
        ret = event_loop_run_once(loop, -1);

    pthread_mutex_lock(&loop->call_lock);
    loop->running = false;
    pthread_mutex_unlock(&loop->call_lock);
    /* Whoever queued a call before `running` fell is still waiting for it. */
    run_calls(loop);
    atomic_store(&loop->stop, false);
    return ret < 0 ? ret : 0;
}

void event_loop_stop(struct event_loop *loop)
{
    atomic_store(&loop->stop, true);
    eventfd_signal(loop->wake_fd);
}

void event_loop_expect_run(struct event_loop *loop, bool expected)
{
    pthread_mutex_lock(&loop->call_lock);
    loop->expected = expected;
    pthread_mutex_unlock(&loop->call_lock);
}

void event_loop_call(struct event_loop *loop, event_call_fn fn, void *arg)
{
    struct pending_call call = {.fn = fn, .arg = arg};
    struct pending_call **tail;

    pthread_mutex_lock(&loop->call_lock);
    if (!loop->expected && (!loop->running || pthread_equal(loop->thread, pthread_self()))) {
        pthread_mutex_unlock(&loop->call_lock);
        fn(arg);
        return;
    }
    for (tail = &loop->calls; *tail; tail = &(*tail)->next)
        ;
    *tail = &call;
    eventfd_signal(loop->wake_fd);
    while (!call.done)
        pthread_cond_wait(&loop->call_done, &loop->call_lock);
    pthread_mutex_unlock(&loop->call_lock);
}
