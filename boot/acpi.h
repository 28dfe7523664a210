// SPDX-License-Identifier: Apache-2.0
/*
 * ACPI tables (ACPI 6.5) for a hardware-reduced x86 machine: RSDP, XSDT, FADT, MADT, DSDT, and
 * MCFG with a PCI bus. Built from plain data, so that this file knows no device.
 */
#ifndef HUSK_BOOT_ACPI_H
#define HUSK_BOOT_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "husk/error.h"
#include "vmm/memory.h"

/* SLP_TYP of \_S5: with it the guest writes the sleep control register to power off. */
#define ACPI_S5_SLEEP_TYPE 5u

enum acpi_device_kind {
    ACPI_DEVICE_UART,        /* PNP0501, COMn */
    ACPI_DEVICE_RTC,         /* PNP0B00 */
    ACPI_DEVICE_KEYBOARD,    /* PNP0303 */
    ACPI_DEVICE_PVPANIC,     /* QEMU0001 */
    ACPI_DEVICE_VIRTIO_MMIO, /* LNRO0005 */
};

struct acpi_device {
    enum acpi_device_kind kind;
    bool is_port;
    uint64_t base;
    uint64_t size;
    uint32_t gsi;
    bool has_gsi;
};

/* A PCI host bridge with bus 0 alone. Windows of 0 bytes are none. */
struct acpi_pci {
    uint64_t ecam; /* configuration space, 1 MiB below 4 GiB */
    uint32_t low_base, low_bytes;
    uint64_t high_base, high_bytes;
    uint32_t first_gsi;    /* of the four that pins are wired to, by device number and pin */
    uint16_t hotplug_port; /* the registers of devices/pci/hotplug.h */
    uint32_t slots;        /* bit n: device n may come and go */
};

struct acpi_options {
    const uint32_t *apic_ids; /* one per possible CPU, boot CPU first */
    unsigned cpu_count;       /* 1..4096; ids above 254 are described as x2APIC */
    uint32_t lapic_address;
    uint32_t ioapic_address;
    uint8_t ioapic_id;
    /* Registers of devices/legacy/acpi_pm.c, I/O ports of one byte each. */
    uint16_t sleep_control_port;
    uint16_t sleep_status_port;
    uint16_t reset_port;
    uint8_t reset_value;
    uint16_t event_port; /* reading returns and clears the pending events (bit 0: power button,
                            bit 1: the hot-plug registers of the PCI bus) */
    uint32_t event_gsi;  /* interrupt of the generic event device, level */
    const struct acpi_device *devices;
    unsigned device_count;
    const struct acpi_pci *pci; /* NULL: none */
};

/*
 * Write all tables into [base, base + size), RSDP first; base is 16-byte aligned. Returns 0 with
 * *rsdp set, -ENOSPC when they do not fit (about 50 bytes a CPU and 130 a device are needed), or
 * -EINVAL for options that the tables cannot express. GSIs are the pins of the one I/O APIC.
 */
int acpi_write_tables(struct guest_memory *memory, gpa_t base, uint64_t size,
                      const struct acpi_options *options, gpa_t *rsdp, struct husk_error *err);

#endif
