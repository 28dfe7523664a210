// SPDX-License-Identifier: Apache-2.0
/* The table of subcommands, and how they speak to the user: see cli.h. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

const struct command *const commands[] = {&cmd_run, &cmd_doctor, &cmd_version, &cmd_help, NULL};

const struct command *command_find(const char *name)
{
    for (const struct command *const *at = commands; *at; at++) {
        if (!strcmp((*at)->name, name))
            return *at;
    }
    return NULL;
}

__attribute__((format(printf, 1, 0))) static void print_line(const char *format, va_list args)
{
    char line[1024];
    int used = snprintf(line, sizeof(line), "husk: ");

    vsnprintf(line + used, sizeof(line) - (size_t)used - 2, format, args);
    /* A terminal in raw mode does not return the carriage by itself; elsewhere "\r" is noise. */
    strcat(line, isatty(STDERR_FILENO) ? "\r\n" : "\n");
    fputs(line, stderr);
}

void cli_message(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_line(format, args);
    va_end(args);
}

void cli_error(const struct husk_error *err)
{
    char text[600];

    cli_message("%s", error_format(err, text, sizeof(text)));
}

int cli_usage_error(const struct command *command, const char *format, ...)
{
    char text[800];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cli_message("%s (see: husk help %s)", text, command->name);
    return STATUS_USAGE;
}
