// SPDX-License-Identifier: Apache-2.0
/* What the kernel says of devices: see info.h. */
#include "devices/vfio/info.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"

#define INFO_BYTES_MAX 65536u
#define PAGE_BYTES     4096u

int vfio_info_read(const struct vfio_kernel *kernel, int fd, unsigned long request,
                   const void *head, uint32_t head_bytes, uint8_t **out, uint32_t *size)
{
    uint32_t room = head_bytes;

    for (;;) {
        uint8_t *info = calloc(1, room);
        uint32_t needed;
        int ret;

        if (!info)
            return -ENOMEM;
        memcpy(info, head, head_bytes);
        memcpy(info, &room, sizeof(room));
        ret = vfio_ioctl(kernel, fd, request, info);
        memcpy(&needed, info, sizeof(needed));
        if (ret >= 0 && needed <= room) {
            *out = info;
            *size = room;
            return 0;
        }
        free(info);
        if (ret < 0)
            return ret;
        if (needed > INFO_BYTES_MAX)
            return -E2BIG;
        room = needed; /* more than before: it ends */
    }
}

int vfio_info_find(const uint8_t *info, uint32_t size, uint32_t first, uint16_t id, uint32_t bytes)
{
    uint32_t offset = first;

    /* No more capabilities than there is room for: a list that loops ends. */
    for (uint32_t left = size / sizeof(struct vfio_info_cap_header); offset && left; left--) {
        struct vfio_info_cap_header header;

        if (offset > size || size - offset < sizeof(header))
            return -EPROTO;
        memcpy(&header, info + offset, sizeof(header));
        if (header.id == id)
            return size - offset < bytes ? -EPROTO : (int)offset;
        offset = header.next;
    }
    return offset ? -EPROTO : 0;
}

/* ---- regions ---- */

static bool is_area(const struct vfio_region *region, uint64_t offset, uint64_t size)
{
    uint64_t end, limit;

    return size > 0 && is_aligned(offset | size, PAGE_BYTES) && checked_add(offset, size, &end) &&
           checked_align_up(region->size, PAGE_BYTES, &limit) && end <= limit;
}

/* What may be mapped of a region of which not all may be. */
static int read_areas(const uint8_t *info, uint32_t size, uint32_t at, struct vfio_region *out)
{
    const uint32_t head = sizeof(struct vfio_region_info_cap_sparse_mmap);
    uint32_t count =
        get_le32(info + at + offsetof(struct vfio_region_info_cap_sparse_mmap, nr_areas));

    if (count > (size - at - head) / sizeof(struct vfio_region_sparse_mmap_area))
        return -EPROTO;
    if (count > VFIO_AREAS_MAX)
        return -E2BIG;
    for (uint32_t i = 0; i < count; i++) {
        struct vfio_region_sparse_mmap_area area;

        memcpy(&area, info + at + head + i * sizeof(area), sizeof(area));
        if (area.size == 0)
            continue;
        if (!is_area(out, area.offset, area.size))
            return -EPROTO;
        out->areas[out->area_count++] =
            (struct vfio_area){.offset = area.offset, .size = area.size};
    }
    return 0;
}

static int read_capabilities(const uint8_t *info, uint32_t size, struct vfio_region *out)
{
    struct vfio_region_info head;
    uint32_t first;
    int at;

    memcpy(&head, info, sizeof(head));
    first = head.flags & VFIO_REGION_INFO_FLAG_CAPS ? head.cap_offset : 0;
    at = vfio_info_find(info, size, first, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
                        sizeof(struct vfio_info_cap_header));
    if (at < 0)
        return at;
    out->msix_mappable = at > 0;
    if (!(head.flags & VFIO_REGION_INFO_FLAG_MMAP))
        return 0;
    at = vfio_info_find(info, size, first, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
                        sizeof(struct vfio_region_info_cap_sparse_mmap));
    if (at > 0)
        return read_areas(info, size, (uint32_t)at, out);
    if (at == 0) {
        uint64_t all;

        if (!checked_align_up(out->size, PAGE_BYTES, &all))
            return -EPROTO;
        out->areas[out->area_count++] = (struct vfio_area){.size = all};
    }
    return at;
}

int vfio_region_read(const struct vfio_kernel *kernel, int fd, uint32_t index,
                     struct vfio_region *out)
{
    const struct vfio_region_info ask = {.argsz = sizeof(ask), .index = index};
    struct vfio_region_info head;
    uint8_t *info;
    uint32_t size;
    uint64_t end;
    int ret =
        vfio_info_read(kernel, fd, VFIO_DEVICE_GET_REGION_INFO, &ask, sizeof(ask), &info, &size);

    *out = (struct vfio_region){0};
    if (ret)
        return ret;
    memcpy(&head, info, sizeof(head));
    out->size = head.size;
    out->offset = head.offset;
    if (!checked_add(head.offset, head.size, &end) || end > INT64_MAX)
        ret = -EPROTO;
    else if (out->size > 0)
        ret = read_capabilities(info, size, out);
    free(info);
    return ret;
}
