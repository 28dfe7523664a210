// SPDX-License-Identifier: Apache-2.0
/*
 * A VM for passed-through devices: guest memory, a PCI bus, slots, messages and levels that are
 * recorded, and a kernel with a device (fake_vfio.h). Breaches of what KVM wants (overlapping
 * slots, a line that is used after it was given back) are counted with the kernel's.
 */
#ifndef HUSK_HARNESS_VFIO_FIXTURE_H
#define HUSK_HARNESS_VFIO_FIXTURE_H

#include "devices/pci/host.h"
#include "devices/vfio/vfio.h"
#include "tests/harness/fake_vfio.h"
#include "tests/harness/ring_driver.h"

#define FIXTURE_ECAM      0xc0000000ull
#define FIXTURE_LOW       0xe0000000ull
#define FIXTURE_LOW_SIZE  0x1000000ull
#define FIXTURE_HIGH      0x1000000000ull
#define FIXTURE_HIGH_SIZE 0x10000000ull
#define FIXTURE_SLOTS     64u
#define FIXTURE_LINES     64u
#define FIXTURE_FIRST_GSI 16u

struct fixture_slot {
    bool used;
    uint64_t gpa, size;
    uint8_t *hva;
};

struct fixture_line {
    int fd; /* -1: nobody's */
    bool held;
    bool routed;
    uint64_t address;
    uint32_t data;
};

struct vfio_fixture {
    struct virtio_surroundings around;
    struct fake_vfio fake;
    struct pci_host *host;
    struct vfio_vm vm;
    struct msi_controller msi;
    struct level_controller levels;
    struct vfio_iommu *iommu;
    struct vfio_device_env env;
    struct device *device;

    struct fixture_slot slots[FIXTURE_SLOTS];
    unsigned slots_left; /* that can still be had */
    struct fixture_line lines[FIXTURE_LINES];
    struct irq_resampled pin; /* the one line that is taken */
    unsigned pins_taken;
    unsigned requests, errors; /* events */
};

void vfio_fixture_init(struct vfio_fixture *f);
/* Destroys what there is; returns the number of breaches and of things that were left behind. */
unsigned vfio_fixture_release(struct vfio_fixture *f);

/* The address space, and the device in it: f->iommu, f->device. As the calls that they make. */
int vfio_fixture_iommu(struct vfio_fixture *f, enum vfio_mode mode, struct husk_error *err);
int vfio_fixture_plug(struct vfio_fixture *f, enum vfio_mode mode, struct husk_error *err);
void vfio_fixture_unplug(struct vfio_fixture *f);

/* The guest's accesses: of the device's configuration space, and of physical addresses, which reach
 * a slot or the bus. */
uint32_t vfio_config_get(struct vfio_fixture *f, unsigned offset, unsigned size);
void vfio_config_set(struct vfio_fixture *f, unsigned offset, unsigned size, uint32_t value);
uint64_t vfio_memory_get(struct vfio_fixture *f, uint64_t address, unsigned size);
void vfio_memory_set(struct vfio_fixture *f, uint64_t address, unsigned size, uint64_t value);

/* What the BAR's register says. */
uint64_t vfio_bar_address(struct vfio_fixture *f, unsigned bar);
/* The slot that an address is in, or NULL. */
const struct fixture_slot *vfio_slot_at(const struct vfio_fixture *f, uint64_t address);
unsigned vfio_slots_used(const struct vfio_fixture *f);
unsigned vfio_lines_taken(const struct vfio_fixture *f);
/* The line that sends this message, or NULL. */
const struct fixture_line *vfio_line_of(const struct vfio_fixture *f, uint64_t address,
                                        uint32_t data);

#endif
