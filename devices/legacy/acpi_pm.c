// SPDX-License-Identifier: Apache-2.0
/*
 * The power registers of a hardware-reduced ACPI machine (ACPI 6.5): sleep control and status
 * (section 4.8.3.7), reset (4.8.3.6), and the pending events behind the generic event device
 * (5.6.9), whose AML method reads the event register. One byte each.
 *
 * S5 is the only sleep state that the tables announce, so WAK_STS is never set and its clearing is
 * all there is to it.
 *
 * Threads: registers from any vCPU thread, the power button from any thread; the pending events are
 * one atomic. A request goes to the sink with no lock held.
 */
#include <errno.h>
#include <stdatomic.h>
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
    struct irq_line irq;
    struct guest_request_sink sink;
    atomic_uint events;
};

static void acpi_pm_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct acpi_pm *pm = device;
    uint8_t value = 0;

    if (size != 1)
        return;
    if (ACPI_PM_PORT + offset == ACPI_EVENT)
        value = (uint8_t)atomic_exchange(&pm->events, 0);
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

void acpi_pm_power_button(struct device *acpi_pm)
{
    struct acpi_pm *pm = container_of(acpi_pm, struct acpi_pm, device);

    atomic_fetch_or(&pm->events, ACPI_EVENT_POWER);
    irq_line_raise(&pm->irq);
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
    free(pm);
}

static const struct device_ops acpi_pm_device_ops = {
    .name = "acpi-pm",
    .describe = acpi_pm_describe,
    .destroy = acpi_pm_destroy,
};

int acpi_pm_create(const struct device_env *env, const struct irq_line *irq,
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
    ret = bus_attach(env->ports, ACPI_PM_PORT, ACPI_PM_PORTS, &acpi_pm_bus_ops, pm, "acpi-pm");
    if (ret) {
        free(pm);
        return ret;
    }
    *out = &pm->device;
    return 0;
}
