// SPDX-License-Identifier: Apache-2.0
/* Installing the compiled filters: see seccomp.h. Runs on the thread that is to be confined; no
 * state. */
#include "jail/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jail/filters/programs.h"

#ifdef HUSK_WITHOUT_SECCOMP

bool seccomp_built_in(void)
{
    return false;
}

int seccomp_install(enum seccomp_thread kind)
{
    return kind < SECCOMP_THREADS ? 0 : -EINVAL;
}

#else

bool seccomp_built_in(void)
{
    return true;
}

int seccomp_install(enum seccomp_thread kind)
{
    struct sock_filter code[SECCOMP_PROGRAM_MAX];
    const struct seccomp_program *program;
    struct sock_fprog filter;
    uint32_t own_process = (uint32_t)getpid();

    if (kind >= SECCOMP_THREADS)
        return -EINVAL;
    program = &seccomp_programs[kind];
    memcpy(code, program->code, program->count * sizeof(code[0]));
    for (unsigned i = 0; i < program->own_process_count; i++)
        code[program->own_process[i]].k = own_process;
    filter = (struct sock_fprog){.len = (unsigned short)program->count, .filter = code};

    /* What the kernel demands of whoever filters without privilege; no program that is executed
     * later can gain any either. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? -errno : 0;
}

#endif
