// SPDX-License-Identifier: Apache-2.0
/*
 * An address bus: which device answers at which port or MMIO address. The machine has two of them,
 * one for ports and one for MMIO.
 *
 * Threads: ranges are attached before the vCPUs run, and eventfds too, but that with an accelerator
 * they may also be attached and detached while vCPUs run; bus_read() and bus_write() are called
 * from any vCPU thread, concurrently. Handlers do their own locking and must not block.
 *
 * An access that no range claims whole reads as all-ones and writes nothing: that is what real
 * hardware does, and it costs the guest, not the monitor.
 */
#ifndef HUSK_VMM_BUS_H
#define HUSK_VMM_BUS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * offset: from the start of the attached range; offset + size lies inside it.
 * data:   little-endian bytes of the access; size is 1, 2, 4 or 8 (ports: at most 4). A read
 * handler finds the buffer filled with 0xff and may leave it so.
 */
struct bus_ops {
    void (*read)(void *device, uint64_t offset, void *data, unsigned size);
    void (*write)(void *device, uint64_t offset, const void *data, unsigned size);
};

struct bus;

/*
 * Lets the hypervisor signal an eventfd on a guest write without an exit to user space (KVM's
 * ioeventfd). A bus without one (unit tests, fuzzers) matches the writes itself.
 */
struct bus_accelerator {
    /* size 1, 2, 4 or 8: match writes of exactly that size and value. Return 0 or -errno. */
    int (*attach)(void *arg, uint64_t address, unsigned size, uint64_t value, int fd);
    void (*detach)(void *arg, uint64_t address, unsigned size, uint64_t value, int fd);
    void *arg;
};

/* accelerator may be NULL; it is copied. Returns 0 or -ENOMEM. */
int bus_create(const struct bus_accelerator *accelerator, struct bus **out);
void bus_destroy(struct bus *bus);

/* Claim [base, base + size). name is kept by pointer, for messages. Returns 0, -EEXIST (overlap),
 * -EINVAL (empty or wraps), -ENOSPC or -ENOMEM. */
int bus_attach(struct bus *bus, uint64_t base, uint64_t size, const struct bus_ops *ops,
               void *device, const char *name);
void bus_detach(struct bus *bus, uint64_t base);

/*
 * Signal fd whenever the guest writes exactly `value` with `size` bytes at `address`; the device's
 * write handler is then not called. The address lies inside an attached range. fd stays the
 * caller's. Returns 0 or -errno.
 */
int bus_attach_eventfd(struct bus *bus, uint64_t address, unsigned size, uint64_t value, int fd);
void bus_detach_eventfd(struct bus *bus, uint64_t address, unsigned size, uint64_t value, int fd);

/* Returns whether a device claimed the access. data is always defined afterwards. */
bool bus_read(struct bus *bus, uint64_t address, void *data, unsigned size);
bool bus_write(struct bus *bus, uint64_t address, const void *data, unsigned size);

#endif
