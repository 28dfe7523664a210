// SPDX-License-Identifier: Apache-2.0
/* husk node: hands over to the program husk-node, the agent that keeps the pods of a directory. */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"

static int run_node(int argc, char **argv, uint64_t started_ns)
{
    char path[PATH_MAX];
    const char *program = node_program_find(path, sizeof(path));

    execv(program, argv);
    cli_message("%s: cannot be started: %s", program, error_text(errno));
    return STATUS_MONITOR_ERROR;
}

const struct command cmd_node = {
    .name = "node",
    .summary = "keep the pods of a directory of manifests",
    .synopsis = "node --manifests DIRECTORY [--listen SOCKET] [OPTION...]",
    .run = run_node,
};
