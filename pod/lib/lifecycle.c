// SPDX-License-Identifier: Apache-2.0
/* Starting, stopping and removing pods, and waiting for what becomes of them. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "pod/lib/deadline.h"
#include "pod/lib/pods.h"

#define LOOK_MS    5    /* how often a supervisor that has said its end is looked at */
#define GONE_TRIES 2000 /* such looks */
#define WAIT_MS    1000 /* how often one that cannot be asked is looked at */

int husk_pod_start(struct husk_pods *pods, const char *name,
                   const struct husk_pod_start_options *options, struct husk_error *err)
{
    struct husk_pod_start_options wants;
    struct control_client *client = NULL;
    struct entry *pod = NULL;
    int ret = pods_take_options(&wants, sizeof(wants), options, err);

    if (!ret)
        ret = pods_find(pods, name, &pod, err);
    if (!ret) {
        int fd = pod_start(pods->store, pod, wants.remove, pods->program, err);

        /* It says here what kept it from serving. */
        ret = fd < 0 ? fd : control_client_open(fd, &client, err);
    }
    control_client_close(client);
    entry_close(pod);
    return ret;
}

static int stop(const struct entry *pod, const char *name, int64_t grace_seconds, bool wait,
                struct husk_error *err)
{
    json_t *params = grace_seconds < 0
                         ? json_object()
                         : json_pack("{s:I}", "grace_ms", (json_int_t)grace_seconds * 1000);
    struct control_client *client = NULL;
    int ret = pods_connect(pod, name, &client, err);

    if (ret)
        json_decref(params);
    else
        ret = control_client_call(client, "stop", params, NULL, err);
    if (!ret && wait)
        ret = control_client_call(client, "wait", NULL, NULL, err);
    control_client_close(client);
    return ret && entry_has_ended(pod, ret) ? 0 : ret;
}

int husk_pod_stop(struct husk_pods *pods, const char *name, int64_t grace_seconds,
                  struct husk_error *err)
{
    struct entry *pod;
    int ret;

    if (grace_seconds > INT32_MAX)
        return error_set(err, ERANGE, "grace_seconds", "is too long", "at most %d", INT32_MAX);
    ret = pods_find(pods, name, &pod, err);
    if (ret)
        return ret;
    if (!pod_is_over(pod))
        ret = stop(pod, name, grace_seconds, false, err);
    entry_close(pod);
    return ret;
}

/* A supervisor ends a moment after it has said that the pod has. */
static int remove_dead(struct husk_pods *pods, struct entry *pod, struct pod_left *left,
                       struct husk_error *err)
{
    const struct timespec moment = {.tv_nsec = LOOK_MS * 1000000};
    int ret = pod_remove(pods->store, pod, left, err);

    for (unsigned i = 0; ret == -EBUSY && i < GONE_TRIES; i++) {
        nanosleep(&moment, NULL);
        ret = pod_remove(pods->store, pod, left, err);
    }
    return ret;
}

static int remove_by_force(struct husk_pods *pods, const char *name, struct pod_left *left,
                           struct husk_error *err)
{
    struct entry *pod;
    int ret = pods_find(pods, name, &pod, err);

    if (ret)
        return ret;
    if (entry_alive(pod))
        ret = stop(pod, name, 0, true, err);
    if (!ret)
        ret = remove_dead(pods, pod, left, err);
    entry_close(pod);
    return ret;
}

int husk_pod_remove(struct husk_pods *pods, const char *name, bool force, struct husk_error *err)
{
    struct pod_left left = {.some = false};
    struct entry *pod;
    int ret;

    if (force)
        return remove_by_force(pods, name, &left, err);
    ret = pods_find(pods, name, &pod, err);
    if (ret)
        return ret;
    if (!pod_is_over(pod))
        ret = error_set(err, EBUSY, name, "runs", "stop it first, or remove it by force");
    else
        ret = pod_remove(pods->store, pod, NULL, err);
    entry_close(pod);
    return ret;
}

