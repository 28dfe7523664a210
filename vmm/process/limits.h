// SPDX-License-Identifier: Apache-2.0
/*
 * The cgroup of a jailed VM's process, made by the library before the process has anything to do,
 * and removed with the VM; by the next start of any VM, when the library's process was killed
 * (jail/registry.h).
 *
 * One thread at a time.
 */
#ifndef HUSK_VMM_PROCESS_LIMITS_H
#define HUSK_VMM_PROCESS_LIMITS_H

#include <sys/types.h>

#include "base/log.h"
#include "vmm/process/client.h"

struct process_limits;

/* *out is NULL when no cgroup is asked for. 0, or -errno with err filled and nothing left. */
int process_limits_create(const struct process_config *config, const struct machine_config *machine,
                          const struct log *log, struct process_limits **out,
                          struct husk_error *err);

/* NULL is fine: nothing to do. */
int process_limits_attach(struct process_limits *limits, pid_t pid, struct husk_error *err);

/* A drive more. NULL is fine: nothing to do. */
int process_limits_add_drive(struct process_limits *limits, int fd, struct husk_error *err);

/* Whether there is room for a device of the host. NULL is fine. */
int process_limits_add_vfio(const struct process_limits *limits,
                            const struct machine_config *machine, struct husk_error *err);

/* The process has ended. NULL is fine. */
void process_limits_destroy(struct process_limits *limits);

#endif
