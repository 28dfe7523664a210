// SPDX-License-Identifier: Apache-2.0
/* Signals by name or number, as engines spell them. No state. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/parse.h"
#include "pod/spec/spec.h"

/* The kernel's numbers, not those that the C library leaves of them. */
#define REALTIME_MIN 34
#define REALTIME_MAX 64

static const struct {
    const char *name;
    int number;
} names[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},     {"QUIT", SIGQUIT},       {"ILL", SIGILL},
    {"TRAP", SIGTRAP},     {"ABRT", SIGABRT},   {"IOT", SIGABRT},        {"BUS", SIGBUS},
    {"FPE", SIGFPE},       {"KILL", SIGKILL},   {"USR1", SIGUSR1},       {"SEGV", SIGSEGV},
    {"USR2", SIGUSR2},     {"PIPE", SIGPIPE},   {"ALRM", SIGALRM},       {"TERM", SIGTERM},
    {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD},   {"CLD", SIGCHLD},        {"CONT", SIGCONT},
    {"STOP", SIGSTOP},     {"TSTP", SIGTSTP},   {"TTIN", SIGTTIN},       {"TTOU", SIGTTOU},
    {"URG", SIGURG},       {"XCPU", SIGXCPU},   {"XFSZ", SIGXFSZ},       {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},     {"WINCH", SIGWINCH}, {"IO", SIGIO},           {"POLL", SIGIO},
    {"PWR", SIGPWR},       {"SYS", SIGSYS},     {"RTMIN", REALTIME_MIN}, {"RTMAX", REALTIME_MAX},
};

const char *spec_signal_name(int number, char text[SPEC_SIGNAL_BYTES])
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].number == number) {
            snprintf(text, SPEC_SIGNAL_BYTES, "SIG%s", names[i].name);
            return text;
        }
    }
    if (number > REALTIME_MIN && number < REALTIME_MAX)
        snprintf(text, SPEC_SIGNAL_BYTES, "SIGRTMIN+%d", number - REALTIME_MIN);
    else
        snprintf(text, SPEC_SIGNAL_BYTES, "%d", number);
    return text;
}

int spec_signal_parse(const char *text, int *out)
{
    uint64_t number;

    if (!parse_u64(text, 1, REALTIME_MAX, &number)) {
        *out = (int)number;
        return 0;
    }
    if (!strncasecmp(text, "SIG", 3))
        text += 3;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!strcasecmp(text, names[i].name)) {
            *out = names[i].number;
            return 0;
        }
    }
    if (!strncasecmp(text, "RTMIN+", 6) && !parse_u64(text + 6, 1, 30, &number))
        *out = REALTIME_MIN + (int)number;
    else if (!strncasecmp(text, "RTMAX-", 6) && !parse_u64(text + 6, 1, 30, &number))
        *out = REALTIME_MAX - (int)number;
    else
        return -EINVAL;
    return 0;
}
