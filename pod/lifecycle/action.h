// SPDX-License-Identifier: Apache-2.0
/*
 * What a probe or a hook does, once: exec, httpGet, tcpSocket, grpc or sleep of a Pod object's
 * handler. How a command is run in the container, how a connection into the pod is made, and who
 * speaks on it where more than HTTP is spoken, is the host's.
 *
 * Everything happens on the loop's thread; callbacks come from the loop, never from within
 * action_start(). What answers is hostile: see http_answer.h.
 */
#ifndef HUSK_POD_LIFECYCLE_ACTION_H
#define HUSK_POD_LIFECYCLE_ACTION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/event_loop.h"
#include "husk/error.h"
#include "probe/protocol.h"

#define ACTION_TEXT_BYTES 256u

struct action;
struct speaker;

struct action_host {
    struct event_loop *loop;
    /*
     * Begin; the end is told by action_executed() or action_connected(), on the loop's thread, also
     * later, but not after `cancel`. An action that is sent on connects again. 0 or -errno.
     */
    int (*exec)(void *arg, struct action *action, const json_t *command);
    int (*connect)(void *arg, struct action *action, const char *address, uint16_t port);
    /* What was begun is not wanted any more: a command is ended. Called once at most for each, and
     * not after the end was told. */
    void (*cancel)(void *arg, struct action *action);
    /*
     * Has a program of its own speak on a connection that was made, as `request` says (its
     * namespaces are the host's). Takes fd in any case. *plain_fd is the caller's end of what it
     * passes on; it closes the other at its end. Does not wait for the pod. 0 or -errno.
     */
    int (*speak)(void *arg, const struct probe_request *request, int fd, int *plain_fd,
                 struct speaker **speaker, struct husk_error *err);
    /* Ends it: enum probe_end if it had ended by itself, else -1. Once for each speaker. */
    int (*hush)(void *arg, struct speaker *speaker);
    void *arg;
};

enum action_result {
    ACTION_SUCCEEDED,
    ACTION_WARNED,  /* it succeeded, and `text` says what is to be told all the same */
    ACTION_FAILED,  /* `text` says how */
    ACTION_UNKNOWN, /* it could not be done at all, as `text` says: a probe asks again as if it had
                       not */
};

typedef void (*action_fn)(void *arg, enum action_result result, const char *text);

/* What is pointed to is used by action_start() alone; the action keeps a reference to `handler`. */
struct action_options {
    const json_t *handler;   /* with one of exec, httpGet, tcpSocket, grpc, sleep */
    const json_t *container; /* of the Pod object: its ports have names */
    const char *address;     /* the pod's, for handlers that name no host */
    uint64_t timeout_ns;     /* 0: none */
    action_fn done;          /* once, unless the action is cancelled; it has ended then */
    void *arg;
};

/* The host is copied; what its `arg` is stays alive while the action is. 0, -EINVAL (a port of no
 * such name), -ENOMEM or another -errno. */
int action_start(const struct action_host *host, const struct action_options *options,
                 struct action **out);
/* Ends it without a callback. Takes NULL. */
void action_cancel(struct action *action);

/* For the host. exit_code: of the command, or -errno when it could not be run; `output` of the
 * command, to say in a message (may be NULL). */
void action_executed(struct action *action, int exit_code, const char *output);
/* fd: a connected stream socket, which is taken, or -errno. */
void action_connected(struct action *action, int fd);

/* For the host: something of its own with each action that it has begun. */
void action_set_host_data(struct action *action, void *data);
void *action_host_data(const struct action *action);

#endif
