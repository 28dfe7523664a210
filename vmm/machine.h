// SPDX-License-Identifier: Apache-2.0
/*
 * The machine: everything that one VM consists of, and its life.
 *
 *     machine_build()      machine_start()       machine_pause()
 *   ──────────────▶ CREATED ────────▶ RUNNING ◀────────▶ PAUSED
 *                                        │  machine_resume()  │
 *                                        └──▶ (stopping) ◀────┘  guest request, error,
 * machine_stop() │ every vCPU has left, device I/O has settled ▼ STOPPED            one STOPPED
 * event; then nothing
 *
 * Threads
 *   I/O      runs `loop`: queues, backends, timers of all devices.
 *   vCPU n   runs guest code; serves its exits through the buses; between runs it waits for
 *            `command` to change.
 *   callers  of the functions below. None of them is a thread of the machine's.
 *   All of the machine's threads have signals blocked (base/thread.h).
 *
 * Data flow: vcpu → bus → device → virtqueue → backend, and back through an irq_line.
 *
 * Who owns what: the machine owns every object named here and destroys them in the reverse of the
 * order in which machine_build.c makes them. Devices own their backends, except the console's,
 * which may be shared and outlives them to write out what the guest said last.
 *
 * Invariants
 *  1. `state`, `command`, `end`, the counters: only under `lock`. Nobody calls into a device, waits
 *     for the I/O thread, or makes a system call that may block while holding it.
 *  2. The first reason to stop wins; later ones change nothing.
 *  3. A vCPU is inside the guest only while `inside` counts it; pause waits for 0.
 *  4. Devices run only between the I/O thread's resume_devices() and its pause_devices(); after
 *     settle_devices() for ever not.
 *  5. Lock order: control_lock, config->devices_lock, lock. vCPU threads never take control_lock;
 *     the I/O thread neither that nor devices_lock, for whoever holds them may wait for it.
 */
#ifndef HUSK_VMM_MACHINE_H
#define HUSK_VMM_MACHINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/thread.h"
#include "base/timeline.h"
#include "boot/boot.h"
#include "devices/device.h"
#include "husk/husk.h"
#include "vmm/arch/arch.h"
#include "vmm/config.h"
#include "vmm/events.h"
#include "vmm/interrupts.h"
#include "vmm/kvm.h"
#include "vmm/memslots.h"
#include "vmm/vcpu.h"

struct block_backend;
struct console_backend;
struct event_timer;
struct pci_host;
struct vfio_iommu;
struct vfio_vm;
struct virtio_device;

/* What vCPU threads are to do. */
enum machine_command { MACHINE_HOLD, MACHINE_RUN, MACHINE_QUIT };

struct machine_vcpu {
    struct machine *machine;
    struct vcpu *vcpu;
    pthread_t thread;
    bool has_thread;
    struct thread_cpu_time cpu_time;
};

/* A device of the host; owned through `devices`. */
struct machine_vfio {
    struct machine *machine;
    struct device *device; /* NULL: this place is free */
    atomic_uint slot;      /* its number on the PCI bus; 0: not there (yet) */
    bool wanted;           /* the host asked for it; I/O thread */
    char id[CONFIG_ID_MAX + 1];
    char name[CONFIG_ID_MAX + 1]; /* in messages: its address where it is known */
};

/* A drive or a network device: what it is, and how the guest reaches it. */
struct machine_device {
    struct virtio_device *virtio;
    struct device *transport; /* owned through `devices` */
};

struct machine {
    struct machine_config *config; /* outlives the machine, which uses up its descriptors */
    const struct log *log;
    struct timeline timeline;

    /* Made by the steps of machine_build.c, in this order. */
    struct kvm kvm;
    struct memslots memslots;
    pthread_mutex_t kvm_vfio_lock; /* guards the next */
    int kvm_vfio_fd;               /* -1: nothing has been passed through */
    struct arch_cpu_model *cpu_model;
    struct arch_layout layout;
    struct guest_memory *memory;
    struct event_loop *loop;
    struct event_timer *shutdown_timer; /* armed with `lock` held */
    struct bus *ports;
    struct bus *mmio;
    struct interrupts interrupts;
    struct device_env device_env; /* the above, as devices see it */
    struct console_backend *console;
    struct device *devices;    /* in order of creation */
    unsigned virtio_count;     /* virtio-mmio windows in use */
    struct pci_host *pci;      /* NULL without a PCI bus; owned through `devices` */
    struct msi_controller msi; /* of `pci`, as the next */
    struct level_controller levels;
    struct device *acpi_pm; /* the ones that callers act on; owned through `devices` */
    struct device *i8042;
    struct virtio_device *virtio_console;
    struct pci_hotplug *hotplug;                      /* NULL without a PCI bus; as `pci` */
    struct machine_device drives[CONFIG_DEVICES_MAX]; /* as the configuration's, whose lock */
    struct machine_device nets[CONFIG_DEVICES_MAX];   /* guards them */
    struct virtio_device *rng, *vsock, *balloon;
    struct vfio_iommu *vfio_iommu; /* where devices of the host do DMA; NULL: there were none */
    struct machine_vfio vfios[CONFIG_DEVICES_MAX]; /* these two: as `drives`, in any order */
    struct boot_entry entry;
    struct vcpu_env vcpu_env;
    struct machine_vcpu *vcpus;
    unsigned vcpu_count;