static char *describe_left(const struct pod_left *left)
{
    char why[sizeof(left->why)], *text;

    error_format(&left->why, why, sizeof(why));
    return asprintf(&text, "some of its network is left on the host: %s", why) < 0 ? NULL : text;
}

int husk_pod_remove_by_force(struct husk_pods *pods, const char *name, char **left,
                             struct husk_error *err)
{
    struct pod_left what = {.some = false};
    int ret = remove_by_force(pods, name, &what, err);

    *left = !ret && what.some ? describe_left(&what) : NULL;
    return ret;
}

/* ---- waiting ---- */

/* What is waited for, as the record of a pod that has no supervisor has it. */
static int look_at_dead(const struct entry *pod, const char *name,
                        enum husk_pod_condition condition, struct husk_error *err)
{
    struct pod_state state = {.status = NULL};
    int ret = pod_load_state(pod, &state, err);
    bool ended = !ret && pod_state_ended(&state);

    pod_state_clear(&state);
    if (ret == -ENOENT) /* it has removed itself */
        ended = true;
    else if (ret)
        return ret;
    if (ended && condition == HUSK_POD_ENDED)
        return 0;
    if (ended)
        return error_set(err, ECANCELED, name, "has ended", "it was waited for to be ready");
    return -EAGAIN; /* it has not been started yet */
}

/* Asks its supervisor, which may end meanwhile. 0, -ETIMEDOUT, -ESRCH when it has ended. */
static int wait_for_answer(struct control_client *client, const char *name,
                           enum husk_pod_condition condition, const struct deadline *deadline,
                           struct husk_error *err)
{
    struct control_message message;
    uint64_t id;
    int ret = control_client_send(
        client, "wait", json_pack("{s:s}", "for", condition == HUSK_POD_READY ? "ready" : "end"),
        &id, err);

    while (!ret) {
        struct pollfd wait = {.fd = control_client_fd(client), .events = POLLIN};

        if (poll(&wait, 1, deadline_poll_ms(deadline)) <= 0) {
            if (deadline_passed(deadline))
                return error_set(err, ETIMEDOUT, name, "is still waited for", NULL);
            continue;
        }
        ret = control_client_receive(client, false, &message, err);
        if (ret == 1) {
            bool answer = !message.is_event && message.id == id;
            int code = message.error.code;

            control_message_clear(&message);
            ret = 0;
            if (answer)
                return code ? -ESRCH : 0;
        }
    }
    return ret;
}

static int wait_once(struct entry *pod, const char *name, enum husk_pod_condition condition,
                     const struct deadline *deadline, struct husk_error *err)
{
    struct control_client *client = NULL;
    int ret;

    if (!entry_alive(pod))
        return look_at_dead(pod, name, condition, err);
    ret = pods_connect(pod, name, &client, err);
    if (!ret)
        ret = wait_for_answer(client, name, condition, deadline, err);
    control_client_close(client);
    /* What has become of it is in its record. */
    if (ret && entry_has_ended(pod, ret == -ESRCH ? -ECONNRESET : ret))
        return look_at_dead(pod, name, condition, err);
    return ret;
}

int husk_pod_wait(struct husk_pods *pods, const char *name, enum husk_pod_condition condition,
                  int64_t timeout_ms, struct husk_error *err)
{
    struct deadline deadline = deadline_in(timeout_ms);
    struct entry *pod;
    int ret = pods_find(pods, name, &pod, err);

    if (ret)
        return ret;
    while ((ret = wait_once(pod, name, condition, &deadline, err)) == -EAGAIN) {
        struct deadline turn = deadline_in(WAIT_MS);

        /* Nobody has started it yet: whoever does leaves no other trace than its lock. */
        if (deadline_passed(&deadline)) {
            ret = error_set(err, ETIMEDOUT, name, "is still waited for", "it was not started");
            break;
        }
        while (!deadline_passed(&turn) && !deadline_passed(&deadline) && !entry_alive(pod))
            (void)poll(NULL, 0, LOOK_MS * 10);
    }
    entry_close(pod);
    return ret;
}
