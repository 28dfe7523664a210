// SPDX-License-Identifier: Apache-2.0
/* The table of subcommands: see cli.h. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/similar.h"

const struct command *const commands[] = {&cmd_run,     &cmd_serve, &cmd_vm, &cmd_image,
                                          &cmd_node,    &cmd_jail,  &cmd_vf, &cmd_doctor,
                                          &cmd_version, &cmd_help,  NULL};

const struct command *command_find(const char *name)
{
    for (const struct command *const *at = commands; *at; at++) {
        if (!strcmp((*at)->name, name))
            return *at;
    }
    for (const struct command *at = cmd_pod; at->name; at++) {
        if (!strcmp(at->name, name))
            return at;
    }
    return NULL;
}

const char *command_similar(const char *name)
{
    struct similar similar;

    similar_begin(&similar, name);
    for (const struct command *const *at = commands; *at; at++)
        similar_offer(&similar, (*at)->name);
    for (const struct command *at = cmd_pod; at->name; at++)
        similar_offer(&similar, at->name);
    return similar.best;
}

int cli_usage_error(const struct command *command, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    cli_message("%s (see: husk help %s)", text ? text : "out of memory", command->name);
    free(text);
    return STATUS_USAGE;
}
