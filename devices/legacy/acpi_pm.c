// SPDX-License-Identifier: Apache-2.0
/*
 * The registers behind the ACPI tables of a hardware-reduced machine, four I/O ports of one byte
 * (legacy.h): sleep control and status (ACPI 6.5, sections 4.8.3.7.1 and 4.8.3.7.2), the FADT's
 * reset register (4.8.3.6), and the event register that the generic event device's _EVT method
 * reads (5.6.9). Reading the event register returns the pending events and clears them.
 *
 * Threads: vCPU threads, and any thread for the power button; the only state is one atomic.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define PORTS 4u

/* Sleep control: bit 5 SLP_EN, bits 4:2 SLP_TYP. */
#define SLP_EN        0x20
#define SLP_TYP_SHIFT 2
#define SLP_TYP_MASK  7

struct acpi_pm {
    struct device device;
    struct bus *ports;
    struct irq_line irq;
    struct guest_request_sink sink;
    _Atomic uint8_t events;
};

static void acpi_pm_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct acpi_pm *pm = device;
    uint8_t value = 0;

    if (ACPI_PM_PORT + offset == ACPI_EVENT)
        value = atomic_exchange(&pm->events, 0);
    *(uint8_t *)data = value;
}

static void acpi_pm_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    struct acpi_pm *pm = device;
    uint8_t value = *(const uint8_t *)data;

    switch (ACPI_PM_PORT + offset) {
    case ACPI_SLEEP_CONTROL:
        if ((value & SLP_EN) && (value >> SLP_TYP_SHIFT & SLP_TYP_MASK) == ACPI_SLEEP_TYPE_S5)
            pm->sink.request(pm->sink.arg, GUEST_REQUEST_POWER_OFF, 0);
        break;
    case ACPI_RESET:
        if (value == ACPI_RESET_VALUE)
            pm->sink.request(pm->sink.arg, GUEST_REQUEST_RESET, 0);
        break;
    default:
        break; /* status: there is no wake-up to acknowledge */
    }
}

static const struct bus_ops acpi_pm_bus_ops = {.read = acpi_pm_read, .write = acpi_pm_write};

void acpi_pm_power_button(struct device *device)
{
    struct acpi_pm *pm = (struct acpi_pm *)device;

    atomic_fetch_or(&pm->events, ACPI_EVENT_POWER);
    irq_line_raise(&pm->irq);
}

static void acpi_pm_pause(struct device *device)
{
}

static void acpi_pm_describe(const struct device *device, struct device_description *out)
{
    const struct acpi_pm *pm = (const struct acpi_pm *)device;

    *out = (struct device_description){
        .kind = DEVICE_ACPI_PM,
        .is_port = true,
        .base = ACPI_PM_PORT,
        .size = PORTS,
        .gsi = pm->irq.gsi,
        .has_gsi = true,
    };
}

static void acpi_pm_destroy(struct device *device)
{
    struct acpi_pm *pm = (struct acpi_pm *)device;

    bus_detach(pm->ports, ACPI_PM_PORT);
    free(pm);
}

static const struct device_ops acpi_pm_ops = {
    .name = "acpi-pm",
    .pause = acpi_pm_pause,
    .resume = acpi_pm_pause,
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
    pm->device.ops = &acpi_pm_ops;
    pm->ports = env->ports;
    pm->irq = *irq;
    pm->sink = *sink;
    ret = bus_attach(env->ports, ACPI_PM_PORT, PORTS, &acpi_pm_bus_ops, pm, acpi_pm_ops.name);
    if (ret) {
        free(pm);
        return ret;
    }
    *out = &pm->device;
    return 0;
}
