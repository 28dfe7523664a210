// SPDX-License-Identifier: Apache-2.0
/*
 * An address bus: see bus.h for the contract.
 *
 * Data: a sorted array of disjoint ranges, searched by bisection, and a short list of eventfds that
 * the bus itself matches when it has no accelerator. Both change only while no vCPU runs; what
 * an accelerator matches is its own.
 */
#include "vmm/bus.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"

#define BUS_MAX_RANGES 128u
#define BUS_MAX_EVENTS 1024u

struct bus_range {
    uint64_t base;
    uint64_t size;
    const struct bus_ops *ops;
    void *device;
    const char *name;
};

struct bus_event {
    uint64_t address;
    uint64_t value;
    unsigned size;
    int fd;
};

struct bus {
    struct bus_accelerator accelerator; /* attach is NULL when there is none */
    unsigned range_count;
    unsigned event_count;
    struct bus_event *events; /* those that the bus matches itself */
    struct bus_range ranges[BUS_MAX_RANGES];
};

int bus_create(const struct bus_accelerator *accelerator, struct bus **out)
{
    struct bus *bus = calloc(1, sizeof(*bus));

    if (!bus)
        return -ENOMEM;
    if (accelerator)
        bus->accelerator = *accelerator;
    *out = bus;
    return 0;
}

void bus_destroy(struct bus *bus)
{
    if (!bus)
        return;
    free(bus->events);
    free(bus);
}

/* Index of the first range whose end lies above `address`. */
static unsigned find_slot(const struct bus *bus, uint64_t address)
{
    unsigned low = 0, high = bus->range_count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (bus->ranges[middle].base + (bus->ranges[middle].size - 1) < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int bus_attach(struct bus *bus, uint64_t base, uint64_t size, const struct bus_ops *ops,
               void *device, const char *name)
{
    uint64_t last;
    unsigned slot;

    if (size == 0 || !checked_add(base, size - 1, &last))
        return -EINVAL;
    if (bus->range_count == BUS_MAX_RANGES)
        return -ENOSPC;
    slot = find_slot(bus, base);
    if (slot < bus->range_count && bus->ranges[slot].base <= last)
        return -EEXIST;
    memmove(&bus->ranges[slot + 1], &bus->ranges[slot],
            (bus->range_count - slot) * sizeof(bus->ranges[0]));
    bus->ranges[slot] = (struct bus_range){base, size, ops, device, name};
    bus->range_count++;
    return 0;
}

void bus_detach(struct bus *bus, uint64_t base)
{
    unsigned slot = find_slot(bus, base);

    if (slot == bus->range_count || bus->ranges[slot].base != base)
        return;
    bus->range_count--;
    memmove(&bus->ranges[slot], &bus->ranges[slot + 1],
            (bus->range_count - slot) * sizeof(bus->ranges[0]));
}

/* The range that holds the whole access, or NULL. */
static const struct bus_range *find_range(const struct bus *bus, uint64_t address, unsigned size)
{
    unsigned slot = find_slot(bus, address);
    const struct bus_range *range = &bus->ranges[slot];
    uint64_t offset;

    if (slot == bus->range_count || address < range->base)
        return NULL;
    offset = address - range->base;
    return size <= range->size - offset ? range : NULL;
}

int bus_attach_eventfd(struct bus *bus, uint64_t address, unsigned size, uint64_t value, int fd)
{
    struct bus_event *events;

    if (!find_range(bus, address, size))
        return -EINVAL;
    if (bus->accelerator.attach)
        return bus->accelerator.attach(bus->accelerator.arg, address, size, value, fd);
    if (bus->event_count == BUS_MAX_EVENTS)
        return -ENOSPC;
    events = reallocarray(bus->events, bus->event_count + 1, sizeof(*events));
    if (!events)
        return -ENOMEM;
    bus->events = events;
    bus->events[bus->event_count++] = (struct bus_event){address, value, size, fd};
    return 0;
}

void bus_detach_eventfd(struct bus *bus, uint64_t address, unsigned size, uint64_t value, int fd)
{
    if (bus->accelerator.detach) {
        bus->accelerator.detach(bus->accelerator.arg, address, size, value, fd);
        return;
    }
    for (unsigned i = 0; i < bus->event_count; i++) {
        const struct bus_event *event = &bus->events[i];

        if (event->address == address && event->size == size && event->value == value &&
            event->fd == fd) {
            bus->events[i] = bus->events[--bus->event_count];
            return;
        }
    }
}

bool bus_read(struct bus *bus, uint64_t address, void *data, unsigned size)
{
    const struct bus_range *range = find_range(bus, address, size);

    memset(data, 0xff, size);
    if (!range)
        return false;
    range->ops->read(range->device, address - range->base, data, size);
    return true;
}

bool bus_write(struct bus *bus, uint64_t address, const void *data, unsigned size)
{
    const struct bus_range *range = find_range(bus, address, size);
    uint64_t value;

    if (!range)
        return false;
    value = get_le_sized(data, size);
    for (unsigned i = 0; i < bus->event_count; i++) {
        const struct bus_event *event = &bus->events[i];

        if (event->address == address && event->size == size && event->value == value) {
            eventfd_signal(event->fd);
            return true;
        }
    }
    range->ops->write(range->device, address - range->base, data, size);
    return true;
}
