// SPDX-License-Identifier: Apache-2.0
/*
 * A jailed VM as the library sees it: the calls of husk/husk.h, carried to its process and back.
 *
 * Nothing that comes from the process is believed: answers are bounded, checked, and waited for
 * with a deadline. A process that answers wrongly (-EPIPE) or not at all (-ETIMEDOUT) is killed;
 * from then on every call fails with -EPIPE and the VM counts as stopped.
 *
 * Threads: as husk/husk.h says of the calls.
 */
#ifndef HUSK_VMM_PROCESS_CLIENT_H
#define HUSK_VMM_PROCESS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/log.h"
#include "husk/husk.h"
#include "vmm/config.h"

struct vm_process;

/* What a jailed VM needs beyond its machine's configuration. Strings are owned. */
struct process_config {
    char *id;       /* never NULL */
    char *vmm_path; /* never NULL */
    struct husk_jail_options jail;
    char *cgroup_parent; /* jail.cgroup_parent is this; may be NULL */
};

/* Check and copy. 0 or -errno with err filled; release is due only after success. */
int process_config_init(struct process_config *config, const struct husk_vm_options *options,
                        struct husk_error *err);
void process_config_release(struct process_config *config);

/* Start the process, jail it, and build in it the machine of an opened configuration, which keeps
 * what it has. log must live as long as the process. The caller owns *out. */
int vm_process_build(const struct process_config *config, const struct machine_config *machine,
                     const struct log *log, struct vm_process **out, struct husk_error *err);

/* End it, wait, release. NULL is fine. Waits for what the console's reader still takes, and for
 * disk requests, 10 seconds at most. */
void vm_process_free(struct vm_process *process);

int vm_process_start(struct vm_process *process, struct husk_error *err);
int vm_process_pause(struct vm_process *process, struct husk_error *err);
int vm_process_resume(struct vm_process *process, struct husk_error *err);
int vm_process_power_button(struct vm_process *process, struct husk_error *err);
int vm_process_ctrl_alt_del(struct vm_process *process, struct husk_error *err);
int vm_process_stop(struct vm_process *process, struct husk_error *err);
enum husk_state vm_process_state(struct vm_process *process);
void vm_process_console_resize(struct vm_process *process, uint16_t columns, uint16_t rows);
unsigned vm_process_timeline(struct vm_process *process, struct husk_moment *out, unsigned max);

int vm_process_shutdown(struct vm_process *process, unsigned grace_ms, struct husk_error *err);

/* update->fd is the opened file or -1, and stays the caller's; its path is for messages. */
int vm_process_update_drive(struct vm_process *process, const char *id,
                            const struct husk_drive_update *update, struct husk_error *err);
int vm_process_update_net(struct vm_process *process, const char *id,
                          const struct husk_net_update *update, struct husk_error *err);

/* What the device's configuration holds stays the caller's; the process has duplicates. */
int vm_process_plug_drive(struct vm_process *process, const struct drive_config *drive,
                          struct husk_error *err);
int vm_process_plug_net(struct vm_process *process, const struct net_config *net,
                        struct husk_error *err);
int vm_process_unplug_drive(struct vm_process *process, const char *id, struct husk_error *err);
int vm_process_unplug_net(struct vm_process *process, const char *id, struct husk_error *err);

/* machine: without it. The process's limits are raised first. Blocks while memory is pinned. */
int vm_process_plug_vfio(struct vm_process *process, const struct machine_config *machine,
                         const struct vfio_config *vfio, int iommu_fd, struct husk_error *err);
int vm_process_unplug_vfio(struct vm_process *process, const char *id, struct husk_error *err);
/* 0, or -ENOENT with err filled. */
int vm_process_has_vfio(struct vm_process *process, const char *id, struct husk_error *err);

int vm_process_stats(struct vm_process *process, struct husk_vm_stats *stats,
                     struct husk_error *err);
int vm_process_drive_stats(struct vm_process *process, const char *id,
                           struct husk_drive_stats *stats, struct husk_error *err);
int vm_process_net_stats(struct vm_process *process, const char *id, struct husk_net_stats *stats,
                         struct husk_error *err);

/* Whether its last event was fetched, or its process ended. Without asking the process: does not
 * wait for requests of other threads. */
bool vm_process_has_stopped(struct vm_process *process);

pid_t vm_process_pid(const struct vm_process *process);
const char *vm_process_kernel_format(const struct vm_process *process);
bool vm_process_kernel_is_linux(const struct vm_process *process);

/* events.c */
int vm_process_event_fd(const struct vm_process *process);
/* 1 with *event filled, or 0. Hands lines of log to the log on the way. */
int vm_process_next_event(struct vm_process *process, struct husk_event *event);

#endif
