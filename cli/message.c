// SPDX-License-Identifier: Apache-2.0
/* How the commands speak to their users: see cli.h. Also part of husk-oci. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"

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
