// SPDX-License-Identifier: Apache-2.0
/*
 * What has happened, newest last: a bounded ring of Kubernetes Event objects, each also one line of
 * JSON on a descriptor. Any thread.
 */
#ifndef HUSK_CLI_NODE_EVENTS_H
#define HUSK_CLI_NODE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENTS_KEPT      1000u
#define EVENTS_FOLLOWERS 64u

struct events;

/* fd: where the lines go, -1: nowhere. It is the caller's, and is not waited for: a line that it
 * does not take at once is lost, as is said in the next one. `node` names this host, and is copied.
 * The first event's number is the one behind `before`: where that is the time in microseconds, a
 * number that another agent gave before this one is known for what it is.
 * NULL without memory. */
struct events *events_create(int fd, const char *node, uint64_t before);
/* NULL is fine. */
void events_destroy(struct events *events);

struct event {
    bool warning;
    const char *kind;   /* "Pod", "Manifest", "Node" */
    const char *name;   /* of a pod also NAMESPACE/NAME */
    const char *uid;    /* or NULL */
    const char *reason; /* in CamelCase */
    const char *message;
};

/* Without memory it is lost. */
void events_add(struct events *events, const struct event *event);

/* 0 when every event behind `after` is still there, as it always is for 0: from the oldest. -ESTALE
 * when some have gone, or it is no number of this agent's. */
int events_check(struct events *events, uint64_t after);

/* The events behind `after` as an EventList; the caller's text. Its resourceVersion is what to give
 * as `after` the next time. 0, -ENOMEM, or -ESTALE as events_check(). */
int events_list(struct events *events, uint64_t after, char **text);

/* The first event behind *after, as a line with its newline, which is the caller's; *after becomes
 * its number. 0; -EAGAIN: there is none yet; -ENOMEM; or -ESTALE as events_check(). */
int events_next(struct events *events, uint64_t *after, char **line);

/* What to tell who asked for them. */
extern const char events_gone[];

/* The number of the newest. */
uint64_t events_newest(struct events *events);

/* An eventfd that is signalled at each event, until events_unfollow(). The caller's. False when
 * there are too many. */
bool events_follow(struct events *events, int eventfd);
void events_unfollow(struct events *events, int eventfd);

/* 2026-11-29T02:00:00.000000Z, of seconds since 1970; 28 bytes and the NUL. */
#define TIME_BYTES 32u
void time_text(int64_t ns, char out[TIME_BYTES]);
int64_t realtime_ns(void);

#endif
