// SPDX-License-Identifier: Apache-2.0
/* The first process of a container that asked for one of ours in front of its program ("init"). */
#ifndef HUSK_GUEST_AGENT_REAPER_H
#define HUSK_GUEST_AGENT_REAPER_H

#include <stdbool.h>

#include "base/error.h"

/*
 * For a process that is about to execute a container's program, with rights and filter that are the
 * program's. Returns 0 in a child, which goes on to do that in a process group of its own, in the
 * foreground of the `terminal` on standard input if there is one; or -errno.
 *
 * The process itself never returns: it keeps nothing open, sends signals on to the child, reaps
 * whatever becomes its child, and ends as the child does: with its status, or 128 + its signal.
 */
int reaper_begin(bool terminal, struct husk_error *err);

#endif
