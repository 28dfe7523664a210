// SPDX-License-Identifier: Apache-2.0
/* husk top: the processes of a container. */
#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/pod/pod.h"
#include "cli/pod/processes.h"

static const struct pod_option options[] = {{0, NULL, false, NULL, 0}};

static const struct pod_syntax syntax = {
    .command = "top",
    .help =
        "husk top CONTAINER\n"
        "\n"
        "List the processes of a container that runs: their ids in the container, users, states\n"
        "(a letter as in proc(5)), processor time, age, resident memory and "
        "commands.\n" STATUSES_TEXT,
    .wants = "one container",
    .least = 1,
    .most = 1,
    .options = options,
};

static int top(struct pod_target *target, void *arg, struct husk_error *err)
{
    struct control_message answer;
    int ret;

    if (!target->client)
        return pod_does_not_run(target->container, err);
    ret = control_client_call(target->client, "agent", json_pack("{s:s}", "method", "processes"),
                              &answer, err);
    if (ret)
        return ret;
    if (processes_print(target->container->name, answer.body))
        ret = error_set(err, ENOMEM, target->container->name, "cannot be shown", NULL);
    control_message_clear(&answer);
    return ret;
}

int pod_top(int argc, char **argv)
{
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, NULL, argc, argv, &words, &count);

    if (!status)
        status = pod_for_each(words, count, top, NULL);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
