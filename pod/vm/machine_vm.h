// SPDX-License-Identifier: Apache-2.0
/* A machine as a microVM of libhusk, in its jailed process (pod/machine/machine.h).
 */
#ifndef HUSK_POD_VM_MACHINE_VM_H
#define HUSK_POD_VM_MACHINE_VM_H

#include "pod/vm/machine.h"

extern const struct machine_ops machine_vm_ops;

#endif
