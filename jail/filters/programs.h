// SPDX-License-Identifier: Apache-2.0
/* The compiled filters: written by generate.c into a C file of the build directory, installed by
 * seccomp.c. Constant. */
#ifndef HUSK_JAIL_FILTERS_PROGRAMS_H
#define HUSK_JAIL_FILTERS_PROGRAMS_H

#include <linux/filter.h>
#include <stdint.h>

#include "jail/seccomp.h"

#define SECCOMP_PROGRAM_MAX 1024u /* instructions; the kernel takes 4096 */

struct seccomp_program {
    const struct sock_filter *code;
    unsigned count;
    const uint16_t *own_process; /* instructions that compare with the process's own id */
    unsigned own_process_count;
};

extern const struct seccomp_program seccomp_programs[SECCOMP_THREADS];

#endif
