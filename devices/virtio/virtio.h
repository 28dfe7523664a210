// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio core (virtio 1.2, chapters 2 and 3): status machine, feature negotiation, queues. It
 * stands between a transport (mmio.c, pci.c), which turns register accesses into the calls in
 * the second half of this file, and a device (blk.c, net.c, …), which is a table of operations.
 *
 * Threads: `lock` guards the device, its queues and the device's own state. The core takes it:
 * transports call the virtio_device_* functions without it, and every operation of
 * virtio_device_ops runs with it held, on a vCPU thread (activate, reset, config_*) or on the I/O
 * thread (notify). A device's own callbacks (descriptor ready, timer) take it themselves with
 * virtio_device_lock(). Holding it is short: nobody waits for a disk or a peer inside, except reset
 * and pause, which wait for what is already in flight.
 */
#ifndef HUSK_DEVICES_VIRTIO_VIRTIO_H
#define HUSK_DEVICES_VIRTIO_VIRTIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "devices/device.h"
#include "devices/virtio/queue.h"

#define VIRTIO_MAX_QUEUES 64u

struct virtio_device;

struct virtio_device_ops {
    const char *name;
    /*
     * DRIVER_OK: features are final and every ready queue was activated. Returning an error puts
     * the device into NEEDS_RESET.
     */
    int (*activate)(struct virtio_device *device);
    /* Back to the state after create: waits for requests in flight, forgets them. */
    void (*reset)(struct virtio_device *device);
    /* The driver kicked `queue`, which is active and not broken. I/O thread. */
    void (*notify)(struct virtio_device *device, unsigned queue);
    /* Optional. Device configuration space; [offset, offset + size) lies inside config_size. */
    void (*config_read)(struct virtio_device *device, uint32_t offset, void *data, unsigned size);
    void (*config_write)(struct virtio_device *device, uint32_t offset, const void *data,
                         unsigned size);
    /* Optional, I/O thread: finish what is in flight; start nothing new until resume. */
    void (*pause)(struct virtio_device *device);
    void (*resume)(struct virtio_device *device);
    /* Free the device. Never NULL; the core was released already (virtio_device_release()). */
    void (*destroy)(struct virtio_device *device);
};

/* How a device reaches its driver. Called with the device's lock held. */
struct virtio_transport_ops {
    void (*interrupt_queue)(void *transport, unsigned queue);
    void (*interrupt_config)(void *transport);
    /*
     * The eventfd that a kick of `queue` signals, for a backend that serves the ring itself
     * (vhost); while `taken`, the transport does not read it. Returns the fd or -errno.
     */
    int (*take_kick)(void *transport, unsigned queue, bool taken);
};

struct virtio_device {
    const struct virtio_device_ops *ops;
    uint32_t id;          /* virtio device type, linux/virtio_ids.h */
    uint32_t config_size; /* bytes of device configuration space */
    uint64_t offered;     /* feature bits */
    unsigned queue_count;
    const struct log *log;
    const struct guest_memory *memory;

    pthread_mutex_t lock;
    /* Below: guarded by lock. */
    uint64_t accepted; /* feature bits the driver wrote; final after FEATURES_OK */
    uint8_t status;
    uint32_t config_generation;
    bool active;    /* DRIVER_OK seen, activate succeeded, not reset or failed since */
    bool paused;    /* by the host, or for it is no bus master: no queue is processed */
    bool on_hold;   /* by the host */
    bool masters;   /* it may access guest memory */
    bool start_due; /* DRIVER_OK came while it might not */
    struct virtqueue *queues;
    struct log_limit log_limit;

    const struct virtio_transport_ops *transport_ops;
    void *transport;
};

/* ---- for devices ---- */

/*
 * Initialise the core part. queue_sizes[queue_count] are powers of two. VIRTIO_F_VERSION_1,
 * RING_EVENT_IDX and INDIRECT_DESC are added to `offered`. Returns 0 or -ENOMEM/-EINVAL.
 */
int virtio_device_init(struct virtio_device *device, const struct virtio_device_ops *ops,
                       uint32_t id, uint64_t offered, const uint16_t *queue_sizes,
                       unsigned queue_count, uint32_t config_size, const struct device_env *env);

