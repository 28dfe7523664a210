// SPDX-License-Identifier: Apache-2.0
/*
 * The table of what threads may ask of the kernel, as the generator reads it. Part of a program
 * that runs while husk is built, and of its tests; not of husk.
 */
#ifndef HUSK_JAIL_FILTERS_RULES_H
#define HUSK_JAIL_FILTERS_RULES_H

#include <seccomp.h>

#include "jail/seccomp.h"

/* Stands for the process's own id, which seccomp_install() puts in its place. No other value that a
 * rule compares with may be this. */
#define RULES_OWN_PROCESS 0x4f574e21u

#define RULES_ARGUMENTS_MAX 2u

struct rule {
    unsigned kinds;  /* bit k: enum seccomp_thread k needs it by itself */
    int system_call; /* SCMP_SYS() */
    uint32_t action; /* 0: SCMP_ACT_ALLOW */
    unsigned argument_count;
    struct scmp_arg_cmp arguments[RULES_ARGUMENTS_MAX]; /* all must hold */
};

extern const struct rule rules[];
extern const unsigned rule_count;

/* `kinds` and those that allow all that these do: what makes a thread allows what that needs. */
unsigned rules_heirs(unsigned kinds);

#endif