    pthread_t io_thread;
    bool has_io_thread;
    struct thread_cpu_time io_cpu_time;
    bool devices_running; /* I/O thread */
    bool devices_settled; /* I/O thread */

    struct event_queue events;
    pthread_mutex_t control_lock; /* start, pause, resume and update, one at a time */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* command, inside, or state */
    enum machine_command command;
    enum husk_state state;
    struct husk_event end; /* reason NONE until a reason to stop is known */
    bool ready;            /* the guest said that its init runs */
    unsigned inside;       /* vCPUs that may be in guest code */
    unsigned alive;        /* vCPU threads that have not quit */
};

/* Open what the configuration names: see machine_open.c. What was opened is the configuration's. */
int machine_open(struct machine_config *config, const struct log *log, struct husk_error *err);

/* The same of one device that is not the configuration's yet; `name` is for messages, `index` where
 * it will be. */
int machine_open_drive(struct machine_config *config, struct drive_config *drive, const char *name,
                       struct husk_error *err);
int machine_open_net(struct net_config *net, unsigned index, const char *name,
                     const struct log *log, struct husk_error *err);

/* The console's descriptors for a process that cannot reopen the caller's: see dup_nonblocking().
 * -1 where there is none. The caller owns both. */
int machine_open_console(const struct machine_config *config, int *in, int *out,
                         struct husk_error *err);

/* Create everything from an opened configuration, load the kernel (machine_build.c lists the
 * steps). On failure err names what is at fault and nothing remains. The caller owns *out. */
int machine_build(struct machine_config *config, const struct log *log, struct machine **out,
                  struct husk_error *err);

/* Stop, join all threads, release everything. NULL and half-built machines are fine. Blocks until
 * disk requests have finished, and for what the console's reader still takes. */
void machine_destroy(struct machine *machine);

/* Make the machine's threads, which wait: for a caller that cannot make any later. machine_start()
 * does it where nobody did. */
int machine_make_threads(struct machine *machine, struct husk_error *err);

int machine_start(struct machine *machine, struct husk_error *err);
int machine_pause(struct machine *machine, struct husk_error *err);
int machine_resume(struct machine *machine, struct husk_error *err);
enum husk_state machine_state(struct machine *machine);

/* Record why to stop, unless a reason is known already, and send the vCPUs home. Any thread, the
 * vCPUs' own included; does not wait. error: for MONITOR_ERROR, else NULL. */
void machine_stop(struct machine *machine, enum husk_stop_reason reason, uint8_t guest_status,
                  const struct husk_error *error);

/* Stop if it runs, and wait until none of the machine's threads is left. */
void machine_join(struct machine *machine);

/* The guest's init reported that it runs. Says so to the host once, however often it comes. */
void machine_ready(struct machine *machine);

/* Whether the guest can take requests: -EINVAL with err filled (`what` cannot be done) when it does
 * not run. */
int machine_check_started(struct machine *machine, const char *what, struct husk_error *err);

/* ---- machine_reopen.c: the file of a drive update, in the library's process ---- */

struct drive_file {
    int fd;                   /* -1: the update names no file */
    bool opened;              /* here, and closed by machine_reopen_done() if it is not taken */
    struct husk_error in_use; /* code != 0: why it could only be opened to be looked at */
};

/* Open what update->path names, unless there is update->fd. */
int machine_reopen_drive(struct machine_config *config, const char *id,
                         const struct husk_drive_update *update, struct drive_file *out,
                         struct husk_error *err);
/* ret is what machine_update_drive() said, which took the file on success. Returns what the caller
 * is to hear. */
int machine_reopen_done(struct drive_file *file, int ret, struct husk_error *err);

/* ---- machine_live.c: changes of a running machine ---- */

/* As husk_vm_update_drive(), of which update->fd is the opened file, or -1; its path only names it
 * in messages. What the descriptor is, and whether its file can be had, is checked here. Blocks
 * until the old file's requests have finished. */
int machine_update_drive(struct machine *machine, const char *id,
                         const struct husk_drive_update *update, struct husk_error *err);
int machine_update_net(struct machine *machine, const char *id,
                       const struct husk_net_update *update, struct husk_error *err);

/* ---- machine_plug.c: drives and network devices that come and go ---- */

/* Give the guest another device. What the configuration holds is used up, on failure as well. */
int machine_plug_drive(struct machine *machine, struct drive_config *drive, struct husk_error *err);
int machine_plug_net(struct machine *machine, struct net_config *net, struct husk_error *err);

