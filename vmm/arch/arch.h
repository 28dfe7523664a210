// SPDX-License-Identifier: Apache-2.0
/*
 * The architecture boundary: everything the machine needs to know about the processor it runs on.
 * One directory beside this file implements it; a port provides these functions and nothing else.
 *
 * Threads: all of it is called while the machine is built, except arch_set_routes(), and
 * arch_vcpu_exit(), arch_vcpu_resumed() and arch_vcpu_where(), which the vCPU's own thread calls.
 */
#ifndef HUSK_VMM_ARCH_ARCH_H
#define HUSK_VMM_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/boot.h"
#include "devices/device.h"
#include "husk/error.h"
#include "vmm/kvm.h"
#include "vmm/memory.h"

struct kvm_run;
struct log;
struct machine_config;

/* ---- memory ---- */

/* Where a PCI bus is; windows of 0 bytes are none. */
struct arch_pci_layout {
    uint64_t ecam;                  /* configuration space of bus 0, 1 MiB */
    uint64_t low_base, low_bytes;   /* memory BARs that 32 bits reach */
    uint64_t high_base, high_bytes; /* and that they do not */
    uint32_t first_gsi;             /* of the four that interrupt pins are wired to */
    uint16_t hotplug_port;          /* this and the next: of the devices, for the tables */
    uint32_t slots;                 /* bit n: device n may come and go */
};

#define ARCH_RANGES_MAX 8u

/* Where things are in a machine with a given amount of memory. */
struct arch_layout {
    struct guest_region_spec ram[GUEST_MEMORY_MAX_REGIONS];
    unsigned ram_count;
    uint64_t address_end;                      /* one past the last byte of RAM */
    struct boot_range ranges[ARCH_RANGES_MAX]; /* the guest's map; boot.ranges points here */
    gpa_t tables;                              /* room for the firmware tables, reported as such */
    uint64_t tables_bytes;
    struct arch_pci_layout pci; /* arch_layout_add_pci(); ecam 0: there is no bus */
    struct boot_layout boot;    /* rsdp is filled in once the tables are written */
};

/* memory_bytes: a multiple of the page size, 1 MiB to ARCH_MEMORY_MAX. *out must not be moved
 * afterwards: it points into itself. */
void arch_layout_init(struct arch_layout *out, uint64_t memory_bytes);

/* Give the machine a PCI bus. address_end: one past what its processor can address. */
void arch_layout_add_pci(struct arch_layout *layout, uint64_t address_end);

/* The most memory that a machine can be configured with, and the least. */
extern const uint64_t arch_memory_max_bytes;
extern const uint64_t arch_memory_min_bytes;

/* Window n of the virtio-mmio transports. */
gpa_t arch_virtio_mmio_window(unsigned n);

/* How many virtio devices can have an interrupt of their own. */
extern const unsigned arch_virtio_mmio_max;
/* And how many a PCI bus has room for. */
extern const unsigned arch_virtio_pci_max;

/* ---- the VM ---- */

/* KVM capabilities without which nothing works. */
const struct kvm_requirement *arch_requirements(unsigned *count);

/* Interrupt chips and whatever KVM wants placed before the first vCPU. */
int arch_vm_init(const struct kvm *kvm, struct husk_error *err);

/* A global system interrupt that is a message. */
struct arch_msi_route {
    uint32_t gsi; /* arch_first_msi_gsi or above; 0: no entry */
    uint64_t address;
    uint32_t data;
};

/* Replace all routes: those of the interrupt chips' pins, and `count` of messages. Any thread, one
 * at a time. Returns 0 or -errno, which changes nothing. */
int arch_set_routes(const struct kvm *kvm, const struct arch_msi_route *routes, unsigned count);
extern const uint32_t arch_first_msi_gsi;

/* GSIs that are nobody's by custom, one bit each. */
extern const uint64_t arch_free_gsis;

/* The most vCPUs that a machine can have on this host. */
unsigned arch_vcpus_max(const struct kvm *kvm);

/* ---- the processor that guests see ---- */

struct arch_cpu_model;

/* What all vCPUs of a machine have in common, the changes that `config` asks for included. The
 * configuration must outlive the model. Returns 0 or -errno; the caller owns *out. */
int arch_cpu_model_create(const struct kvm *kvm, const struct machine_config *config,
                          const struct log *log, struct arch_cpu_model **out,
                          struct husk_error *err);
void arch_cpu_model_destroy(struct arch_cpu_model *model); /* NULL is fine */

/* One past the highest guest-physical address that the model can reach. */
uint64_t arch_cpu_model_address_end(const struct arch_cpu_model *model);

/* Bring vCPU `index` to the state in which the machine starts. `entry` is NULL for all but the boot
 * vCPU: those wait for the guest to start them. */
int arch_vcpu_init(int vcpu_fd, const struct arch_cpu_model *model, unsigned index,
                   const struct boot_layout *layout, const struct boot_entry *entry,
                   struct husk_error *err);

/* Serve an exit that only this architecture has. False: not one of them. */
bool arch_vcpu_exit(struct kvm_run *run, struct bus *ports);

/* Tell a guest that has not run for a while that its watchdogs need not bark. */
void arch_vcpu_resumed(int vcpu_fd);

/* Text for error messages: where the guest stands, e.g. "rip 0xfff0, bytes 0f 01". */
void arch_vcpu_where(int vcpu_fd, const struct kvm_run *run, char *text, size_t size);

/* ---- firmware tables ---- */

/* Registers of the power management device, as boot/acpi.h wants them. */
struct arch_power_registers {
    uint16_t sleep_control, sleep_status, reset, event;
    uint8_t reset_value;
};

/* Describe the machine to the guest, in the place that the layout reserves; sets boot.rsdp. */
int arch_write_tables(struct guest_memory *memory, struct arch_layout *layout, unsigned vcpu_count,
                      const struct device *devices, const struct arch_power_registers *power,
                      struct husk_error *err);

#endif
