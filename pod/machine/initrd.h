// SPDX-License-Identifier: Apache-2.0
/*
 * The initial RAM disk of a container's machine: the agent (agent.cpio, made with husk), and behind
 * it the modules of a kernel that has some.
 *
 * agent.cpio is $HUSK_AGENT, or lies beside this program, or where husk was installed. With modules
 * the two are one file of the cache (cache.h).
 */
#ifndef HUSK_POD_MACHINE_INITRD_H
#define HUSK_POD_MACHINE_INITRD_H

#include <stdbool.h>

#include "husk/error.h"
#include "pod/machine/kernel.h"

/* What else than disks and sockets the machine has. */
struct initrd_needs {
    bool network;
    const char *device; /* the modalias of a device of the host, which brings all devices to the PCI
                           bus; or NULL */
};

/* A descriptor for reading, the caller's; or -errno with err filled. The first time that a kernel
 * with modules is used it blocks for a second. */
int initrd_open(const struct guest_kernel *kernel, const struct initrd_needs *needs,
                struct husk_error *err);

#endif