/* Release the core part; called by the transport just before ops->destroy. */
void virtio_device_release(struct virtio_device *device);

/* Release and destroy a device, whether or not a transport was attached. NULL is fine. */
void virtio_device_destroy(struct virtio_device *device);

void virtio_device_lock(struct virtio_device *device);
void virtio_device_unlock(struct virtio_device *device);

bool virtio_device_has_feature(const struct virtio_device *device, unsigned bit);

/* Raise the queue's interrupt if the driver wants one for what was pushed. Lock held. */
void virtio_device_signal_queue(struct virtio_device *device, unsigned queue);

/* Raise the queue's interrupt in any case (a vhost backend decided already). Lock held. */
void virtio_device_interrupt_queue(struct virtio_device *device, unsigned queue);

/* The configuration space changed: bump the generation and tell the driver. Lock held. */
void virtio_device_config_changed(struct virtio_device *device);

/*
 * The driver (or the backend) failed: DEVICE_NEEDS_RESET, a configuration interrupt, one line of
 * log; nothing is processed until the driver resets. Lock held. `why` is a printf format.
 */
void virtio_device_failed(struct virtio_device *device, const char *why, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- for transports; each takes the lock ---- */

void virtio_device_set_transport(struct virtio_device *device,
                                 const struct virtio_transport_ops *ops, void *transport);

/* Status register write (2.1, 3.1): 0 resets; an illegal step sets NEEDS_RESET. */
void virtio_device_set_status(struct virtio_device *device, uint8_t status);
uint8_t virtio_device_status(struct virtio_device *device);

/* 32 bits of the feature words; select 0 or 1, others read 0. Writes after FEATURES_OK are ignored.
 */
uint32_t virtio_device_offered(struct virtio_device *device, uint32_t select);
uint32_t virtio_device_accepted(struct virtio_device *device, uint32_t select);
void virtio_device_accept(struct virtio_device *device, uint32_t select, uint32_t bits);

/* Queue registers. Writes are ignored (and logged) unless the status is between FEATURES_OK and
 * DRIVER_OK and, but for `ready`, the queue is not ready. An out-of-range index reads 0. */
uint16_t virtio_device_queue_max(struct virtio_device *device, unsigned queue);
bool virtio_device_queue_ready(struct virtio_device *device, unsigned queue);
uint16_t virtio_device_queue_size(struct virtio_device *device, unsigned queue); /* 0: not set */
void virtio_device_set_queue_size(struct virtio_device *device, unsigned queue, uint32_t size);
void virtio_device_set_queue_ready(struct virtio_device *device, unsigned queue, bool ready);

enum virtio_ring_part { VIRTIO_RING_DESC, VIRTIO_RING_AVAIL, VIRTIO_RING_USED };
/* Replace the low or high 32 bits of one ring address. */
void virtio_device_set_ring(struct virtio_device *device, unsigned queue,
                            enum virtio_ring_part part, bool high, uint32_t bits);
uint32_t virtio_device_ring(struct virtio_device *device, unsigned queue,
                            enum virtio_ring_part part, bool high);

/* Configuration space. Out of range reads all-ones and writes nothing. */
void virtio_device_config_read(struct virtio_device *device, uint32_t offset, void *data,
                               unsigned size);
void virtio_device_config_write(struct virtio_device *device, uint32_t offset, const void *data,
                                unsigned size);
uint32_t virtio_device_config_generation(struct virtio_device *device);

/* A kick arrived. I/O thread. Ignored unless the device is active and the queue ready. */
void virtio_device_kick(struct virtio_device *device, unsigned queue);

/*
 * Whether the device may access guest memory, as it may from the start on; a transport that can
 * forbid it says so. I/O thread. Afterwards none of its requests is in flight, none is started, and
 * what the driver asks for waits in its rings; DRIVER_OK takes effect when it is permitted again.
 */
void virtio_device_set_mastering(struct virtio_device *device, bool masters);

/* I/O thread. While paused no queue is processed; resume processes what was missed. */
void virtio_device_pause(struct virtio_device *device);
void virtio_device_resume(struct virtio_device *device);

#endif