/* As husk_vm_remove_drive() once the VM is built. */
int machine_unplug_drive(struct machine *machine, const char *id, struct husk_error *err);
int machine_unplug_net(struct machine *machine, const char *id, struct husk_error *err);

/* pci_hotplug_sink.eject; arg is the machine. */
void machine_eject(void *arg, unsigned number);

/* Whether devices can come and go: 0, or -errno with err saying that `what` cannot be done.
 * control_lock held. */
int machine_check_pluggable(struct machine *machine, const char *what, struct husk_error *err);
/* HUSK_EVENT_DEVICE_*. */
void machine_tell_of_device(struct machine *machine, enum husk_event_type type,
                            enum husk_device_kind kind, const char *id);

/* ---- machine_plug_vfio.c: the same for devices of the host ---- */

/* iommu_fd: -1, or for the first one the IOMMU's end of the interface that the device's descriptor
 * is of. It is used up, too. Blocks while guest memory is pinned. */
int machine_plug_vfio(struct machine *machine, struct vfio_config *vfio, int iommu_fd,
                      struct husk_error *err);
int machine_unplug_vfio(struct machine *machine, const char *id, struct husk_error *err);
/* For machine_eject(): whether it was one of them. devices_lock held. */
bool machine_eject_vfio(struct machine *machine, unsigned number);
/* 0, or -ENOENT with err filled. */
int machine_has_vfio(struct machine *machine, const char *id, struct husk_error *err);

/* As husk_vm_shutdown(). */
int machine_shutdown(struct machine *machine, unsigned grace_ms, struct husk_error *err);
/* The deadline has come; arg is the machine. I/O thread. */
void machine_shutdown_due(void *arg);

/* ---- machine_stats.c: what was counted. Any thread; the structs are whole. ---- */

int machine_stats(struct machine *machine, struct husk_vm_stats *stats, struct husk_error *err);
int machine_drive_stats(struct machine *machine, const char *id, struct husk_drive_stats *stats,
                        struct husk_error *err);
int machine_net_stats(struct machine *machine, const char *id, struct husk_net_stats *stats,
                      struct husk_error *err);

/* ---- machine_devices.c: the only file that knows concrete devices ---- */

/* Create every device that the configuration asks for. What was made before a failure is in
 * `devices`. */
int machine_create_devices(struct machine *machine, struct husk_error *err);
void machine_destroy_devices(struct machine *machine);
/* To the end of `devices`, which then own it. */
void machine_append_device(struct machine *machine, struct device *device);
struct arch_power_registers machine_power_registers(void);
void machine_power_button(struct machine *machine);
void machine_ctrl_alt_del(struct machine *machine);
void machine_console_resize(struct machine *machine, uint16_t columns, uint16_t rows);

/* ---- machine_vfio.c ---- */

/* Every device of the host that the configuration asks for. Guest memory is pinned with the first:
 * blocks for as long as that takes. What was made before a failure is in `devices`. */
int machine_create_vfio(struct machine *machine, struct husk_error *err);
/* After the devices themselves. */
void machine_destroy_vfio(struct machine *machine);
/* Make one more. Its descriptors are used up. devices_lock held, once the machine is built; not on
 * vCPUs' threads nor the I/O thread. `hotplugged`: the guest turns it on itself. */
int machine_create_one_vfio(struct machine *machine, struct vfio_config *vfio, bool hotplugged,
                            struct husk_error *err);
/* NULL: there is none that is called so, or behind this number. */
struct machine_vfio *machine_find_vfio(struct machine *machine, const char *id);
struct machine_vfio *machine_vfio_at(struct machine *machine, unsigned slot);
/* Take it off the bus and destroy it: the place is free. Not on the I/O thread. Blocks for the
 * device's reset. */
void machine_destroy_one_vfio(struct machine_vfio *place);
/* Guest memory that is pinned now. Any thread but vCPUs' and the I/O thread: takes devices_lock. */
uint64_t machine_pinned_bytes(struct machine *machine);

/* Make a configured device, behind its transport, for machine_plug_in(). A drive's backend is the
 * device's on success. I/O thread, or while that does not run. */
int machine_attach_drive(struct machine *machine, unsigned index, const char *name,
                         struct block_backend *backend, struct husk_error *err);
int machine_attach_net(struct machine *machine, unsigned index, const char *name,
                       struct husk_error *err);
/* Show it to the guest. Not on the I/O thread while vCPUs run. */
int machine_plug_in(struct machine *machine, const struct machine_device *device, const char *name,
                    struct husk_error *err);
/* Unlink it from `devices`: it is the caller's. I/O thread, or while that does not run. */
void machine_unlink_device(struct machine *machine, struct device *device);
/* The same, and destroy it. */
void machine_destroy_device(struct machine *machine, struct device *device);

/* The image behind an asynchronous engine. The drive's descriptor is used up. */
int machine_create_block(const struct machine *machine, struct drive_config *drive,
                         const char *name, struct block_backend **out, struct husk_error *err);

#endif
