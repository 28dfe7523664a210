// SPDX-License-Identifier: Apache-2.0
/*
 * Ports by which a guest tells the monitor something, one byte each: debug-exit (end the VM with a
 * status), mark (a moment of the time line), and pvpanic (QEMU's docs/specs/pvpanic.rst: bit 0, the
 * kernel panicked; reading tells which bits are understood). Each device is a constant table of
 * adjacent ports; there is no state that changes.
 *
 * Threads: vCPU threads.
 */
#include <errno.h>
#include <stdlib.h>

#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define PVPANIC_PANICKED 0x01

struct guest_port {
    enum guest_request request;
    uint8_t mask; /* a write makes a request if it has one of these bits; 0: every write does */
    uint8_t read; /* what reading gives */
};

struct guest_port_table {
    const char *name;
    uint16_t base;
    uint16_t count;
    enum device_kind kind;
    const struct guest_port *ports;
};

struct guest_ports {
    struct device device;
    struct bus *bus;
    struct guest_request_sink sink;
    const struct guest_port_table *table;
};

static void ports_read(void *device, uint64_t offset, void *data, unsigned size)
{
    *(uint8_t *)data = ((struct guest_ports *)device)->table->ports[offset].read;
}

static void ports_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    struct guest_ports *self = device;
    const struct guest_port *port = &self->table->ports[offset];
    uint8_t value = *(const uint8_t *)data;

    if (port->mask == 0 || (value & port->mask))
        self->sink.request(self->sink.arg, port->request, value);
}

static const struct bus_ops ports_bus_ops = {.read = ports_read, .write = ports_write};

static void ports_pause(struct device *device)
{
}

static void ports_describe(const struct device *device, struct device_description *out)
{
    const struct guest_port_table *table = ((const struct guest_ports *)device)->table;

    *out = (struct device_description){
        .kind = table->kind,
        .is_port = true,
        .base = table->base,
        .size = table->count,
    };
}

static void ports_destroy(struct device *device)
{
    struct guest_ports *self = (struct guest_ports *)device;

    bus_detach(self->bus, self->table->base);
    free(self);
}

static const struct device_ops ports_ops = {
    .name = "guest-ports",
    .pause = ports_pause,
    .resume = ports_pause,
    .describe = ports_describe,
    .destroy = ports_destroy,
};

static int create(const struct device_env *env, const struct guest_port_table *table,
                  const struct guest_request_sink *sink, struct device **out)
{
    struct guest_ports *self = calloc(1, sizeof(*self));
    int ret;

    if (!self)
        return -ENOMEM;
    self->device.ops = &ports_ops;
    self->bus = env->ports;
    self->sink = *sink;
    self->table = table;
    ret = bus_attach(env->ports, table->base, table->count, &ports_bus_ops, self, table->name);
    if (ret) {
        free(self);
        return ret;
    }
    *out = &self->device;
    return 0;
}

int debug_ports_create(const struct device_env *env, const struct guest_request_sink *sink,
                       struct device **out)
{
    static const struct guest_port ports[] = {
        [DEBUG_EXIT_PORT - DEBUG_EXIT_PORT] = {GUEST_REQUEST_EXIT, 0, 0xff},
        [MARK_PORT - DEBUG_EXIT_PORT] = {GUEST_REQUEST_MARK, 0, 0xff},
    };
    static const struct guest_port_table table = {"debug-ports", DEBUG_EXIT_PORT, 2, DEVICE_OTHER,
                                                  ports};

    return create(env, &table, sink, out);
}

int pvpanic_create(const struct device_env *env, const struct guest_request_sink *sink,
                   struct device **out)
{
    static const struct guest_port ports[] = {
        {GUEST_REQUEST_PANIC, PVPANIC_PANICKED, PVPANIC_PANICKED},
    };
    static const struct guest_port_table table = {"pvpanic", PVPANIC_PORT, 1, DEVICE_PVPANIC,
                                                  ports};

    return create(env, &table, sink, out);
}
