// SPDX-License-Identifier: Apache-2.0
/* Exit statuses of what husk itself ended. */
#ifndef HUSK_POD_CONTROL_STATUS_H
#define HUSK_POD_CONTROL_STATUS_H

#define STATUS_HUSK       125 /* it failed before the program ran */
#define STATUS_NO_EXECUTE 126
#define STATUS_NOT_FOUND  127
#define STATUS_KILLED     137 /* 128 + SIGKILL */
#define STATUS_LOST       255 /* the machine, or the agent in it, went away */

#endif
