// SPDX-License-Identifier: Apache-2.0
/* The virtio driver: see virtio.h. */
#include "virtio.h"

#include "pci.h"

#define MAGIC   0x74726976u
#define WAIT_MS 10000u

struct virtio virtio_devices[VIRTIO_DEVICES_MAX];
unsigned virtio_count;

uint32_t virtio_read(const struct virtio *device, unsigned reg)
{
    return device->common ? virtio_pci_read(device, reg) : mmio_read32(device->base + reg);
}

void virtio_write(const struct virtio *device, unsigned reg, uint32_t value)
{
    if (device->common)
        virtio_pci_write(device, reg, value);
    else
        mmio_write32(device->base + reg, value);
}

static void on_message(unsigned vector)
{
    for (unsigned i = 0; i < virtio_count; i++) {
        struct virtio *device = &virtio_devices[i];
        uint32_t cause;

        if (!virtio_pci_vector(device, vector, &cause))
            continue;
        device->causes |= cause;
        device->interrupts++;
    }
}

static void scan_pci(void)
{
    for (unsigned slot = 1; slot < PCI_DEVICES; slot++)
        virtio_count += virtio_pci_probe(slot, virtio_count, &virtio_devices[virtio_count]);
    interrupt_hook = on_message;
}

/* Every device is asked: which pin is whose is written in AML only. */
static void on_interrupt(unsigned vector)
{
    for (unsigned i = 0; i < virtio_count; i++) {
        struct virtio *device = &virtio_devices[i];
        uint32_t causes = virtio_read(device, REG_INTERRUPT_STATUS);

        if (!causes)
            continue;
        virtio_write(device, REG_INTERRUPT_ACK, causes);
        device->causes |= causes;
        device->interrupts++;
    }
}

void virtio_scan(void)
{
    if (pci_present()) {
        scan_pci();
        return;
    }
    for (unsigned i = 0; i < VIRTIO_WINDOWS_MAX; i++) {
        uint64_t base = VIRTIO_WINDOWS + i * VIRTIO_WINDOW_SIZE;

        if (mmio_read32(base + REG_MAGIC) != MAGIC)
            break;
        virtio_devices[virtio_count++] =
            (struct virtio){.base = base, .id = mmio_read32(base + REG_DEVICE_ID)};
    }
    interrupt_hook = on_interrupt;
}

struct virtio *virtio_find(uint32_t id, unsigned nth)
{
    for (unsigned i = 0; i < virtio_count; i++) {
        if (virtio_devices[i].id == id && nth-- == 0)
            return &virtio_devices[i];
    }
    return NULL;
}

uint64_t virtio_offered(const struct virtio *device)
{
    uint64_t low, high;

    virtio_write(device, REG_FEATURES_SEL, 0);
    low = virtio_read(device, REG_FEATURES);
    virtio_write(device, REG_FEATURES_SEL, 1);
    high = virtio_read(device, REG_FEATURES);
    return high << 32 | low;
}

void virtio_reset(struct virtio *device)
{
    virtio_write(device, REG_STATUS, 0);
    while (virtio_read(device, REG_STATUS) != 0)
        ;
    device->causes = 0;
    device->accepted = 0;
}

bool virtio_negotiate(struct virtio *device, uint64_t wanted)
{
    uint64_t features;
    uint32_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;

    virtio_reset(device);
    virtio_write(device, REG_STATUS, STATUS_ACKNOWLEDGE);
    virtio_write(device, REG_STATUS, status);
    features = virtio_offered(device) & (wanted | F_VERSION_1);
    virtio_write(device, REG_DRIVER_FEATURES_SEL, 0);
    virtio_write(device, REG_DRIVER_FEATURES, (uint32_t)features);
    virtio_write(device, REG_DRIVER_FEATURES_SEL, 1);
    virtio_write(device, REG_DRIVER_FEATURES, (uint32_t)(features >> 32));
    status |= STATUS_FEATURES_OK;
    virtio_write(device, REG_STATUS, status);
    device->accepted = features;
    return virtio_read(device, REG_STATUS) == status;
}

bool virtio_start(struct virtio *device)
{
    virtio_write(device, REG_STATUS, virtio_read(device, REG_STATUS) | STATUS_DRIVER_OK);
    return !(virtio_read(device, REG_STATUS) & STATUS_NEEDS_RESET);
}

