// SPDX-License-Identifier: Apache-2.0
/*
 * A small virtio driver (virtio 1.2): virtio-mmio windows found by probing, or, on a machine with a
 * PCI bus, its functions, through the same register numbers (pci.h); split virtqueues. It
 * trusts the device to be conformant and checks that it is; a hostile driver uses the registers and
 * rings directly.
 */
#ifndef HUSK_TESTS_GUESTS_VIRTIO_H
#define HUSK_TESTS_GUESTS_VIRTIO_H

#include "guest.h"

#define VIRTIO_WINDOWS     0xd0000000ull
#define VIRTIO_WINDOW_SIZE 0x1000u
#define VIRTIO_WINDOWS_MAX 20u
#define VIRTIO_DEVICES_MAX 31u

/* Device types. */
enum { VIRTIO_NET = 1, VIRTIO_BLK = 2, VIRTIO_CONSOLE = 3, VIRTIO_RNG = 4, VIRTIO_VSOCK = 19 };

/* Registers, 4.2.2. */
enum {
    REG_MAGIC = 0x000,
    REG_VERSION = 0x004,
    REG_DEVICE_ID = 0x008,
    REG_VENDOR = 0x00c,
    REG_FEATURES = 0x010,
    REG_FEATURES_SEL = 0x014,
    REG_DRIVER_FEATURES = 0x020,
    REG_DRIVER_FEATURES_SEL = 0x024,
    REG_QUEUE_SEL = 0x030,
    REG_QUEUE_MAX = 0x034,
    REG_QUEUE_SIZE = 0x038,
    REG_QUEUE_READY = 0x044,
    REG_NOTIFY = 0x050,
    REG_INTERRUPT_STATUS = 0x060,
    REG_INTERRUPT_ACK = 0x064,
    REG_STATUS = 0x070,
    REG_DESC_LOW = 0x080,
    REG_DESC_HIGH = 0x084,
    REG_AVAIL_LOW = 0x090,
    REG_AVAIL_HIGH = 0x094,
    REG_USED_LOW = 0x0a0,
    REG_USED_HIGH = 0x0a4,
    REG_CONFIG_GENERATION = 0x0fc,
    REG_CONFIG = 0x100,
};

/* Status bits, 2.1. */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 64u

#define F_INDIRECT  (1ull << 28)
#define F_EVENT_IDX (1ull << 29)
#define F_VERSION_1 (1ull << 32)

#define DESC_NEXT     1u
#define DESC_WRITE    2u
#define DESC_INDIRECT 4u

struct virtio {
    uint64_t base;           /* PCI: of the configuration, less REG_CONFIG */
    uint64_t common, notify; /* PCI only: else 0 */
    unsigned vector;         /* PCI: of configuration changes; the next one is the queues' */
    uint32_t id;
    uint64_t accepted;
    volatile uint32_t interrupts; /* that found a cause here */
    volatile uint32_t causes;     /* bits of the interrupt status, since the last reset */
};

struct descriptor {
    uint64_t address;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct used_element {
    uint32_t id;
    uint32_t len;
};

struct virtqueue {
    struct virtio *device;
    unsigned index;
    uint16_t size;
    struct descriptor *desc;
    volatile uint16_t *avail; /* flags, index, ring[size], used_event */
    volatile uint16_t *used;  /* flags, index, then struct used_element[size], avail_event */
    uint16_t next_desc;
    uint16_t avail_index;
    uint16_t used_index; /* of the next element to take */
};

/* One buffer of a request. */
struct part {
    const void *data;
    uint32_t len;
    bool writable;
};

extern struct virtio virtio_devices[VIRTIO_DEVICES_MAX];
extern unsigned virtio_count;

uint32_t virtio_read(const struct virtio *device, unsigned reg);
void virtio_write(const struct virtio *device, unsigned reg, uint32_t value);

/* Find all devices and take their interrupts; interrupts_init() was called. */
void virtio_scan(void);
/* The nth device of this type, from 0; NULL when there are fewer. */
struct virtio *virtio_find(uint32_t id, unsigned nth);

uint64_t virtio_offered(const struct virtio *device);
void virtio_reset(struct virtio *device);
/* Reset, then all steps up to FEATURES_OK with those of `wanted` that are offered. */
bool virtio_negotiate(struct virtio *device, uint64_t wanted);
/* DRIVER_OK. Returns false if the device then needs a reset. */
bool virtio_start(struct virtio *device);

/* Allocate rings and tell the device. size 0: as large as the device offers. */
bool virtq_init(struct virtqueue *queue, struct virtio *device, unsigned index, uint16_t size);
/* The same rings again, after a reset. */
void virtq_restart(struct virtqueue *queue);

/* Make a request available; count parts. Returns its id. Call virtq_kick() afterwards. */
uint16_t virtq_add(struct virtqueue *queue, const struct part *parts, unsigned count);
void virtq_kick(struct virtqueue *queue);
/* Put `head` on the available ring without looking at anything. */
void virtq_offer(struct virtqueue *queue, uint16_t head);

/* The next used element, if there is one. */
bool virtq_take(struct virtqueue *queue, struct used_element *element);
/* The same, sleeping for it up to 10 s. */
bool virtq_wait(struct virtqueue *queue, struct used_element *element);
/* Add, kick, wait. Returns false when it does not come back, or not as what it was sent. */
bool virtq_request(struct virtqueue *queue, const struct part *parts, unsigned count,
                   uint32_t *written);

/* Whether interrupts come from the device; waits for the first one for up to 10 s: the host may be
 * slower to raise it than to have used the buffers. */
bool virtio_interrupted(struct virtio *device);

#endif
