// SPDX-License-Identifier: Apache-2.0
/*
 * What the machine knows of a device: one struct, one constant table of operations.
 *
 * A concrete device embeds `struct device` as its first member, has a create function of its own
 * (in its header) that takes validated configuration and already open descriptors, and no mutable
 * file-scope state. Life: create → (reset)* → pause/resume … → destroy.
 */
#ifndef HUSK_DEVICES_DEVICE_H
#define HUSK_DEVICES_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/irq.h"

struct bus;
struct event_loop;
struct guest_memory;
struct log;

/* What a device may use of the machine around it. All outlive the device. */
struct device_env {
    struct guest_memory *memory;
    struct bus *ports;
    struct bus *mmio;
    struct event_loop *loop; /* the I/O thread's loop */
    const struct log *log;
};

enum device_kind {
    DEVICE_OTHER, /* needs no entry in the firmware tables */
    DEVICE_UART16550,
    DEVICE_RTC_CMOS,
    DEVICE_I8042,
    DEVICE_ACPI_PM, /* sleep, reset and event registers */
    DEVICE_PVPANIC,
    DEVICE_VIRTIO_MMIO,
};

/* A device's resources, for the firmware tables. */
struct device_description {
    enum device_kind kind;
    bool is_port;  /* base/size are I/O ports, else MMIO */
    uint64_t base; /* first address */
    uint64_t size; /* bytes */
    uint32_t gsi;  /* interrupt, when has_gsi */
    bool has_gsi;
};

struct device;

struct device_ops {
    const char *name;
    /* Stop touching guest memory and starting I/O, finish what is in flight. I/O thread. */
    void (*pause)(struct device *device);
    /* Go on after a pause; also called once when the machine starts. I/O thread. */
    void (*resume)(struct device *device);
    void (*describe)(const struct device *device, struct device_description *out);
    /* Release everything, detach from buses and loop. Neither vCPUs nor the loop run. NULL is fine
     * through device_destroy(). */
    void (*destroy)(struct device *device);
};

struct device {
    const struct device_ops *ops;
    struct device *next; /* the machine's list, in order of creation */
};

static inline void device_destroy(struct device *device)
{
    if (device)
        device->ops->destroy(device);
}

#endif
