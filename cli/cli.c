// SPDX-License-Identifier: Apache-2.0
/* The table of subcommands, and how they speak to the user: see cli.h. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

const struct command *const commands[] = {&cmd_run,    &cmd_serve,   &cmd_vm,   &cmd_jail, &cmd_vf,
                                          &cmd_doctor, &cmd_version, &cmd_help, NULL};

const struct command *command_find(const char *name)
{
    for (const struct command *const *at = commands; *at; at++) {
        if (!strcmp((*at)->name, name))
            return *at;
    }
    return NULL;
}

/* A message may quote an argument as long as the system takes: both of its ends are kept, for what
 * is wrong stands at either. */
#define MESSAGE_END_BYTES 500u

static void shorten(char *text)
{
    static const char mark[] = " ... ";
    size_t len = strlen(text);

    if (len <= 2 * MESSAGE_END_BYTES + sizeof(mark) - 1)
        return;
    memcpy(text + MESSAGE_END_BYTES, mark, sizeof(mark) - 1);
    memmove(text + MESSAGE_END_BYTES + sizeof(mark) - 1, text + len - MESSAGE_END_BYTES,
            MESSAGE_END_BYTES + 1);
}

__attribute__((format(printf, 1, 0))) static void print_line(const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    if (text) {
        make_printable(text);
        shorten(text);
    }
    /* A terminal in raw mode does not return the carriage by itself; elsewhere "\r" is noise. */
    fprintf(stderr, "husk: %s%s", text ? text : "out of memory",
            isatty(STDERR_FILENO) ? "\r\n" : "\n");
    free(text);
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
