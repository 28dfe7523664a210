// SPDX-License-Identifier: Apache-2.0
/*
 * Two write-only ports for guests that know where they run. Debug-exit ends the machine with the
 * status that is written; mark tells the monitor how far the guest has come. A wider write counts
 * with its low byte, as with QEMU's isa-debug-exit; reads find all-ones.
 *
 * Threads: any vCPU thread; nothing here changes after creation.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/checked.h"
#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define DEBUG_PORTS 4u /* the two, and room for a 32-bit write to the first */

struct debug_ports {
    struct device device;
    struct bus *ports;
    struct guest_request_sink sink;
};

static void debug_ports_read(void *device, uint64_t offset, void *data, unsigned size)
{
    /* Nothing can be read: the bus has filled in all-ones. */
}

static void debug_ports_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    const struct debug_ports *debug = device;
    uint8_t value = *(const uint8_t *)data;

    switch (DEBUG_EXIT_PORT + offset) {
    case DEBUG_EXIT_PORT:
        debug->sink.request(debug->sink.arg, GUEST_REQUEST_EXIT, value);
        break;
    case MARK_PORT:
        debug->sink.request(debug->sink.arg, GUEST_REQUEST_MARK, value);
        break;
    default:
        break;
    }
}

static const struct bus_ops debug_ports_bus_ops = {
    .read = debug_ports_read,
    .write = debug_ports_write,
};

static void debug_ports_destroy(struct device *device)
{
    struct debug_ports *debug = container_of(device, struct debug_ports, device);

    bus_detach(debug->ports, DEBUG_EXIT_PORT);
    free(debug);
}

static const struct device_ops debug_ports_device_ops = {
    .name = "debug-ports",
    .destroy = debug_ports_destroy,
};

int debug_ports_create(const struct device_env *env, const struct guest_request_sink *sink,
                       struct device **out)
{
    struct debug_ports *debug = calloc(1, sizeof(*debug));
    int ret;

    if (!debug)
        return -ENOMEM;
    debug->device.ops = &debug_ports_device_ops;
    debug->ports = env->ports;
    debug->sink = *sink;
    ret = bus_attach(env->ports, DEBUG_EXIT_PORT, DEBUG_PORTS, &debug_ports_bus_ops, debug,
                     "debug-ports");
    if (ret) {
        free(debug);
        return ret;
    }
    *out = &debug->device;
    return 0;
}
