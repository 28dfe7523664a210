// SPDX-License-Identifier: Apache-2.0
/* husk help, husk version. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "husk/husk.h"

void command_print_help(const struct command *command)
{
    printf("husk %s\n\n%s\n\n%s", command->synopsis, command->summary, command->help);
}

static int run_help(int argc, char **argv, uint64_t started_ns)
{
    const struct command *command;

    if (argc == 3 && !strcmp(argv[1], "pod")) /* whose verbs have help of their own */
        return pod_program_run(3, (char *[]){argv[1], argv[2], "--help", NULL});
    if (argc > 2)
        return cli_usage_error(&cmd_help, "help: one command at a time");
    if (argc == 2) {
        command = command_find(argv[1]);
        if (!command)
            return cli_usage_error(&cmd_help, "%s: no such command", argv[1]);
        if (!command->help || command == &cmd_run)
            return command->run(2, (char *[]){argv[1], "--help", NULL}, started_ns);
        command_print_help(command);
        return STATUS_OK;
    }
    printf("husk boots microVMs on Linux KVM, and runs containers in them.\n\n"
           "usage: husk COMMAND [ARGUMENT...]\n\n");
    for (const struct command *const *at = commands; *at; at++)
        printf("  %-10s %s\n", (*at)->name, (*at)->summary);
    printf("\nContainers, each in a microVM of its own:\n\n");
    for (const struct command *at = cmd_pod; at->name; at++)
        printf("  %-10s %s\n", at->name, at->summary);
    printf("\n`husk help COMMAND` explains one; the manual is husk(1).\n");
    return STATUS_OK;
}

const struct command cmd_help = {
    .name = "help",
    .summary = "explain the commands",
    .synopsis = "help [COMMAND]",
    .help = "Lists the commands, or explains one.\n",
    .run = run_help,
};

static int run_version(int argc, char **argv, uint64_t started_ns)
{
    if (argc > 1)
        return cli_usage_error(&cmd_version, "version: %s: takes no arguments", argv[1]);
    printf("husk %s\n", husk_version());
    return STATUS_OK;
}

const struct command cmd_version = {
    .name = "version",
    .summary = "print husk's version",
    .synopsis = "version",
    .help = "Prints one line, \"husk MAJOR.MINOR.PATCH\".\n",
    .run = run_version,
};
