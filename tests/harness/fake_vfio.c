// SPDX-License-Identifier: Apache-2.0
/* A kernel with VFIO: see fake_vfio.h. */
#include "tests/harness/fake_vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define IOAS   77u

/* ---- which descriptor is what ---- */

static bool same_file(int a, int b)
{
    struct stat first, second;

    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static bool is_group(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

int fake_vfio_container(struct fake_vfio *fake)
{
    return fcntl(fake->container_file, F_DUPFD_CLOEXEC, 0);
}

int fake_vfio_iommufd(struct fake_vfio *fake)
{
    return fcntl(fake->iommufd_file, F_DUPFD_CLOEXEC, 0);
}

int fake_vfio_device(struct fake_vfio *fake)
{
    return fcntl(fake->device_file, F_DUPFD_CLOEXEC, 0);
}

/* Different character devices tell the groups apart, as in life. */
int fake_vfio_group(struct fake_vfio *fake, unsigned group)
{
    static const char *const files[] = {"/dev/null", "/dev/zero", "/dev/full"};

    return open(files[group], O_RDWR | O_CLOEXEC);
}

static void breach(struct fake_vfio *fake, bool wrong)
{
    fake->breaches += wrong;
}

static bool fails(struct fake_vfio *fake)
{
    fake->calls++;
    return fake->fail_at > 0 && --fake->fail_at == 0;
}

/* ---- the IOMMU ---- */

static int map_dma(struct fake_vfio *fake, uint64_t iova, uint64_t size)
{
    if (fake->mapped_count == FAKE_MAPPED_MAX)
        return -ENOSPC;
    for (unsigned i = 0; i < fake->mapped_count; i++) {
        if (iova < fake->mapped[i].first + fake->mapped[i].size &&
            fake->mapped[i].first < iova + size)
            return -EEXIST;
    }
    fake->mapped[fake->mapped_count++] = (struct fake_range){iova, size};
    return 0;
}

static int unmap_dma(struct fake_vfio *fake, uint64_t iova, uint64_t size)
{
    for (unsigned i = 0; i < fake->mapped_count; i++) {
        if (fake->mapped[i].first == iova && fake->mapped[i].size == size) {
            fake->mapped[i] = fake->mapped[--fake->mapped_count];
            return 0;
        }
    }
    return -ENOENT;
}

/* The struct, and behind it one capability of another kind and the ranges. */
static int iommu_info(struct fake_vfio *fake, struct vfio_iommu_type1_info *out)
{
    uint8_t all[512] = {0};
    struct vfio_iommu_type1_info *info = (void *)all;
    struct vfio_info_cap_header other = {.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, .version = 1};
    uint32_t ranges_at = sizeof(*info) + 16, size = sizeof(*info);

    *info =
        (struct vfio_iommu_type1_info){.flags = VFIO_IOMMU_INFO_PGSIZES, .iova_pgsizes = 0x1000};
    if (fake->usable_count) {
        struct vfio_iommu_type1_info_cap_iova_range *cap = (void *)(all + ranges_at);

        other.next = ranges_at;
        memcpy(all + sizeof(*info), &other, sizeof(other));
        cap->header =
            (struct vfio_info_cap_header){.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1};
        cap->nr_iovas = fake->usable_count;
        for (unsigned i = 0; i < fake->usable_count; i++) {
            cap->iova_ranges[i].start = fake->usable[i].first;
            cap->iova_ranges[i].end = fake->usable[i].first + fake->usable[i].size - 1;
        }
        size = ranges_at + sizeof(*cap) + fake->usable_count * sizeof(cap->iova_ranges[0]);
        info->flags |= VFIO_IOMMU_INFO_CAPS;
    }
    info->cap_offset = fake->usable_count && out->argsz >= size ? sizeof(*info) : 0;
    info->argsz = size;
    memcpy(out, all, min_u64(out->argsz, size));
    return 0;
}

static int container_ioctl(struct fake_vfio *fake, unsigned long request, uintptr_t argument)
{
    struct vfio_iommu_type1_dma_map *map = (void *)argument;
    struct vfio_iommu_type1_dma_unmap *unmap = (void *)argument;

    switch (request) {
    case VFIO_GET_API_VERSION:
        return fake->api_version;
    case VFIO_CHECK_EXTENSION:
        return argument == VFIO_TYPE1v2_IOMMU ? fake->has_type1 : 0;
    case VFIO_SET_IOMMU:
        breach(fake, argument != VFIO_TYPE1v2_IOMMU);
        if (fake->groups_inside == 0 || fake->iommu_set)
            return -EINVAL;
        fake->iommu_set = true;
        return 0;
    default:
        break;
    }
    if (!fake->iommu_set)
        return -EINVAL;
    switch (request) {
    case VFIO_IOMMU_GET_INFO:
        return iommu_info(fake, (void *)argument);
    case VFIO_IOMMU_MAP_DMA:
        breach(fake, map->flags != (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE));
        return map_dma(fake, map->iova, map->size);
    case VFIO_IOMMU_UNMAP_DMA:
        return unmap_dma(fake, unmap->iova, unmap->size);
    default:
        return -ENOTTY;
    }
}

static int group_ioctl(struct fake_vfio *fake, unsigned long request, uintptr_t argument)
{
    struct vfio_group_status *status = (void *)argument;

    switch (request) {
    case VFIO_GROUP_GET_STATUS:
        status->flags = fake->group_flags;
        return 0;
    case VFIO_GROUP_SET_CONTAINER:
        fake->groups_inside++;
        return 0;
    case VFIO_GROUP_UNSET_CONTAINER:
        breach(fake, fake->groups_inside == 0);
        if (--fake->groups_inside == 0) {
            fake->iommu_set = false;
            breach(fake, fake->mapped_count != 0);
        }
        return 0;
    case VFIO_GROUP_GET_DEVICE_FD:
        if (!fake->iommu_set)
            return -EINVAL;
        breach(fake, fake->files == 0);        /* KVM first */
        breach(fake, fake->mapped_count == 0); /* and memory */
        if (strcmp((const char *)argument, FAKE_VFIO_ADDRESS) != 0)
            return -ENODEV;
        return fake_vfio_device(fake);
    default:
        return -ENOTTY;
    }
}

static int iommufd_ioctl(struct fake_vfio *fake, unsigned long request, uintptr_t argument)
{
    struct iommu_ioas_alloc *alloc = (void *)argument;
    struct iommu_ioas_iova_ranges *ranges = (void *)argument;
    struct iommu_ioas_map *map = (void *)argument;
    struct iommu_ioas_unmap *unmap = (void *)argument;
    struct iommu_iova_range *out;
    unsigned room;

    switch (request) {
    case IOMMU_IOAS_ALLOC:
        alloc->out_ioas_id = IOAS;
        return 0;
    case IOMMU_IOAS_IOVA_RANGES:
        room = ranges->num_iovas;
        out = (void *)(uintptr_t)ranges->allowed_iovas;
        ranges->num_iovas = fake->usable_count ? fake->usable_count : 1;
        if (room < ranges->num_iovas)
            return -EMSGSIZE;
        out[0] = (struct iommu_iova_range){0, UINT64_MAX};
        for (unsigned i = 0; i < fake->usable_count; i++)
            out[i] = (struct iommu_iova_range){fake->usable[i].first,
                                               fake->usable[i].first + fake->usable[i].size - 1};
        return 0;
    case IOMMU_IOAS_MAP:
        breach(fake, map->ioas_id != IOAS || !(map->flags & IOMMU_IOAS_MAP_FIXED_IOVA));
        return map_dma(fake, map->iova, map->length);
    case IOMMU_IOAS_UNMAP:
        return unmap_dma(fake, unmap->iova, unmap->length);
    default:
        return -ENOTTY;
    }
}

/* ---- the device ---- */

static int region_info(struct fake_vfio *fake, struct vfio_region_info *info)
{
    const struct fake_region *region;
    uint32_t room = info->argsz, size;

    if (info->index >= fake->num_regions || info->index >= FAKE_REGIONS)
        return -EINVAL;
    region = &fake->regions[info->index];
    size = sizeof(*info) + region->caps_bytes;
    info->flags = region->flags;
    info->size = region->size;
    info->offset = region->offset;
    info->argsz = size;
    info->cap_offset = 0;
    if (region->caps_bytes && room >= size) {
        info->cap_offset = sizeof(*info);
        memcpy(info + 1, region->caps, region->caps_bytes);
    }
    return 0;
}

static int allocate(struct fake_irq *irq, unsigned start, unsigned count)
{
    if (start + count > irq->room)
        return irq->on ? -ENOSPC : (int)irq->room;
    /* drivers/vfio/pci/vfio_pci_intrs.c: all at once, or as they come. */
    if (irq->on && (irq->flags & VFIO_IRQ_INFO_NORESIZE) && start + count > irq->allocated)
        return -EINVAL;
    if (start + count > irq->allocated)
        irq->allocated = start + count;
    return 0;
}

static int set_irqs(struct fake_vfio *fake, const struct vfio_irq_set *set)
{
    struct fake_irq *irq;
    int ret;

    if (set->index >= fake->num_irqs || set->index >= FAKE_IRQ_KINDS)
        return -EINVAL;
    irq = &fake->irqs[set->index];
    irq->sets++;
    if (set->start >= irq->count || set->count > irq->count - set->start)
        return -EINVAL;
    if (set->flags == (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER) && set->count == 0) {
        for (unsigned i = 0; i < FAKE_VECTORS; i++)
            irq->fds[i] = -1;
        irq->on = false;
        irq->allocated = 0;
        irq->unmask_fd = -1;
        return 0;
    }
    if (set->flags == (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK)) {
        breach(fake, set->index != VFIO_PCI_INTX_IRQ_INDEX);
        if (!irq->on)
            return -EINVAL;
        memcpy(&irq->unmask_fd, set->data, sizeof(int32_t));
        return 0;
    }
    breach(fake, set->flags != (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER));
    /* One of the first three kinds at a time. */
    for (unsigned i = VFIO_PCI_INTX_IRQ_INDEX; i <= VFIO_PCI_MSIX_IRQ_INDEX; i++)
        breach(fake, set->index <= VFIO_PCI_MSIX_IRQ_INDEX && i != set->index && fake->irqs[i].on);
    ret = allocate(irq, set->start, set->count);
    if (ret)
        return ret;
    irq->on = true;
    memcpy(irq->fds + set->start, set->data, set->count * sizeof(int32_t));
    return 0;
}

static int device_ioctl(struct fake_vfio *fake, unsigned long request, uintptr_t argument)
{
    struct vfio_device_info *info = (void *)argument;
    struct vfio_irq_info *irq = (void *)argument;

    switch (request) {
    case VFIO_DEVICE_BIND_IOMMUFD:
        breach(fake, fake->files == 0);
        fake->bound = fake->bind_errno == 0;
        return -fake->bind_errno;
    case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
        breach(fake, ((struct vfio_device_attach_iommufd_pt *)argument)->pt_id != IOAS);
        fake->in_ioas = true;
        return 0;
    case VFIO_DEVICE_GET_INFO:
        info->flags = fake->device_flags;
        info->num_regions = fake->num_regions;
        info->num_irqs = fake->num_irqs;
        return 0;
    case VFIO_DEVICE_GET_REGION_INFO:
        return region_info(fake, (void *)argument);
    case VFIO_DEVICE_GET_IRQ_INFO:
        if (irq->index >= fake->num_irqs || irq->index >= FAKE_IRQ_KINDS)
            return -EINVAL;
        irq->count = fake->irqs[irq->index].count;
        irq->flags = fake->irqs[irq->index].flags;
        return 0;
    case VFIO_DEVICE_SET_IRQS:
        return set_irqs(fake, (void *)argument);
    case VFIO_DEVICE_RESET:
        fake->resets++;
        return 0;
    default:
        return -ENOTTY;
    }
}

/* Taking back what was given does not fail in life. */
static bool gives_back(unsigned long request, uintptr_t argument)
{
    return request == VFIO_IOMMU_UNMAP_DMA || request == IOMMU_IOAS_UNMAP ||
           request == VFIO_GROUP_UNSET_CONTAINER ||
           (request == VFIO_DEVICE_SET_IRQS && ((struct vfio_irq_set *)argument)->count == 0);
}

static int fake_ioctl(void *arg, int fd, unsigned long request, uintptr_t argument)
{
    struct fake_vfio *fake = arg;

    if (!gives_back(request, argument) && fails(fake))
        return -fake->fail_errno;
    if (same_file(fd, fake->container_file))
        return container_ioctl(fake, request, argument);
    if (same_file(fd, fake->iommufd_file))
        return iommufd_ioctl(fake, request, argument);
    if (same_file(fd, fake->device_file))
        return device_ioctl(fake, request, argument);
    return is_group(fd) ? group_ioctl(fake, request, argument) : -ENOTTY;
}

/* ---- its registers ---- */

/* The region that [offset, offset + len) is inside of. */
static const struct fake_region *find_region(const struct fake_vfio *fake, uint64_t offset,
                                             size_t len)
{
    for (unsigned i = 0; i < FAKE_REGIONS; i++) {
        const struct fake_region *region = &fake->regions[i];

        if (offset >= region->offset && offset - region->offset < region->size &&
            len <= region->size - (offset - region->offset))
            return region;
    }
    return NULL;
}

static ssize_t fake_pread(void *arg, int fd, void *buf, size_t len, uint64_t offset)
{
    struct fake_vfio *fake = arg;
    const struct fake_region *region = find_region(fake, offset, len);

    if (fails(fake))
        return -fake->fail_errno;
    if (!same_file(fd, fake->device_file) || !region)
        return -EINVAL;
    if (fake->reads_all_ones) {
        memset(buf, 0xff, len);
        return (ssize_t)len;
    }
    if (region == &fake->regions[CONFIG]) {
        memcpy(buf, fake->config + (offset - region->offset), len);
        return (ssize_t)len;
    }
    fake->bar_reads++;
    return pread(fake->device_file, buf, len, (off_t)offset);
}

static ssize_t fake_pwrite(void *arg, int fd, const void *buf, size_t len, uint64_t offset)
{
    struct fake_vfio *fake = arg;
    const struct fake_region *region = find_region(fake, offset, len);
    const uint8_t *bytes = buf;

    if (fails(fake))
        return -fake->fail_errno;
    if (!same_file(fd, fake->device_file) || !region)
        return -EINVAL;
    if (region != &fake->regions[CONFIG]) {
        fake->bar_writes++;
        return pwrite(fake->device_file, buf, len, (off_t)offset);
    }
    offset -= region->offset;
    breach(fake, len > 4 || !is_aligned(offset, len));
    fake->config_writes++;
    fake->last_config_write.offset = (unsigned)offset;
    fake->last_config_write.size = (unsigned)len;
    fake->last_config_write.value = (uint32_t)get_le_sized(buf, (unsigned)len);
    for (size_t i = 0; i < len; i++) {
        uint8_t mask = fake->config_writable[offset + i];
        uint8_t *at = &fake->config[offset + i];

        *at = (uint8_t)((*at & ~mask) | (bytes[i] & mask));
    }
    return (ssize_t)len;
}

static void *fake_map(void *arg, int fd, size_t len, uint64_t offset, int prot)
{
    struct fake_vfio *fake = arg;
    void *at;

    if (fails(fake))
        return NULL;
    at = mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset);
    if (at == MAP_FAILED)
        return NULL;
    fake->maps++;
    return at;
}

static void fake_unmap(void *arg, void *at, size_t len)
{
    struct fake_vfio *fake = arg;

    munmap(at, len);
    fake->maps--;
}

bool fake_vfio_interrupt(struct fake_vfio *fake, unsigned index, unsigned vector)
{
    int fd = fake->irqs[index].fds[vector];

    if (fd < 0)
        return false;
    eventfd_signal(fd);
    return true;
}

/* ---- what it is ---- */

void fake_vfio_no_caps(struct fake_region *region)
{
    region->caps_bytes = 0;
    region->flags &= ~(uint32_t)VFIO_REGION_INFO_FLAG_CAPS;
}

/* In front of what is there. */
static void prepend(struct fake_region *region, const void *cap, unsigned bytes)
{
    struct vfio_info_cap_header *header;

    memmove(region->caps + bytes, region->caps, region->caps_bytes);
    memcpy(region->caps, cap, bytes);
    header = (void *)region->caps;
    header->next = region->caps_bytes ? (uint32_t)sizeof(struct vfio_region_info) + bytes : 0;
    /* The offsets of those behind it moved. */
    for (unsigned at = bytes; region->caps_bytes && at < bytes + region->caps_bytes;) {
        struct vfio_info_cap_header *next = (void *)(region->caps + at);

        if (next->next == 0)
            break;
        next->next += bytes;
        at = next->next - (unsigned)sizeof(struct vfio_region_info);
    }
    region->caps_bytes += bytes;
    region->flags |= VFIO_REGION_INFO_FLAG_CAPS;
}

void fake_vfio_add_cap(struct fake_region *region, uint16_t id)
{
    struct vfio_info_cap_header cap = {.id = id, .version = 1};

    prepend(region, &cap, sizeof(cap));
}

void fake_vfio_sparse(struct fake_region *region, const struct fake_range *areas, unsigned count)
{
    uint8_t bytes[FAKE_CAPS_MAX] = {0};
    struct vfio_region_info_cap_sparse_mmap *cap = (void *)bytes;

    cap->header =
        (struct vfio_info_cap_header){.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1};
    cap->nr_areas = count;
    for (unsigned i = 0; i < count; i++) {
        cap->areas[i].offset = areas[i].first;
        cap->areas[i].size = areas[i].size;
    }
    prepend(region, cap, sizeof(*cap) + count * sizeof(cap->areas[0]));
}

static void set_region(struct fake_vfio *fake, unsigned index, uint64_t size, uint32_t flags)
{
    fake->regions[index].size = size;
    fake->regions[index].flags = flags | VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
}

static void set_capability(struct fake_vfio *fake, unsigned at, uint8_t id, uint8_t next)
{
    fake->config[at] = id;
    fake->config[at + 1] = next;
}

static void set_plain_capabilities(uint8_t *config)
{
    put_le16(config + FAKE_AT_PM + PCI_PM_PMC, 0xc803); /* PME from D3; version 3 */
    put_le16(config + FAKE_AT_MSI + PCI_MSI_FLAGS,
             PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | 3 << 1);
    put_le16(config + FAKE_AT_MSIX + PCI_MSIX_FLAGS, 4);
    put_le32(config + FAKE_AT_MSIX + PCI_MSIX_TABLE, 0x2000 | 3);
    put_le32(config + FAKE_AT_MSIX + PCI_MSIX_PBA, 0x3000 | 3);
    put_le16(config + FAKE_AT_EXP + PCI_EXP_FLAGS, 2 | PCI_EXP_TYPE_ENDPOINT << 4);
    put_le32(config + FAKE_AT_EXP + PCI_EXP_DEVCAP, PCI_EXP_DEVCAP_FLR);
    put_le32(config + FAKE_AT_EXP + PCI_EXP_LNKCAP, 0x12345678);
    put_le32(config + FAKE_AT_EXP + PCI_EXP_DEVCAP2, 0x1f);
    put_le32(config + FAKE_AT_EXP + PCI_EXP_LNKCAP2, 0x9abcdef0);
    config[FAKE_AT_VENDOR + 2] = 0x10;
    put_le32(config + FAKE_AT_VENDOR + 4, 0xcafef00d);
    put_le32(config + FAKE_AT_HIDDEN + 4, 0xdeadbeef);
}

static void set_header(struct fake_vfio *fake)
{
    uint8_t *config = fake->config;

    put_le16(config + PCI_VENDOR_ID, 0x8086);
    put_le16(config + PCI_DEVICE_ID, 0x10ca);
    put_le16(config + PCI_STATUS, PCI_STATUS_CAP_LIST);
    put_le32(config + PCI_CLASS_REVISION, 0x02000001);
    config[PCI_HEADER_TYPE] = 0x80;
    put_le32(config + PCI_BASE_ADDRESS_0,
             PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH | 0xfe000000);
    put_le32(config + PCI_BASE_ADDRESS_4, PCI_BASE_ADDRESS_SPACE_IO | 0xe000);
    put_le32(config + PCI_ROM_ADDRESS, 0xfff00001);
    config[PCI_CAPABILITY_LIST] = FAKE_AT_PM;
    config[PCI_INTERRUPT_PIN] = 2;
    memset(fake->config_writable + 0x40, 0xff, sizeof(fake->config_writable) - 0x40);
    put_le16(fake->config_writable + PCI_COMMAND, 0xffff);
    set_capability(fake, FAKE_AT_PM, PCI_CAP_ID_PM, FAKE_AT_MSI);
    set_capability(fake, FAKE_AT_MSI, PCI_CAP_ID_MSI, FAKE_AT_MSIX);
    set_capability(fake, FAKE_AT_MSIX, PCI_CAP_ID_MSIX, FAKE_AT_HIDDEN);
    set_capability(fake, FAKE_AT_HIDDEN, PCI_CAP_ID_EA, FAKE_AT_EXP);
    set_capability(fake, FAKE_AT_EXP, PCI_CAP_ID_EXP, FAKE_AT_VENDOR);
    set_capability(fake, FAKE_AT_VENDOR, PCI_CAP_ID_VNDR, FAKE_AT_VPD);
    set_capability(fake, FAKE_AT_VPD, PCI_CAP_ID_VPD, 0);
    set_plain_capabilities(config);
}

static void set_extended(uint8_t *config)
{
    static const struct {
        unsigned at, id, next;
    } list[] = {
        {0x100, PCI_EXT_CAP_ID_ERR, 0x140}, {0x140, PCI_EXT_CAP_ID_DSN, 0x150},
        {0x150, PCI_EXT_CAP_ID_ARI, 0x160}, {0x160, PCI_EXT_CAP_ID_SRIOV, 0x1a0},
        {0x1a0, PCI_EXT_CAP_ID_VNDR, 0},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        put_le32(config + list[i].at, list[i].id | 1u << 16 | list[i].next << 20);
        put_le32(config + list[i].at + 8, 0x5eed0000 + i);
    }
    put_le32(config + 0x1a0 + PCI_VNDR_HEADER, 0x10u << 20 | 7);
}

static void set_irqs_up(struct fake_vfio *fake)
{
    static const struct fake_irq kinds[FAKE_IRQ_KINDS] = {
        [VFIO_PCI_INTX_IRQ_INDEX] = {.count = 1,
                                     .flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
                                              VFIO_IRQ_INFO_AUTOMASKED},
        [VFIO_PCI_MSI_IRQ_INDEX] = {.count = 8,
                                    .flags = VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE},
        [VFIO_PCI_MSIX_IRQ_INDEX] = {.count = 5, .flags = VFIO_IRQ_INFO_EVENTFD},
        [VFIO_PCI_ERR_IRQ_INDEX] = {.count = 1, .flags = VFIO_IRQ_INFO_EVENTFD},
        [VFIO_PCI_REQ_IRQ_INDEX] = {.count = 1, .flags = VFIO_IRQ_INFO_EVENTFD},
    };

    for (unsigned i = 0; i < FAKE_IRQ_KINDS; i++) {
        fake->irqs[i] = kinds[i];
        fake->irqs[i].room = FAKE_VECTORS;
        fake->irqs[i].unmask_fd = -1;
        for (unsigned j = 0; j < FAKE_VECTORS; j++)
            fake->irqs[i].fds[j] = -1;
    }
}

void fake_vfio_init(struct fake_vfio *fake)
{
    memset(fake, 0, sizeof(*fake));
    fake->kernel = (struct vfio_kernel){
        .ioctl = fake_ioctl,
        .pread = fake_pread,
        .pwrite = fake_pwrite,
        .map = fake_map,
        .unmap = fake_unmap,
        .arg = fake,
    };
    fake->device_file = memfd_create("fake-vfio-device", MFD_CLOEXEC);
    fake->container_file = memfd_create("fake-vfio-container", MFD_CLOEXEC);
    fake->iommufd_file = memfd_create("fake-iommufd", MFD_CLOEXEC);
    if (ftruncate(fake->device_file, (off_t)(FAKE_REGIONS * FAKE_REGION_STRIDE)) < 0)
        abort();
    fake->api_version = VFIO_API_VERSION;
    fake->has_type1 = 1;
    fake->group_flags = VFIO_GROUP_FLAGS_VIABLE;
    fake->device_flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
    fake->num_regions = FAKE_REGIONS;
    fake->num_irqs = FAKE_IRQ_KINDS;
    for (unsigned i = 0; i < FAKE_REGIONS; i++)
        fake->regions[i].offset = i * FAKE_REGION_STRIDE;
    set_region(fake, 0, 0x10000, VFIO_REGION_INFO_FLAG_MMAP);
    set_region(fake, 2, 0x100, VFIO_REGION_INFO_FLAG_MMAP);
    set_region(fake, 3, 0x8000, VFIO_REGION_INFO_FLAG_MMAP);
    fake_vfio_add_cap(&fake->regions[3], VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
    set_region(fake, 4, 0x20, 0);
    set_region(fake, CONFIG, sizeof(fake->config), 0);
    set_header(fake);
    set_extended(fake->config);
    set_irqs_up(fake);
}

void fake_vfio_release(struct fake_vfio *fake)
{
    close_fd(&fake->device_file);
    close_fd(&fake->container_file);
    close_fd(&fake->iommufd_file);
}
