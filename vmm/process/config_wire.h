// SPDX-License-Identifier: Apache-2.0
/*
 * A machine's configuration as messages: what the library opened and checked goes over as it is.
 *
 * put: the configuration keeps its descriptors, of which the message carries duplicates.
 * get: into a zeroed configuration (VM) or its next device; strings and descriptors become the
 * configuration's, also on failure. Returns 0, -EPROTO (fields or descriptors are missing, or a
 * count is out of range) or -ENOMEM.
 */
#ifndef HUSK_VMM_PROCESS_CONFIG_WIRE_H
#define HUSK_VMM_PROCESS_CONFIG_WIRE_H

#include "vmm/config.h"
#include "vmm/process/channel.h"

/* console: the descriptors that machine_open_console() made of the caller's. */
void config_put_vm(struct message *message, struct wire_writer *writer,
                   const struct machine_config *config, int console_in, int console_out);
int config_get_vm(struct message *message, struct wire_reader *reader,
                  struct machine_config *config);

void config_put_drive(struct message *message, struct wire_writer *writer,
                      const struct drive_config *drive);
int config_get_drive(struct message *message, struct wire_reader *reader,
                     struct machine_config *config);
/* Into a zeroed one of its own. */
int config_get_plugged_drive(struct message *message, struct wire_reader *reader,
                             struct drive_config *drive);

void config_put_net(struct message *message, struct wire_writer *writer,
                    const struct net_config *net);
int config_get_net(struct message *message, struct wire_reader *reader,
                   struct machine_config *config);
int config_get_plugged_net(struct message *message, struct wire_reader *reader,
                           struct net_config *net);

void config_put_vfio(struct message *message, struct wire_writer *writer,
                     const struct vfio_config *vfio);
int config_get_vfio(struct message *message, struct wire_reader *reader,
                    struct machine_config *config);

/* Into a zeroed one of its own, and the IOMMU's descriptor; -1: there is one already. */
void config_put_plugged_vfio(struct message *message, struct wire_writer *writer,
                             const struct vfio_config *vfio, int iommu_fd);
int config_get_plugged_vfio(struct message *message, struct wire_reader *reader,
                            struct vfio_config *vfio, int *iommu_fd);

/* Inside the jail, connections are made in JAIL_VSOCK_DIRECTORY. */
void config_put_vsock(struct message *message, struct wire_writer *writer,
                      const struct vsock_config *vsock);
int config_get_vsock(struct message *message, struct wire_reader *reader,
                     struct machine_config *config);

#endif
