// SPDX-License-Identifier: Apache-2.0
/*
 * A machine that is none: the real agent as a program of this host, in namespaces of its own
 * (docs/agent.md, "Outside a machine"), for tests of the supervisor and of what is above it. Needs
 * root and HUSK_AGENT, the agent's program.
 *
 * The container's root file system is the directory that its config.json names; with
 * HUSK_NATIVE_ROOT, a directory, that is /rootfs for the agent, as in a config.json of pod/spec.
 * HUSK_NATIVE_FAULT=WORD makes it misbehave: "silent" (the agent never listens), "dies" (it ends at
 * once).
 */
#ifndef HUSK_TESTS_E2E_CONTAINER_NATIVE_MACHINE_H
#define HUSK_TESTS_E2E_CONTAINER_NATIVE_MACHINE_H

#include "pod/vm/machine.h"

extern const struct machine_ops native_machine_ops;

#endif
