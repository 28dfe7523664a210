// SPDX-License-Identifier: Apache-2.0
/*
 * Which seccomp filter which thread of a machine is under. A thread that cannot be put under its
 * filter does not run: whoever starts it is told.
 */
#ifndef HUSK_VMM_CONFINE_H
#define HUSK_VMM_CONFINE_H

#include "base/log.h"
#include "base/thread.h"
#include "jail/seccomp.h"
#include "vmm/config.h"

/* What a thread of this kind begins with; NULL when threads are not confined. */
const struct thread_prologue *confine_prologue(const struct machine_config *config,
                                               enum seccomp_thread kind);

/* Say so when filters were asked for and this build has none. */
void confine_check(const struct machine_config *config, const struct log *log);

#endif
