// SPDX-License-Identifier: Apache-2.0
/*
 * husk start and husk restart: containers that were created, or have ended, each with a supervisor
 * and a machine that are new, and with what it wrote before.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pod/begin.h"
#include "cli/pod/lifecycle.h"

struct wishes {
    bool attach, interactive, sig_proxy;
    const char *detach_keys;
    struct stop_wishes stop; /* of restart */
    int status;              /* of the first that could not be started, or of the only one */
};

#define AT(member) offsetof(struct wishes, member)

static const struct pod_option start_options[] = {
    {'a', "attach", false, pod_set_flag, AT(attach)},
    {'i', "interactive", false, pod_set_flag, AT(interactive)},
    {0, "sig-proxy", false, pod_set_flag, AT(sig_proxy)},
    {0, "detach-keys", true, pod_set_keys, AT(detach_keys)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_option restart_options[] = {
    {'t', "time", true, pod_set_seconds, AT(stop.grace_s)},
    {'s', "signal", true, pod_set_signal, AT(stop.signal)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax start_syntax = {
    .command = "start",
    .help =
        "husk start [-a] [-i] [--sig-proxy=false] [--detach-keys KEYS] CONTAINER...\n"
        "\n"
        "Start containers that were created, or have ended. What one wrote before is there again,\n"
        "unless its machine was cut off. One that runs is left alone.\n"
        "\n"
        "  -a, --attach            one container: show its output until it ends\n"
        "  -i, --interactive       and give it standard input, when it was made with -i\n"
        "      --sig-proxy=false   without a terminal, do not send signals on\n"
        "      --detach-keys KEYS  default: ctrl-p,ctrl-q\n"
        "\n"
        "Exit status: 0 they run; with -a or -i the command's; 125 husk failed; 126 the command\n"
        "cannot be executed; 127 it is not there.\n",
    .wants = "the containers to start",
    .least = 1,
    .most = UINT16_MAX,
    .own_statuses = true,
    .options = start_options,
};

static const struct pod_syntax restart_syntax = {
    .command = "restart",
    .help =
        "husk restart [-t TIME] [-s SIGNAL] CONTAINER...\n"
        "\n"
        "End containers that run, as `husk stop` does, and start them again.\n"
        "\n"
        "  -t, --time TIME      seconds, or a time such as 1m; default: as `husk run` was told,\n"
        "                       or 10\n"
        "  -s, --signal SIGNAL  instead of theirs\n"
        "\n"
        "Exit status: 0 they run; 119 usage error; 125 failure.\n",
    .wants = "the containers to start again",
    .least = 1,
    .most = UINT16_MAX,
    .options = restart_options,
};

/* One that runs is what is wanted; one that begins or ends is not yet known to be. */
static int check_running(struct pod_target *target, const struct wishes *wishes,
                         struct husk_error *err)
{
    struct control_message answer;
    const char *status;
    bool runs;
    int ret = control_client_call(target->client, "inspect", NULL, &answer, err);

    if (ret)
        return ret;
    status = json_string_value(json_object_get(answer.body, "status"));
    runs = status && (!strcmp(status, "running") || !strcmp(status, "paused"));
    control_message_clear(&answer);
    if (!runs)
        return error_set(err, EBUSY, target->container->name, "cannot be started",
                         "it is being started, or is about to end");
    if (wishes->attach)
        return error_set(err, EALREADY, target->container->name, "runs",
                         "`husk attach` takes part in it");
    return 0;
}

/* A supervisor, and with it the machine, up to the moment before the program's start. */
static int revive(struct pod_target *target, struct beginning *beginning, struct husk_error *err)
{
    bool fresh = true;
    int fd = container_start(target->store, target->container, secure_getenv("HUSK_SUPERVISOR"),
                             &fresh, err);

    return beginning_open(beginning, fd, fresh, err);
}

static int begin(struct beginning *beginning, struct wishes *wishes)
{
    if (!wishes->attach)
        return beginning_detached(beginning);
    if (wishes->detach_keys)
        detach_keys_parse(wishes->detach_keys, &beginning->session.relay.filter);
    beginning->input = wishes->interactive;
    beginning->sig_proxy = wishes->sig_proxy;
    return beginning_attached(beginning);
}

/* What goes wrong with the program has been said. */
static void begin_and_note(const struct pod_target *target, struct beginning *beginning,
                           struct wishes *wishes)
{
    int status = begin(beginning, wishes);

    if (!status && !wishes->attach)
        puts(target->word);
    if (!wishes->status)
        wishes->status = status;
}

/* `record` is the target's. */
static int start_recorded(struct pod_target *target, const struct container_spec *record,
                          struct wishes *wishes, struct husk_error *err)
{
    struct beginning *beginning = calloc(1, sizeof(*beginning));
    int ret;

    if (!beginning)
        return error_set(err, ENOMEM, target->word, "cannot be started", NULL);
    session_init(&beginning->session);
    beginning->record = record;
    ret = revive(target, beginning, err);
    if (!ret)
        begin_and_note(target, beginning, wishes);
    beginning_release(beginning);
    free(beginning);
    return ret;
}

static int start_dead(struct pod_target *target, struct wishes *wishes, struct husk_error *err)
{
    struct container_spec record = {.id = ""};
    int ret = container_load_spec(target->container, &record, err);

    if (!ret && wishes->interactive && pod_has_terminal(&record) && !isatty(STDIN_FILENO))
        ret = error_set(err, ENOTTY, target->container->name,
                        "has a terminal, but standard input is none", "leave out -i");
    if (!ret)
        ret = start_recorded(target, &record, wishes, err);
    container_spec_clear(&record);
    return ret;
}

static int start_one(struct pod_target *target, void *arg, struct husk_error *err)
{
    struct wishes *wishes = arg;
    int ret;

    if (!target->client)
        return start_dead(target, wishes, err);
    ret = check_running(target, wishes, err);
    if (!ret)
        puts(target->word);
    return ret;
}

static int run(const struct pod_syntax *syntax, int argc, char **argv,
               int (*act)(struct pod_target *target, void *arg, struct husk_error *err))
{
    struct wishes wishes = {.sig_proxy = true, .stop = STOP_WISHES_INIT};
    char **words;
    unsigned count;
    int status = pod_options_parse(syntax, &wishes, argc, argv, &words, &count);

    if (status)
        return status == POD_HELP_SHOWN ? STATUS_OK : status;
    wishes.attach |= wishes.interactive;
    if (wishes.attach && count > 1)
        return pod_usage(syntax, "-a and -i want one container");
    status = pod_for_each(words, count, act, &wishes);
    return wishes.status ? wishes.status : status;
}

int pod_cmd_start(int argc, char **argv)
{
    return run(&start_syntax, argc, argv, start_one);
}

static int restart_one(struct pod_target *target, void *arg, struct husk_error *err)
{
    struct wishes *wishes = arg;
    struct container_spec record = {.id = ""};
    bool removes;
    int ret = 0;

    if (!target->client)
        return start_dead(target, wishes, err);
    ret = container_load_spec(target->container, &record, err);
    removes = record.remove;
    container_spec_clear(&record);
    if (!ret && removes)
        ret = error_set(err, EINVAL, target->container->name, "cannot be started again",
                        "it removes itself when it ends (--rm)");
    if (!ret)
        ret = stop_container(target, &wishes->stop, err);
    if (ret)
        return ret;
    if (!entry_has_ended(target->container, -ESRCH))
        return error_set(err, ETIMEDOUT, target->container->name, "does not end", NULL);
    return start_dead(target, wishes, err);
}

int pod_cmd_restart(int argc, char **argv)
{
    return run(&restart_syntax, argc, argv, restart_one);
}
