// SPDX-License-Identifier: Apache-2.0
/*
 * seccomp filters, one for each kind of thread. What a thread of its kind never asks of the kernel,
 * it may not ask: the process is killed (SIGSYS), and the kernel's audit log names the system call.
 *
 * Which calls a kind needs, and why, is the table in filters/rules.c. The programs are made of it
 * when husk is built (filters/generate.c), with libseccomp, which is therefore not part of husk:
 * installing a filter is two system calls and no allocation.
 *
 * A thread inherits the filters of the thread that made it, and filters only ever add up. So the
 * kinds that make others allow all that those need, and vCPU, I/O and disk threads make none.
 *
 *     API ─▶ BUILD ─▶ VCPU, IO            (an arrow: allows all that the next does)
 *                 └─▶ CONTROL ─▶ DISK
 *
 * IMAGE and PROBE stand alone: processes of one thread.
 *
 * Builds with sanitizers or coverage have no filters, for their run-time libraries open files and
 * signal as they like: seccomp_built_in() says so, and installing does nothing.
 */
#ifndef HUSK_JAIL_SECCOMP_H
#define HUSK_JAIL_SECCOMP_H

#include <stdbool.h>

enum seccomp_thread {
    SECCOMP_VCPU,    /* runs guest code and serves its exits */
    SECCOMP_IO,      /* the event loop of the devices */
    SECCOMP_DISK,    /* blocking file calls of one disk */
    SECCOMP_CONTROL, /* of a jailed VM that is built: answers the library, ends the VM */
    SECCOMP_BUILD,   /* of a jailed VM: builds it from descriptors, starts its threads */
    SECCOMP_API,     /* of a process that opens files, builds and controls its VM itself */
    SECCOMP_IMAGE,   /* of the process that looks for a kernel on a disk image; makes no thread */
    SECCOMP_PROBE,   /* of the process that speaks with a pod for a probe; makes no thread */
    SECCOMP_THREADS, /* number of kinds */
};

/* For this thread, and those it makes, from now on and for ever; also sets no_new_privs for them.
 * Returns 0 or -errno: ENOSYS or EINVAL when the kernel has no filters. */
int seccomp_install(enum seccomp_thread kind);

/* Whether this build of husk has filters. */
bool seccomp_built_in(void);

#endif
