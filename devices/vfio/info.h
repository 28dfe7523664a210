// SPDX-License-Identifier: Apache-2.0
/*
 * What the kernel says of a device or an IOMMU: structs that begin with their size (argsz), some
 * followed by a list of capabilities whose offsets the kernel wrote (<linux/vfio.h>,
 * vfio_info_cap_header). Lengths, counts and offsets are checked as if a guest had written them.
 */
#ifndef HUSK_DEVICES_VFIO_INFO_H
#define HUSK_DEVICES_VFIO_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/vfio/kernel.h"

/*
 * Ask with `head` (head_bytes, which begin with argsz) as often as it takes to have all of the
 * answer. Returns 0, -E2BIG (more than any kernel says) or -errno. The caller frees *out, which has
 * *size bytes, at least head_bytes.
 */
int vfio_info_read(const struct vfio_kernel *kernel, int fd, unsigned long request,
                   const void *head, uint32_t head_bytes, uint8_t **out, uint32_t *size);

/*
 * The capability `id` of the list that begins at offset `first` (0: it is empty). `bytes` of it,
 * header included, are inside the answer. Returns its offset, 0 when there is none, or -EPROTO.
 */
int vfio_info_find(const uint8_t *info, uint32_t size, uint32_t first, uint16_t id, uint32_t bytes);

/* ---- regions ---- */

#define VFIO_AREAS_MAX 16u

struct vfio_area {
    uint64_t offset, size; /* from the region's start */
};

struct vfio_region {
    uint64_t size;   /* 0: there is none */
    uint64_t offset; /* of its first byte, in the device's file */
    bool msix_mappable;
    unsigned area_count; /* what can be mapped: page-aligned, inside the region but for a last page
                          * that the region does not fill */
    struct vfio_area areas[VFIO_AREAS_MAX];
};

/* Returns 0, -EPROTO (what the kernel says cannot be) or -errno. */
int vfio_region_read(const struct vfio_kernel *kernel, int fd, uint32_t index,
                     struct vfio_region *out);

#endif
