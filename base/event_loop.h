// SPDX-License-Identifier: Apache-2.0
/*
 * An epoll loop for one thread: file descriptors, timers, and calls posted by other threads.
 *
 * Threads: event_loop_run() is called by the loop's one thread, and callbacks run there.
 * event_loop_stop() and event_loop_call() may be called from any thread; so may
 * event_source_watch() and event_timer_arm()/_disarm(), as long as calls on one object do not
 * overlap (its owner's lock is held). Everything else may be called from the loop's thread, or from
 * any one thread while the loop is not running (building and tearing down a machine).
 *
 * A callback may remove any source or timer, its own included: it is not called again, even when an
 * event for it was already fetched, and its memory is released after the current batch.
 */
#ifndef HUSK_BASE_EVENT_LOOP_H
#define HUSK_BASE_EVENT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct event_loop;
struct event_source;
struct event_timer;

/* `events` is the EPOLLIN/EPOLLOUT/EPOLLERR/EPOLLHUP mask that became ready. */
typedef void (*event_fn)(void *arg, uint32_t events);
typedef void (*event_call_fn)(void *arg);

/* Returns 0 or -errno. The caller owns *out. */
int event_loop_create(struct event_loop **out);

/* Removes and frees every remaining source and timer; closes none of the added descriptors. NULL is
 * fine. The loop must not be running. */
void event_loop_destroy(struct event_loop *loop);

/*
 * Watch fd (level-triggered) for `events` (0 is allowed: watch later by event_source_watch).
 * -EPERM when the descriptor cannot be polled (a regular file). fd stays the caller's, and must be
 * closed only after event_source_remove().
 */
int event_loop_add(struct event_loop *loop, int fd, uint32_t events, event_fn fn, void *arg,
                   struct event_source **out);

/* Change the watched events. Returns 0 or -errno. */
int event_source_watch(struct event_source *source, uint32_t events);

/* Stop watching and release. NULL is fine. */
void event_source_remove(struct event_source *source);

/* A disarmed one-shot timer on CLOCK_MONOTONIC. */
int event_loop_add_timer(struct event_loop *loop, event_call_fn fn, void *arg,
                         struct event_timer **out);

/* (Re)arm to fire once after delay_ns; 0 fires as soon as possible. */
void event_timer_arm(struct event_timer *timer, uint64_t delay_ns);
void event_timer_disarm(struct event_timer *timer);
void event_timer_remove(struct event_timer *timer);

/* Runs until event_loop_stop(). Returns 0, or -errno when waiting failed. */
int event_loop_run(struct event_loop *loop);

/* Dispatches what is ready, waiting at most timeout_ms (-1: without limit, 0: not at all).
 * Returns the number of callbacks made or -errno. */
int event_loop_run_once(struct event_loop *loop, int timeout_ms);

/* Makes event_loop_run() return after the current batch; sticky until the next run. */
void event_loop_stop(struct event_loop *loop);

/*
 * Say that a thread will run the loop soon (true, before starting it), or not after all (false):
 * until it does, calls wait for it instead of happening beside it.
 */
void event_loop_expect_run(struct event_loop *loop, bool expected);

/*
 * Run fn(arg) on the loop's thread and wait until it has returned. When the loop is neither being
 * run by another thread nor expected to be, or the caller is the loop's thread, fn is called
 * directly.
 */
void event_loop_call(struct event_loop *loop, event_call_fn fn, void *arg);

#endif
