// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio-mmio transport (virtio 1.2, section 4.2, version 2 registers): one device in a 4 KiB
 * window with one edge interrupt, each queue's notification an ioeventfd read by the I/O thread.
 */
#ifndef HUSK_DEVICES_VIRTIO_MMIO_H
#define HUSK_DEVICES_VIRTIO_MMIO_H

#include "devices/device.h"

struct virtio_device;

#define VIRTIO_MMIO_WINDOW_BYTES 0x1000u

/*
 * Attach `virtio` at MMIO address `base`. On success the transport owns virtio and destroys it; on
 * failure the caller still does. Returns 0 or -errno.
 */
int virtio_mmio_create(const struct device_env *env, struct virtio_device *virtio, uint64_t base,
                       const struct irq_line *irq, struct device **out);

#endif
