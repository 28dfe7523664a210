// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's side of a machine: /dev/kvm, one VM in it, its memory slots, and the eventfds that
 * carry interrupts in (irqfd) and doorbells out (ioeventfd).
 *
 * What a host can do is asked of KVM itself, never guessed from CPU flags: KVM also exists on hosts
 * without hardware virtualisation.
 *
 * Threads: opened and filled while the machine is built; constant while it runs, when its functions
 * are for any thread.
 */
#ifndef HUSK_VMM_KVM_H
#define HUSK_VMM_KVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"
#include "vmm/bus.h"

struct guest_memory;

struct kvm {
    int dev_fd;       /* /dev/kvm, -1: not open */
    int vm_fd;        /* -1: not made */
    size_t run_bytes; /* size of the mapping that a vCPU shares with KVM */
    unsigned max_vcpus;
    unsigned max_memslots;
};

/* A capability that the machine cannot do without. */
struct kvm_requirement {
    int capability; /* KVM_CAP_* */
    const char *name;
};

/* The state before kvm_open(), fit for kvm_close(). */
#define KVM_CLOSED                \
    {                             \
        .dev_fd = -1, .vm_fd = -1 \
    }

/* A descriptor of /dev/kvm, or -errno with err saying what helps. */
int kvm_open_device(struct husk_error *err);

/* Whether this KVM emulates ring 0 of ordinary kernels instruction by instruction. Asks sysfs. */
bool kvm_host_is_pvm(void);

/*
 * Check the version of an open /dev/kvm and that it has everything that `requirements` (of the
 * architecture) and the machine itself need, and create a VM. dev_fd becomes kvm's, on failure as
 * well. Returns 0, or -errno with err naming what is missing; *kvm is then closed.
 */
int kvm_open(struct kvm *kvm, int dev_fd, const struct kvm_requirement *requirements,
             unsigned count, struct husk_error *err);

/* Closes what is open. */
void kvm_close(struct kvm *kvm);

/* KVM_CHECK_EXTENSION on the VM: 0 when the capability is missing. */
int kvm_capability(const struct kvm *kvm, int capability);

/* ioctl() on a descriptor of KVM, repeated when interrupted. The result, or -errno. */
int kvm_ioctl(int fd, unsigned long request, unsigned long argument);
int kvm_ioctl_ptr(int fd, unsigned long request, void *argument);

/* Make every region of `memory` a memory slot. The memory must outlive the VM. */
int kvm_map_memory(const struct kvm *kvm, const struct guest_memory *memory,
                   struct husk_error *err);

/* Turn writes to event_fd into edges on `gsi`, until either is closed. */
int kvm_connect_irq(const struct kvm *kvm, int event_fd, uint32_t gsi);

/*
 * The VM's side of passthrough (Documentation/virt/kvm/devices/vfio.rst): a descriptor to tell KVM
 * of files of VFIO through, one for each VM. Returns it or -errno; the caller closes it before the
 * VM.
 */
int kvm_create_vfio(const struct kvm *kvm);
/* file_fd: a group, or a device that is not bound yet. Returns 0 or -errno. */
int kvm_vfio_file(int vfio_fd, int file_fd, bool add);

/* The same of level-triggered interrupts (KVM's api.rst, 4.75): a write to trigger_fd asserts
 * `gsi`, and the guest's end of interrupt deasserts it and signals resample_fd. Several may share a
 * GSI. */
int kvm_connect_resampled(const struct kvm *kvm, int trigger_fd, int resample_fd, uint32_t gsi);

/* Undoes either: afterwards nothing that is written to event_fd reaches the guest. */
void kvm_disconnect_irq(const struct kvm *kvm, int event_fd, uint32_t gsi);

/* The level of `gsi` as far as user space sets it, which KVM combines with resampled lines'. */
void kvm_set_irq_level(const struct kvm *kvm, uint32_t gsi, bool asserted);

/* ioeventfds for bus_create(), on ports or on MMIO addresses. kvm must outlive the bus. */
struct bus_accelerator kvm_port_accelerator(struct kvm *kvm);
struct bus_accelerator kvm_mmio_accelerator(struct kvm *kvm);

#endif
