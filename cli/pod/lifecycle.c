// SPDX-License-Identifier: Apache-2.0
/*
 * husk stop, kill, wait, pause, resume, rm: what is done to containers by name, one after the
 * other; what fails for one is said and does not keep the others from their turn.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "cli/pod/lifecycle.h"

struct wishes {
    struct stop_wishes stop; /* its signal is also that of `kill`; 0: SIGKILL */
    bool all, force;
};

#define AT(member) offsetof(struct wishes, member)

static const struct pod_option no_options[] = {{0, NULL, false, NULL, 0}};

static const struct pod_option stop_options[] = {
    {'t', "time", true, pod_set_seconds, AT(stop.grace_s)},
    {'s', "signal", true, pod_set_signal, AT(stop.signal)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_option kill_options[] = {
    {'s', "signal", true, pod_set_signal, AT(stop.signal)},
    {0, "all", false, pod_set_flag, AT(all)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_option rm_options[] = {
    {'f', "force", false, pod_set_flag, AT(force)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax stop_syntax = {
    .command = "stop",
    .help =
        "husk stop [-t TIME] [-s SIGNAL] CONTAINER...\n"
        "\n"
        "End containers: by their stop signal first, and by force when that has not helped in\n"
        "the time that they are given.\n"
        "\n"
        "  -t, --time TIME      seconds, or a time such as 1m; default: as `husk run` was told,\n"
        "                       or 10\n"
        "  -s, --signal SIGNAL  instead of theirs\n" STATUSES_TEXT,
    .wants = "the containers to end",
    .least = 1,
    .most = UINT16_MAX,
    .options = stop_options,
};

static const struct pod_syntax kill_syntax = {
    .command = "kill",
    .help = "husk kill [-s SIGNAL] [--all] CONTAINER...\n"
            "\n"
            "Send a signal to the first process of containers.\n"
            "\n"
            "  -s, --signal SIGNAL  by its name or number; default: KILL\n"
            "      --all            to all of their processes\n" STATUSES_TEXT,
    .wants = "the containers to send it to",
    .least = 1,
    .most = UINT16_MAX,
    .options = kill_options,
};

static const struct pod_syntax wait_syntax = {
    .command = "wait",
    .help = "husk wait CONTAINER...\n"
            "\n"
            "Wait until each container has ended, and print its exit status.\n" STATUSES_TEXT,
    .wants = "the containers to wait for",
    .least = 1,
    .most = UINT16_MAX,
    .options = no_options,
};

static const struct pod_syntax pause_syntax = {
    .command = "pause",
    .help = "husk pause CONTAINER...\n"
            "\n"
            "Stop all processes of containers, until `husk resume`.\n" STATUSES_TEXT,
    .wants = "the containers to pause",
    .least = 1,
    .most = UINT16_MAX,
    .options = no_options,
};

static const struct pod_syntax resume_syntax = {
    .command = "resume",
    .help = "husk resume CONTAINER...\n"
            "\n"
            "Let the processes of paused containers go on.\n" STATUSES_TEXT,
    .wants = "the containers to resume",
    .least = 1,
    .most = UINT16_MAX,
    .options = no_options,
};

static const struct pod_syntax rm_syntax = {
    .command = "rm",
    .help = "husk rm [-f] CONTAINER...\n"
            "\n"
            "Remove containers that have ended, with what they wrote.\n"
            "\n"
            "  -f, --force  end those that run, at once\n" STATUSES_TEXT,
    .wants = "the containers to remove",
    .least = 1,
    .most = UINT16_MAX,
    .options = rm_options,
};

/* Parses, then does it to each. */
static int act_on_all(const struct pod_syntax *syntax, int argc, char **argv,
                      int (*act)(struct pod_target *, void *, struct husk_error *))
{
    struct wishes wishes = {.stop = STOP_WISHES_INIT};
    char **words;
    unsigned count;
    int status = pod_options_parse(syntax, &wishes, argc, argv, &words, &count);

    if (status)
        return status == POD_HELP_SHOWN ? STATUS_OK : status;
    return pod_for_each(words, count, act, &wishes);
}

/* Of one that has ended between our look at it and the request, the supervisor's end is no failure.
 */
static int end(struct pod_target *target, json_t *params, struct husk_error *err)
{
    int ret = control_client_call(target->client, "stop", params, NULL, err);

    return ret && entry_has_ended(target->container, ret) ? 0 : ret;
}

int stop_container(struct pod_target *target, const struct stop_wishes *wishes,
                   struct husk_error *err)
{
    json_t *params;

    if (!target->client)
        return 0;
    params = json_object();
    if (wishes->grace_s >= 0)
        json_object_set_new(params, "grace_ms", json_integer(wishes->grace_s * 1000));
    if (wishes->signal)
        json_object_set_new(params, "signal", json_integer(wishes->signal));
    return end(target, params, err);
}

static int stop(struct pod_target *target, void *arg, struct husk_error *err)
{
    const struct wishes *wishes = arg;
    int ret = stop_container(target, &wishes->stop, err);

    if (!ret)
        puts(target->word);
    return ret;
}

int pod_stop(int argc, char **argv)
{
    return act_on_all(&stop_syntax, argc, argv, stop);
}

/* A request to one that must run. */
static int request(struct pod_target *target, const char *method, json_t *params,
                   struct husk_error *err)
{
    int ret;

    if (!target->client) {
        json_decref(params);
        return pod_does_not_run(target->container, err);
    }
    ret = control_client_call(target->client, method, params, NULL, err);
    if (!ret)
        puts(target->word);
    return ret;
}

static int send_signal(struct pod_target *target, void *arg, struct husk_error *err)
{
    const struct wishes *wishes = arg;

    return request(target, "kill",
                   json_pack("{s:i, s:b}", "signal", wishes->stop.signal ? wishes->stop.signal : 9,
                             "all", wishes->all),
                   err);
}

int pod_kill(int argc, char **argv)
{
    return act_on_all(&kill_syntax, argc, argv, send_signal);
}

static int pause_one(struct pod_target *target, void *arg, struct husk_error *err)
{
    return request(target, "pause", NULL, err);
}

int pod_pause(int argc, char **argv)
{
    return act_on_all(&pause_syntax, argc, argv, pause_one);
}

static int resume_one(struct pod_target *target, void *arg, struct husk_error *err)
{
    return request(target, "resume", NULL, err);
}

int pod_resume(int argc, char **argv)
{
    return act_on_all(&resume_syntax, argc, argv, resume_one);
}

/* The status in the record of one that has ended. */
static int recorded_status(const struct entry *container, int *status, struct husk_error *err)
{
    struct container_state state;
    int ret = container_load_state(container, &state, err);

    if (!ret && state.status == CONTAINER_CREATED)
        return pod_does_not_run(container, err);
    if (!ret)
        *status = state.exit.status;
    return ret;
}

static int wait_for(struct pod_target *target, void *arg, struct husk_error *err)
{
    struct control_message answer;
    int status = 0, ret;

    if (!target->client) {
        ret = recorded_status(target->container, &status, err);
    } else {
        ret = control_client_call(target->client, "wait", NULL, &answer, err);
        if (!ret) {
            ret = pod_exit_status(answer.body, &status, err);
            control_message_clear(&answer);
        } else if (entry_has_ended(target->container, ret)) {
            ret = recorded_status(target->container, &status, err);
        }
    }
    if (!ret) {
        printf("%d\n", status);
        fflush(stdout);
    }
    return ret;
}

int pod_wait(int argc, char **argv)
{
    return act_on_all(&wait_syntax, argc, argv, wait_for);
}

/* A supervisor ends a moment after it has said that the container has. */
static int remove_dead(struct pod_target *target, struct husk_error *err)
{
    const struct timespec moment = {.tv_nsec = 5000000};
    int ret = entry_remove(target->store, target->container, err);

    for (unsigned i = 0; ret == -EBUSY && i < 2000; i++) {
        nanosleep(&moment, NULL);
        ret = entry_remove(target->store, target->container, err);
    }
    return ret;
}

static int remove_one(struct pod_target *target, void *arg, struct husk_error *err)
{
    const struct wishes *wishes = arg;
    int ret;

    if (target->client && !wishes->force)
        return error_set(err, EBUSY, target->container->name, "runs",
                         "`husk stop` ends it, `husk rm -f` does both");
    if (target->client) {
        ret = end(target, json_pack("{s:i, s:i}", "signal", 9, "grace_ms", 0), err);
        if (ret)
            return ret;
        control_client_close(target->client);
        target->client = NULL;
    }
    ret = remove_dead(target, err);
    if (!ret)
        puts(target->word);
    return ret;
}

int pod_rm(int argc, char **argv)
{
    return act_on_all(&rm_syntax, argc, argv, remove_one);
}
