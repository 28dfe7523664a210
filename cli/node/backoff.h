// SPDX-License-Identifier: Apache-2.0
/*
 * When something about a pod may be tried again. Pure; times are of one monotonic clock.
 *
 * What is kept here is only how long to wait, and what need not be asked twice: an agent that
 * starts anew decides the same, sooner.
 */
#ifndef HUSK_CLI_NODE_BACKOFF_H
#define HUSK_CLI_NODE_BACKOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backoff_policy {
    uint64_t first_ns, max_ns; /* the wait doubles from the one to the other */
    uint64_t reset_ns;         /* a pod that ran so long begins again with the first */
};

struct backoff_pod {
    char *name;
    char *hash;        /* of the description that is tried: another one begins anew */
    char *asked_uid;   /* of the pod whose end has been asked for; NULL */
    uint64_t wait_ns;  /* the next one; 0: none has failed */
    uint64_t next_ns;  /* not before; 0: at once */
    uint64_t tried_ns; /* the last try */
    unsigned failures; /* in a row */
    bool used;         /* in this round; see backoff_sweep() */
};

struct backoff {
    struct backoff_policy policy;
    struct backoff_pod *pods;
    size_t count;
};

void backoff_init(struct backoff *backoff, const struct backoff_policy *policy);
void backoff_free(struct backoff *backoff);

/* The pod's, made when it is not there; what was learned of another hash is forgotten. NULL without
 * memory. Valid until the next call. */
struct backoff_pod *backoff_of(struct backoff *backoff, const char *name, const char *hash);

bool backoff_may_try(const struct backoff_pod *pod, uint64_t now_ns);

/* It is tried, or has failed: the next time is later. */
void backoff_note(const struct backoff *backoff, struct backoff_pod *pod, uint64_t now_ns);

/* It did what it should. */
void backoff_clear(struct backoff_pod *pod);

/* Forgets pods that backoff_of() was not asked for since the last time. */
void backoff_sweep(struct backoff *backoff);

/* The earliest time at which one may be tried again that now may not; 0: none waits. */
uint64_t backoff_next_ns(const struct backoff *backoff, uint64_t now_ns);

/* Notes that the end of the pod `uid` was asked for. False without memory. */
bool backoff_ask(struct backoff_pod *pod, const char *uid);
bool backoff_was_asked(const struct backoff_pod *pod, const char *uid);

#endif
