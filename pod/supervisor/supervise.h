// SPDX-License-Identifier: Apache-2.0
/*
 * The supervisor's process: `husk-pod supervise NAME`, started by entry_spawn() (spawn.h).
 */
#ifndef HUSK_POD_SUPERVISOR_SUPERVISE_H
#define HUSK_POD_SUPERVISOR_SUPERVISE_H

#include "pod/vm/machine.h"

/*
 * Runs one container to its end. Takes the descriptors of spawn.h; argv[0] is the program, argv[1]
 * "supervise", argv[2] the container's name. Returns the process's exit status: 0 when the
 * container has ended and that was recorded; else errors are in the container's file `errors` and
 * were told to the clients.
 */
int supervisor_main(int argc, char *const argv[], const struct machine_ops *ops);

#endif
