// SPDX-License-Identifier: Apache-2.0
/*
 * pvpanic: one port through which a guest's kernel reports that it panicked (QEMU's
 * docs/specs/pvpanic.rst; Linux's drivers/misc/pvpanic). Reading gives the events that are
 * understood; writing reports one.
 *
 * Threads: any vCPU thread; `lock` only guards the log's budget.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/log.h"
#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define PVPANIC_PORTS 1u

#define PANICKED     0x01u /* the kernel panicked and does nothing about it */
#define CRASH_LOADED 0x02u /* the kernel panicked and now boots its crash kernel */

struct pvpanic {
    struct device device;
    struct bus *ports;
    struct guest_request_sink sink;
    const struct log *log;
    pthread_mutex_t lock;
    struct log_limit log_limit;
};

static void pvpanic_read(void *device, uint64_t offset, void *data, unsigned size)
{
    *(uint8_t *)data = PANICKED | CRASH_LOADED;
}

static void pvpanic_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    struct pvpanic *pvpanic = device;
    uint8_t events = *(const uint8_t *)data;

    if (events & PANICKED) {
        pvpanic->sink.request(pvpanic->sink.arg, GUEST_REQUEST_PANIC, 0);
    } else if (events & CRASH_LOADED) {
        pthread_mutex_lock(&pvpanic->lock);
        log_limited(pvpanic->log, &pvpanic->log_limit, LOG_LEVEL_WARN, "pvpanic",
                    "the guest's kernel panicked and boots its crash kernel");
        pthread_mutex_unlock(&pvpanic->lock);
    }
}

static const struct bus_ops pvpanic_bus_ops = {.read = pvpanic_read, .write = pvpanic_write};

static void pvpanic_describe(const struct device *device, struct device_description *out)
{
    *out = (struct device_description){
        .kind = DEVICE_PVPANIC, .is_port = true, .base = PVPANIC_PORT, .size = PVPANIC_PORTS};
}

static void pvpanic_destroy(struct device *device)
{
    struct pvpanic *pvpanic = container_of(device, struct pvpanic, device);

    bus_detach(pvpanic->ports, PVPANIC_PORT);
    pthread_mutex_destroy(&pvpanic->lock);
    free(pvpanic);
}

static const struct device_ops pvpanic_device_ops = {
    .name = "pvpanic",
    .describe = pvpanic_describe,
    .destroy = pvpanic_destroy,
};

int pvpanic_create(const struct device_env *env, const struct guest_request_sink *sink,
                   struct device **out)
{
    struct pvpanic *pvpanic = calloc(1, sizeof(*pvpanic));
    int ret;

    if (!pvpanic)
        return -ENOMEM;
    pvpanic->device.ops = &pvpanic_device_ops;
    pvpanic->ports = env->ports;
    pvpanic->sink = *sink;
    pvpanic->log = env->log;
    pthread_mutex_init(&pvpanic->lock, NULL);
    ret = bus_attach(env->ports, PVPANIC_PORT, PVPANIC_PORTS, &pvpanic_bus_ops, pvpanic, "pvpanic");
    if (ret) {
        pthread_mutex_destroy(&pvpanic->lock);
        free(pvpanic);
        return ret;
    }
    *out = &pvpanic->device;
    return 0;
}
