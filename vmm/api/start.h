// SPDX-License-Identifier: Apache-2.0
/* How settings become libhusk's options, for start.c and its tests. Pure functions; strings stay
 * the settings'. */
#ifndef HUSK_VMM_API_START_H
#define HUSK_VMM_API_START_H

#include "vmm/api/state.h"

void vm_options_of(struct api *api, const char *command_line, struct husk_vm_options *out);
void drive_options_of(const struct drive_settings *drive, struct husk_drive_options *out);
void net_options_of(const struct net_settings *net, struct husk_net_options *out);
void vfio_options_of(const struct vfio_settings *vfio, struct husk_vfio_options *out);

#endif
