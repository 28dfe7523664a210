// SPDX-License-Identifier: Apache-2.0
/*
 * A kernel with VFIO behind the one seam that devices/vfio/ has (kernel.h): a container, iommufd,
 * three groups, and one PCI device, of which tests say what it has and what goes wrong.
 *
 * Descriptors are real ones: the code under test closes them, and maps BARs of the device, whose
 * bytes are in a memfd. Rules of the real kernel that the code must keep (the order of its calls)
 * are checked here: a breach of them is counted in `breaches`.
 *
 * The device that fake_vfio_init() makes has
 *
 *   BAR 0  64 KiB, 64 bits, prefetchable, mappable
 *   BAR 2  256 bytes, mappable
 *   BAR 3  32 KiB, mappable: the MSI-X table at 0x2000, its pending bits at 0x3000
 *   BAR 4  ports
 *   PM at 0x40, MSI at 0x50 (8 vectors, 64 bits, maskable), MSI-X at 0x70 (5 vectors), PCI Express
 * at 0x80, vendor specific at 0xc0, VPD at 0xd0; and at 0xe0 one that is not for guests extended:
 * AER at 0x100, serial number at 0x140, ARI at 0x150, SR-IOV at 0x160, vendor specific at 0x1a0
 */
#ifndef HUSK_HARNESS_FAKE_VFIO_H
#define HUSK_HARNESS_FAKE_VFIO_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/vfio/kernel.h"

#define FAKE_VFIO_ADDRESS  "0000:01:10.0"
#define FAKE_REGIONS       9u
#define FAKE_IRQ_KINDS     5u
#define FAKE_VECTORS       2048u
#define FAKE_REGION_STRIDE (1ull << 32)
#define FAKE_CAPS_MAX      512u
#define FAKE_MAPPED_MAX    16u
#define FAKE_FILES_MAX     8u

#define FAKE_AT_PM     0x40u
#define FAKE_AT_MSI    0x50u
#define FAKE_AT_MSIX   0x70u
#define FAKE_AT_EXP    0x80u
#define FAKE_AT_VENDOR 0xc0u
#define FAKE_AT_VPD    0xd0u
#define FAKE_AT_HIDDEN 0xe0u

struct fake_region {
    uint64_t size, offset;
    uint32_t flags; /* of struct vfio_region_info */
    /* Capabilities: bytes that follow the struct, whose offsets count from its start. */
    _Alignas(8) uint8_t caps[FAKE_CAPS_MAX];
    unsigned caps_bytes;
};

struct fake_irq {
    uint32_t count, flags; /* of struct vfio_irq_info */
    uint32_t room;         /* the host has so many vectors only */
    bool on;
    unsigned allocated; /* vectors; what NORESIZE is about */
    int fds[FAKE_VECTORS];
    int unmask_fd;
    unsigned sets; /* calls of SET_IRQS */
};

struct fake_range {
    uint64_t first, size;
};

struct fake_vfio {
    struct vfio_kernel kernel; /* arg is the struct itself */

    int device_file; /* memfd: bytes of the BARs. The tests' own; the code has duplicates. */
    uint8_t config[4096];
    uint8_t config_writable[4096]; /* bits that stick; others ignore writes */
    unsigned config_writes;
    struct {
        unsigned offset, size;
        uint32_t value;
    } last_config_write;
    struct fake_region regions[FAKE_REGIONS];
    struct fake_irq irqs[FAKE_IRQ_KINDS];
    uint32_t device_flags, num_regions, num_irqs;
    unsigned resets;
    bool reads_all_ones;
    unsigned bar_reads, bar_writes;

    /* The IOMMU. */
    int container_file, iommufd_file; /* likewise */
    int api_version, has_type1;
    uint32_t group_flags;
    unsigned groups_inside;
    bool iommu_set, bound, in_ioas;
    int bind_errno; /* with which iommufd refuses the device; 0: it does not */
    struct fake_range mapped[FAKE_MAPPED_MAX];
    unsigned mapped_count;
    struct fake_range usable[8]; /* what the IOMMU says that it can use; none: it does not say */
    unsigned usable_count;

    /* KVM. */
    unsigned files; /* that KVM was told of */

    /* The Nth call from now on (1: the next) fails with -fail_errno; 0: none does. */
    unsigned fail_at;
    int fail_errno;
    unsigned calls;

    unsigned maps; /* BARs that are mapped */
    unsigned breaches;
};

void fake_vfio_init(struct fake_vfio *fake);
void fake_vfio_release(struct fake_vfio *fake);

/* Descriptors as somebody opens them; the caller owns them. group: 0 to 2. */
int fake_vfio_container(struct fake_vfio *fake);
int fake_vfio_iommufd(struct fake_vfio *fake);
int fake_vfio_group(struct fake_vfio *fake, unsigned group);
int fake_vfio_device(struct fake_vfio *fake);

/* The device interrupts: vector `vector` of kind `index`. False: nothing listens. */
bool fake_vfio_interrupt(struct fake_vfio *fake, unsigned index, unsigned vector);

/* Say which parts of a region can be mapped (VFIO_REGION_INFO_CAP_SPARSE_MMAP). */
void fake_vfio_sparse(struct fake_region *region, const struct fake_range *areas, unsigned count);

/* Take away VFIO_REGION_INFO_CAP_MSIX_MAPPABLE or whatever else there is; add a bare capability. */
void fake_vfio_no_caps(struct fake_region *region);
void fake_vfio_add_cap(struct fake_region *region, uint16_t id);

#endif
