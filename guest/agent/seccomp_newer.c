// SPDX-License-Identifier: Apache-2.0
/* Calls that are newer than a profile: see seccomp_newer.h. No state. */
#include "guest/agent/seccomp_newer.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

/* x32's calls are another machine's under the same name; they are left alone. */
#define X32_BIT 0x40000000u

/* libseccomp's values are the kernel's AUDIT_ARCH_…. */
static const uint32_t arches[SECCOMP_NEWER_ARCHES] = {
    SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_AARCH64, SCMP_ARCH_ARM, SCMP_ARCH_RISCV64,
};

void seccomp_newest_note(struct seccomp_newest *newest, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
        int number = seccomp_syscall_resolve_name_arch(arches[i], name);

        if (number > newest->number[i])
            newest->number[i] = number;
    }
}

/* Six instructions for each architecture; what they do not decide goes on behind them. */
static size_t fill(const struct seccomp_newest *newest, scmp_filter_ctx filter,
                   struct sock_filter *out)
{
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
        if (newest->number[i] < 0 || seccomp_arch_exist(filter, arches[i]))
            continue;
        const struct sock_filter check[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arches[i], 0, 4),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 2, 0),
            BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)newest->number[i], 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        };

        memcpy(out + len, check, sizeof(check));
        len += ARRAY_SIZE(check);
    }
    return len;
}

int seccomp_newest_refuse(const struct seccomp_newest *newest, scmp_filter_ctx filter,
                          struct sock_fprog *program)
{
    struct sock_filter checks[6 * SECCOMP_NEWER_ARCHES], *longer;
    size_t len = fill(newest, filter, checks);

    if (!len)
        return 0;
    if (len + program->len > BPF_MAXINSNS)
        return -E2BIG;
    longer = calloc(len + program->len, sizeof(*longer));
    if (!longer)
        return -ENOMEM;
    memcpy(longer, checks, len * sizeof(*longer));
    memcpy(longer + len, program->filter, program->len * sizeof(*longer));
    free(program->filter);
    program->filter = longer;
    program->len = (unsigned short)(len + program->len);
    return 0;
}
