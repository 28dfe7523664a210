// SPDX-License-Identifier: Apache-2.0
/*
 * System calls that are newer than a profile. Programs and C libraries try a new call and do
 * without when it does not exist; that it is forbidden they do not expect. So a filter that forbids
 * what it does not name says ENOSYS of every call with a higher number than all that it names.
 */
#ifndef HUSK_GUEST_AGENT_SECCOMP_NEWER_H
#define HUSK_GUEST_AGENT_SECCOMP_NEWER_H

#include <linux/filter.h>
#include <seccomp.h>

#define SECCOMP_NEWER_ARCHES 5

/* The highest number of a named call, by architecture; begins as SECCOMP_NEWEST_INIT. */
struct seccomp_newest {
    int number[SECCOMP_NEWER_ARCHES];
};

#define SECCOMP_NEWEST_INIT              \
    {                                    \
        .number = { -1, -1, -1, -1, -1 } \
    }

/* The profile names this call. */
void seccomp_newest_note(struct seccomp_newest *newest, const char *name);

/* Puts the check before the program of `filter`. 0, -ENOMEM, or -E2BIG when it becomes too long. */
int seccomp_newest_refuse(const struct seccomp_newest *newest, scmp_filter_ctx filter,
                          struct sock_fprog *program);

#endif
