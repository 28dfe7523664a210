// SPDX-License-Identifier: Apache-2.0
/* What the files of a container share; see container.h. */
#ifndef HUSK_POD_PODS_CONTAINER_INTERNAL_H
#define HUSK_POD_PODS_CONTAINER_INTERNAL_H

#include "pod/pods/container.h"

/* The run is over, whatever is said of it: nothing is in the guest. */
void container_idle(struct container *container);

#endif
