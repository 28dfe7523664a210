// SPDX-License-Identifier: Apache-2.0
/*
 * The process of a pod's supervisor: `husk-pod supervise-pod KEY`, started by pod_start() (pods.h).
 */
#ifndef HUSK_POD_PODS_SUPERVISE_H
#define HUSK_POD_PODS_SUPERVISE_H

#include "pod/vm/machine.h"

/*
 * Runs one pod to its end. Takes the descriptors of pod/store/spawn.h; argv[0] is the program,
 * argv[1] "supervise-pod", argv[2] the pod's key. Returns the process's exit status: 0 when the pod
 * has ended and that was recorded; else errors are in the pod's file `errors` and were told to the
 * clients.
 */
int pod_supervisor_main(int argc, char *const argv[], const struct machine_ops *ops);

#endif
