// SPDX-License-Identifier: Apache-2.0
/* What only PID 1 of a machine does: making a usable Linux around the agent, and ending it. */
#ifndef HUSK_GUEST_AGENT_BOOT_H
#define HUSK_GUEST_AGENT_BOOT_H

#include <stdbool.h>

#include "base/error.h"

/* A root that containers can leave, kernel file systems, modules, the control group of all
 * containers. Returns a descriptor of that. Blocks until modules are loaded. */
int boot_machine(struct husk_error *err);

/* The directories of husk/agent.h, private. */
int boot_directories(struct husk_error *err);

/* Tell the monitor that there is somebody to talk to. Changes nothing on other machines. */
void boot_ready(void);

/* Power off, or reset. */
void boot_end(bool reboot) __attribute__((noreturn));

#endif
