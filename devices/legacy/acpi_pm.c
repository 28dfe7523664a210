// SPDX-License-Identifier: Apache-2.0
/*
 * The power registers of a hardware-reduced ACPI machine (ACPI 6.5): sleep control and status
 * (section 4.8.3.7), reset (4.8.3.6), and the pending events behind the generic event device
 * (5.6.9), whose AML method reads the event register. One byte each.
 *
 * S5 is the only sleep state that the tables announce, so WAK_STS is never set and its clearing is
 * all there is to it.
 *
 * The interrupt of the event device is level-triggered: an event that comes before the guest's
 * driver is there waits for it.
 *
 * Threads: registers from any vCPU thread, events from any thread; the pending ones are guarded by
 * a lock, and with them the line. A request goes to the sink with no lock held.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/checked.h"
#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define ACPI_PM_PORTS 4u

/* Sleep control register, table 4.20. */
#define SLP_TYP_SHIFT 2
#define SLP_TYP_MASK  0x7u
#define SLP_EN        0x20u

struct acpi_pm {
    struct device device;
    struct bus *ports;
    struct level_line irq;
    struct guest_request_sink sink;
    pthread_mutex_t lock;
    uint8_t events; /* guarded by lock */
};

/* Add events, or take all of them. Returns what there was. */
static uint8_t change_events(struct acpi_pm *pm, uint8_t added, bool take)
{
    uint8_t before, after;

    pthread_mutex_lock(&pm->lock);
    before = pm->events;
    after = take ? 0 : before | added;
    pm->events = after;
    if ((before != 0) != (after != 0))
        pm->irq.levels->set(pm->irq.levels->arg, pm->irq.gsi, after != 0);
    pthread_mutex_unlock(&pm->lock);
    return before;
}

static void acpi_pm_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct acpi_pm *pm = device;
    uint8_t value = 0;

    if (size != 1)
        return;
    if (ACPI_PM_PORT + offset == ACPI_EVENT)
        value = change_events(pm, 0, true);
    *(uint8_t *)data = value;
}

static void acpi_pm_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    const struct acpi_pm *pm = device;
    uint8_t value;

    if (size != 1)
        return;
    value = *(const uint8_t *)data;
    switch (ACPI_PM_PORT + offset) {
    case ACPI_SLEEP_CONTROL:
        if ((value & SLP_EN) && (value >> SLP_TYP_SHIFT & SLP_TYP_MASK) == ACPI_SLEEP_TYPE_S5)
            pm->sink.request(pm->sink.arg, GUEST_REQUEST_POWER_OFF, 0);
        break;
    case ACPI_RESET:
        if (value == ACPI_RESET_VALUE)
            pm->sink.request(pm->sink.arg, GUEST_REQUEST_RESET, 0);
        break;
    default: /* sleep status: WAK_STS is clear already; the event register is read-only */
        break;
    }
}

static const struct bus_ops acpi_pm_bus_ops = {.read = acpi_pm_read, .write = acpi_pm_write};

void acpi_pm_raise(struct device *acpi_pm, uint8_t event)
{
    change_events(container_of(acpi_pm, struct acpi_pm, device), event, false);
}

static void acpi_pm_describe(const struct device *device, struct device_description *out)
{
    const struct acpi_pm *pm = container_of(device, struct acpi_pm, device);

    *out = (struct device_description){
        .kind = DEVICE_ACPI_PM,
        .is_port = true,
        .base = ACPI_PM_PORT,
        .size = ACPI_PM_PORTS,
        .gsi = pm->irq.gsi,
        .has_gsi = true,
    };
}

static void acpi_pm_destroy(struct device *device)
{
    struct acpi_pm *pm = container_of(device, struct acpi_pm, device);

    bus_detach(pm->ports, ACPI_PM_PORT);
    pthread_mutex_destroy(&pm->lock);
    free(pm);
}

static const struct device_ops acpi_pm_device_ops = {
    .name = "acpi-pm",
    .describe = acpi_pm_describe,
    .destroy = acpi_pm_destroy,
};

int acpi_pm_create(const struct device_env *env, const struct level_line *irq,
                   const struct guest_request_sink *sink, struct device **out)
{
    struct acpi_pm *pm = calloc(1, sizeof(*pm));
    int ret;

    if (!pm)
        return -ENOMEM;
    pm->device.ops = &acpi_pm_device_ops;
    pm->ports = env->ports;
    pm->irq = *irq;
    pm->sink = *sink;
    pthread_mutex_init(&pm->lock, NULL);
    ret = bus_attach(env->ports, ACPI_PM_PORT, ACPI_PM_PORTS, &acpi_pm_bus_ops, pm, "acpi-pm");
    if (ret) {
        pthread_mutex_destroy(&pm->lock);
        free(pm);
        return ret;
    }
    *out = &pm->device;
    return 0;
}
