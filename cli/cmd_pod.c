// SPDX-License-Identifier: Apache-2.0
/*
 * The commands for containers and pods: all of them are the program husk-pod, which knows images,
 * containers and JSON, so that a husk that boots a machine neither loads nor contains these. Here
 * are their names only. `husk run IMAGE` comes here through cmd_run.c.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"

int pod_program_run(int argc, char **argv)
{
    char path[PATH_MAX];
    const char *program = pod_program_find(path, sizeof(path));
    char **words = calloc((size_t)argc + 2, sizeof(*words));

    if (!words) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_MONITOR_ERROR;
    }
    words[0] = "husk-pod";
    memcpy(words + 1, argv, (size_t)argc * sizeof(*words));
    execv(program, words);
    cli_message("%s: cannot be started: %s", program, error_text(errno));
    free(words);
    return STATUS_MONITOR_ERROR;
}

static int run_pod(int argc, char **argv, uint64_t started_ns)
{
    return pod_program_run(argc, argv);
}

const struct command cmd_pod[] = {
    {.name = "create", .summary = "make a container, to be started later", .run = run_pod},
    {.name = "start",
     .summary = "start containers that were created, or have ended",
     .run = run_pod},
    {.name = "restart", .summary = "end containers and start them again", .run = run_pod},
    {.name = "ps", .summary = "list containers", .run = run_pod},
    {.name = "logs", .summary = "what a container has written", .run = run_pod},
    {.name = "exec", .summary = "run a command in a container", .run = run_pod},
    {.name = "attach", .summary = "take part in a container's input and output", .run = run_pod},
    {.name = "stop", .summary = "end containers, gently first", .run = run_pod},
    {.name = "kill", .summary = "send a signal to containers", .run = run_pod},
    {.name = "wait", .summary = "wait for containers to end", .run = run_pod},
    {.name = "rm", .summary = "remove containers that have ended", .run = run_pod},
    {.name = "inspect", .summary = "all that is known of containers, as JSON", .run = run_pod},
    {.name = "stats", .summary = "what containers use", .run = run_pod},
    {.name = "top", .summary = "the processes of a container", .run = run_pod},
    {.name = "cp", .summary = "copy files into and out of a container", .run = run_pod},
    {.name = "pause", .summary = "stop the processes of containers for a while", .run = run_pod},
    {.name = "resume", .summary = "let them go on", .run = run_pod},
    {.name = "update", .summary = "change a container's limits", .run = run_pod},
    {.name = "pod",
     .summary = "pods of Kubernetes manifests: run, apply, ps, logs, ...",
     .run = run_pod},
    {.name = NULL},
};
