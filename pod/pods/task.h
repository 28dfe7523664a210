// SPDX-License-Identifier: Apache-2.0
/*
 * What probes and hooks do in a container: a command by the agent's "exec", whose output is read
 * and of which the beginning is kept, or a connection into the pod. An action_host of
 * pod/lifecycle/action.h for one container.
 */
#ifndef HUSK_POD_PODS_TASK_H
#define HUSK_POD_PODS_TASK_H

#include "pod/lifecycle/action.h"
#include "pod/pods/container.h"

/* The host for this container's actions, whose arg is the container. */
struct action_host task_host(struct container *container);

/* The run is over: what is left of tasks is forgotten. Their actions have been cancelled. */
void task_end_all(struct container *container);

#endif
