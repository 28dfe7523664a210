// SPDX-License-Identifier: Apache-2.0
/* The pseudo-terminal of a process, from its container's own devpts. */
#ifndef HUSK_GUEST_AGENT_TERMINAL_H
#define HUSK_GUEST_AGENT_TERMINAL_H

#include "guest/agent/oci.h"

/* In the container, after its root was entered: makes one, with it the standard streams and the
 * controlling terminal of this session; shows it as /dev/console if asked. Returns the master,
 * which is the caller's. */
int terminal_open(const struct oci_process *process, bool console, struct husk_error *err);

int terminal_resize(int master, uint16_t columns, uint16_t rows);

#endif
