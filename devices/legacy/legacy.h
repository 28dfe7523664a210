// SPDX-License-Identifier: Apache-2.0
/*
 * The few legacy PC devices of the machine, at their customary or chosen I/O ports. Each create
 * function attaches the device to env->ports and returns 0 or -errno with *out owned by the caller.
 */
#ifndef HUSK_DEVICES_LEGACY_LEGACY_H
#define HUSK_DEVICES_LEGACY_LEGACY_H

#include <stdint.h>

#include "devices/device.h"

struct console_backend;

/* What a guest asks of the machine. Called on a vCPU thread, at most once a write; must not block.
 */
enum guest_request {
    GUEST_REQUEST_POWER_OFF,
    GUEST_REQUEST_RESET,
    GUEST_REQUEST_PANIC, /* the guest's kernel panicked */
    GUEST_REQUEST_EXIT,  /* value: the status written to the debug-exit port */
    GUEST_REQUEST_MARK,  /* value: the number written to the mark port */
};

struct guest_request_sink {
    void (*request)(void *arg, enum guest_request request, uint8_t value);
    void *arg;
};

#define UART_PORT          0x3f8 /* COM1, 8 ports */
#define UART_GSI           4
#define RTC_PORT           0x70 /* index and data */
#define RTC_GSI            8
#define I8042_DATA_PORT    0x60
#define I8042_COMMAND_PORT 0x64
#define I8042_GSI          1
#define DEBUG_EXIT_PORT    0xf4
#define MARK_PORT          0xf5
#define PVPANIC_PORT       0x505
#define ACPI_PM_PORT       0x600 /* 4 ports, see below */
#define ACPI_SLEEP_CONTROL (ACPI_PM_PORT + 0)
#define ACPI_SLEEP_STATUS  (ACPI_PM_PORT + 1)
#define ACPI_RESET         (ACPI_PM_PORT + 2)
#define ACPI_EVENT         (ACPI_PM_PORT + 3)
#define ACPI_RESET_VALUE   0x42
#define ACPI_SLEEP_TYPE_S5 5    /* SLP_TYP of \_S5 in the DSDT */
#define ACPI_EVENT_POWER   0x01 /* bits in ACPI_EVENT: power button pressed, */
#define ACPI_EVENT_PCI     0x02 /* something to read in the hot-plug registers of the PCI bus */
#define ACPI_GSI           9

/* NS16550A on COM1. The console backend (may be NULL: output is swallowed) outlives the device. */
int uart16550_create(const struct device_env *env, const struct irq_line *irq,
                     struct console_backend *console, struct device **out);

/* MC146818 time and CMOS registers, read-only time in UTC from the host's clock, no alarms. */
int rtc_cmos_create(const struct device_env *env, struct device **out);

/* The keyboard controller, as far as reset (command 0xfe) and Ctrl-Alt-Del need it. */
int i8042_create(const struct device_env *env, const struct irq_line *irq,
                 const struct guest_request_sink *sink, struct device **out);
/* Queue the Ctrl-Alt-Del scan codes. Any thread. */
void i8042_ctrl_alt_del(struct device *i8042);

/* ACPI sleep, reset and event registers (hardware-reduced, ACPI 6.5 sections 4.8.3.6-7, 5.6.9). The
 * line is asserted until the guest has read the events. */
int acpi_pm_create(const struct device_env *env, const struct level_line *irq,
                   const struct guest_request_sink *sink, struct device **out);
/* An event, ACPI_EVENT_*. Any thread. */
void acpi_pm_raise(struct device *acpi_pm, uint8_t event);

/* debug-exit and mark ports. */
int debug_ports_create(const struct device_env *env, const struct guest_request_sink *sink,
                       struct device **out);

/* QEMU's pvpanic interface (docs/specs/pvpanic.rst): event bits, read gives what is supported. */
int pvpanic_create(const struct device_env *env, const struct guest_request_sink *sink,
                   struct device **out);

#endif
