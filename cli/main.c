// SPDX-License-Identifier: Apache-2.0
/* Entry point of the husk command: find the subcommand, run it, return its status. */
#include <signal.h>
#include <string.h>

#include "base/timeline.h"
#include "cli/cli.h"

int main(int argc, char **argv)
{
    uint64_t started_ns = timeline_process_start_ns();
    const struct command *command;

    /* A reader of our output that goes away is an error code, not a reason to die. */
    signal(SIGPIPE, SIG_IGN);

    if (argc < 2) {
        cmd_help.run(1, (char *[]){"help", NULL}, started_ns);
        return STATUS_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return cmd_help.run(1, (char *[]){"help", NULL}, started_ns);
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))
        return cmd_version.run(1, (char *[]){"version", NULL}, started_ns);

    command = command_find(argv[1]);
    if (!command) {
        cli_message("%s: no such command (see: husk help)", argv[1]);
        return STATUS_USAGE;
    }
    return command->run(argc - 1, argv + 1, started_ns);
}
