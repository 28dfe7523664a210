// SPDX-License-Identifier: Apache-2.0
/*
 * Terminal handling: see terminal.h.
 *
 * The saved settings are file-scope state on purpose: there is one terminal per process, and the
 * handler of a fatal signal has no other way to find them. They are written before `raw` is set and
 * not changed while it is.
 */
#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/checked.h"

#define ESCAPE_KEY 0x01 /* Ctrl-A */

static struct termios saved;
static volatile sig_atomic_t raw;

/* Signals that end the process without passing through main's loop. */
static const int fatal_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};

bool terminal_usable(void)
{
    return isatty(STDIN_FILENO) && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

void terminal_restore(void)
{
    if (!raw)
        return;
    /* tcsetattr() is async-signal-safe (POSIX.1-2017, 2.4.3). */
    tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    raw = 0;
}

static void on_fatal_signal(int signal_number)
{
    terminal_restore();
    /* SA_RESETHAND put the default action back: returning from a fault repeats it, and an abort
     * goes on by itself. */
    raise(signal_number);
}

int terminal_enter_raw(void)
{
    struct sigaction action = {.sa_handler = on_fatal_signal, .sa_flags = SA_RESETHAND};
    struct termios settings;

    if (raw)
        return 0;
    if (tcgetattr(STDIN_FILENO, &saved) < 0)
        return -errno;
    for (unsigned i = 0; i < ARRAY_SIZE(fatal_signals); i++)
        sigaction(fatal_signals[i], &action, NULL);
    settings = saved;
    cfmakeraw(&settings);
    raw = 1;
    if (tcsetattr(STDIN_FILENO, TCSANOW, &settings) < 0) {
        int ret = -errno;

        raw = 0;
        return ret;
    }
    return 0;
}

void terminal_suspend(void)
{
    bool was_raw = raw;

    terminal_restore();
    raise(SIGSTOP);
    /* Continued, maybe in the background: then leave the terminal to whoever has it. */
    if (was_raw && terminal_usable())
        terminal_enter_raw();
}

void terminal_size(uint16_t *columns, uint16_t *rows)
{
    struct winsize size;

    *columns = 0;
    *rows = 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ||
        ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0) {
        *columns = size.ws_col;
        *rows = size.ws_row;
    }
}

/* What a key after Ctrl-A means. */
static enum terminal_key command_of(uint8_t c)
{
    switch (c) {
    case 'x':
        return TERMINAL_QUIT;
    case 'p':
        return TERMINAL_POWER_BUTTON;
    case 'd':
        return TERMINAL_CTRL_ALT_DEL;
    case 'h':
        return TERMINAL_HELP;
    default:
        return TERMINAL_NONE;
    }
}

size_t terminal_filter(struct terminal_filter *filter, uint8_t *data, size_t len,
                       enum terminal_key *key)
{
    enum terminal_key command;
    size_t kept = 0;

    *key = TERMINAL_NONE;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = data[i];

        if (!filter->escaped && c == ESCAPE_KEY) {
            filter->escaped = true;
            continue;
        }
        if (filter->escaped) {
            filter->escaped = false;
            command = command_of(c);
            if (command != TERMINAL_NONE)
                *key = command;
            if (command == TERMINAL_QUIT)
                break;
            if (command != TERMINAL_NONE)
                continue;
            /* Any other key goes through, without its Ctrl-A; so Ctrl-A twice is one. */
        }
        data[kept++] = c;
    }
    return kept;
}
