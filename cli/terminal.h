// SPDX-License-Identifier: Apache-2.0
/*
 * The user's terminal while a guest's console is on it: raw mode, restored on every way out that
 * leaves us a chance (return, fatal signals, stop and continue), and the escape key.
 */
#ifndef HUSK_CLI_TERMINAL_H
#define HUSK_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether standard input is a terminal that this process may use now (foreground). */
bool terminal_usable(void);

/* Raw mode on standard input. Returns 0 or -errno. Restoring is idempotent. */
int terminal_enter_raw(void);
void terminal_restore(void);

/* Suspend ourselves as SIGTSTP would, with the terminal restored; raw again when continued. */
void terminal_suspend(void);

/* Size in characters; 0 and 0 when unknown. */
void terminal_size(uint16_t *columns, uint16_t *rows);

enum terminal_key {
    TERMINAL_NONE,
    TERMINAL_QUIT,
    TERMINAL_POWER_BUTTON,
    TERMINAL_CTRL_ALT_DEL,
    TERMINAL_HELP,
};

/* Escape state between reads; zero-initialise. */
struct terminal_filter {
    bool escaped;
};

/*
 * Take the escape sequences out of input, in place: Ctrl-A and then x (quit), p (power button), d
 * (Ctrl-Alt-Del) or h (help); Ctrl-A twice is one Ctrl-A. Returns the bytes that remain; *key is
 * the last command seen. After QUIT the rest of the input is dropped.
 */
size_t terminal_filter(struct terminal_filter *filter, uint8_t *data, size_t len,
                       enum terminal_key *key);

#endif