static void write_address(const struct virtio *device, unsigned reg, const volatile void *ring)
{
    virtio_write(device, reg, (uint32_t)(uint64_t)ring);
    virtio_write(device, reg + 4, (uint32_t)((uint64_t)ring >> 32));
}

void virtq_restart(struct virtqueue *queue)
{
    const struct virtio *device = queue->device;

    memset((void *)(uint64_t)queue->avail, 0, 6 + 2 * queue->size);
    memset((void *)(uint64_t)queue->used, 0, 6 + 8 * queue->size);
    queue->next_desc = 0;
    queue->avail_index = 0;
    queue->used_index = 0;
    virtio_write(device, REG_QUEUE_SEL, queue->index);
    virtio_write(device, REG_QUEUE_SIZE, queue->size);
    write_address(device, REG_DESC_LOW, queue->desc);
    write_address(device, REG_AVAIL_LOW, queue->avail);
    write_address(device, REG_USED_LOW, queue->used);
    virtio_write(device, REG_QUEUE_READY, 1);
}

bool virtq_init(struct virtqueue *queue, struct virtio *device, unsigned index, uint16_t size)
{
    uint32_t max;

    virtio_write(device, REG_QUEUE_SEL, index);
    max = virtio_read(device, REG_QUEUE_MAX);
    if (size == 0)
        size = (uint16_t)max;
    if (max == 0 || size > max)
        return false;
    queue->device = device;
    queue->index = index;
    queue->size = size;
    queue->desc = allocate(16u * size, 16);
    queue->avail = allocate(6u + 2u * size, 2);
    queue->used = allocate(6u + 8u * size, 4);
    virtq_restart(queue);
    return virtio_read(device, REG_QUEUE_READY) == 1;
}

void virtq_offer(struct virtqueue *queue, uint16_t head)
{
    queue->avail[2 + queue->avail_index % queue->size] = head;
    queue->avail_index++;
    memory_barrier(); /* 2.7.13.3: the entry before the index */
    queue->avail[1] = queue->avail_index;
    memory_barrier();
}

uint16_t virtq_add(struct virtqueue *queue, const struct part *parts, unsigned count)
{
    uint16_t head = queue->next_desc;

    for (unsigned i = 0; i < count; i++) {
        uint16_t next = (uint16_t)((queue->next_desc + 1) % queue->size);

        queue->desc[queue->next_desc] = (struct descriptor){
            .address = (uint64_t)parts[i].data,
            .len = parts[i].len,
            .flags =
                (uint16_t)((parts[i].writable ? DESC_WRITE : 0) | (i + 1 < count ? DESC_NEXT : 0)),
            .next = next,
        };
        queue->next_desc = next;
    }
    virtq_offer(queue, head);
    return head;
}

void virtq_kick(struct virtqueue *queue)
{
    virtio_write(queue->device, REG_NOTIFY, queue->index);
}

static bool has_used(void *arg)
{
    const struct virtqueue *queue = arg;

    return queue->used[1] != queue->used_index;
}

bool virtq_take(struct virtqueue *queue, struct used_element *element)
{
    const struct used_element *ring = (const struct used_element *)(uint64_t)(queue->used + 2);

    if (!has_used(queue))
        return false;
    compiler_barrier();
    *element = ring[queue->used_index % queue->size];
    queue->used_index++;
    /* used_event, 2.7.7: interrupt for the next one. */
    queue->avail[2 + queue->size] = queue->used_index;
    memory_barrier();
    return true;
}

bool virtq_wait(struct virtqueue *queue, struct used_element *element)
{
    return wait_until(has_used, queue, WAIT_MS) && virtq_take(queue, element);
}

bool virtq_request(struct virtqueue *queue, const struct part *parts, unsigned count,
                   uint32_t *written)
{
    uint16_t head = virtq_add(queue, parts, count);
    struct used_element element;

    virtq_kick(queue);
    if (!virtq_wait(queue, &element) || element.id != head)
        return false;
    *written = element.len;
    return true;
}

static bool has_interrupted(void *arg)
{
    const struct virtio *device = arg;

    return device->interrupts > 0;
}

bool virtio_interrupted(struct virtio *device)
{
    return wait_until(has_interrupted, device, WAIT_MS);
}
