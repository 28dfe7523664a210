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
 * NULL without memory. */
struct events *events_create(int fd, const char *node);
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

/* The events behind `after` (0: from the oldest) as an EventList; the caller's text, NULL without
 * memory. Its resourceVersion is what to give as `after` the next time. */
char *events_list(struct events *events, uint64_t after);

/* The first event behind *after, as a line with its newline, which is the caller's; *after becomes
 * its number. NULL: there is none yet. */
char *events_next(struct events *events, uint64_t *after);

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
