// SPDX-License-Identifier: Apache-2.0
/*
 * Firmware tables: turns what the devices say of themselves into the plain data that boot/acpi.h
 * takes. Knows kinds of devices, not devices.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "boot/acpi.h"
#include "vmm/arch/arch.h"
#include "vmm/arch/x86_64/layout.h"

#define IOAPIC_ID 0 /* what KVM's IOAPIC answers after reset */

static const enum acpi_device_kind kinds[] = {
    [DEVICE_UART16550] = ACPI_DEVICE_UART,          [DEVICE_RTC_CMOS] = ACPI_DEVICE_RTC,
    [DEVICE_I8042] = ACPI_DEVICE_KEYBOARD,          [DEVICE_PVPANIC] = ACPI_DEVICE_PVPANIC,
    [DEVICE_VIRTIO_MMIO] = ACPI_DEVICE_VIRTIO_MMIO,
};

/* The power management device is described by the tables' own fields, not as a device. */
static void add_device(const struct device *device, struct acpi_options *options,
                       struct acpi_device *out)
{
    struct device_description description = {.kind = DEVICE_OTHER};

    if (device->ops->describe)
        device->ops->describe(device, &description);
    if (description.kind == DEVICE_ACPI_PM)
        options->event_gsi = description.gsi;
    if (description.kind == DEVICE_OTHER || description.kind == DEVICE_ACPI_PM)
        return;
    out[options->device_count++] = (struct acpi_device){
        .kind = kinds[description.kind],
        .is_port = description.is_port,
        .base = description.base,
        .size = description.size,
        .gsi = description.gsi,
        .has_gsi = description.has_gsi,
    };
}

int arch_write_tables(struct guest_memory *memory, struct arch_layout *layout, unsigned vcpu_count,
                      const struct device *devices, const struct arch_power_registers *power,
                      struct husk_error *err)
{
    struct acpi_options options = {
        .cpu_count = vcpu_count,
        .lapic_address = LAPIC_ADDRESS,
        .ioapic_address = IOAPIC_ADDRESS,
        .ioapic_id = IOAPIC_ID,
        .sleep_control_port = power->sleep_control,
        .sleep_status_port = power->sleep_status,
        .reset_port = power->reset,
        .reset_value = power->reset_value,
        .event_port = power->event,
    };
    const struct acpi_pci pci = {
        .ecam = layout->pci.ecam,
        .low_base = (uint32_t)layout->pci.low_base,
        .low_bytes = (uint32_t)layout->pci.low_bytes,
        .high_base = layout->pci.high_base,
        .high_bytes = layout->pci.high_bytes,
        .first_gsi = layout->pci.first_gsi,
        .hotplug_port = layout->pci.hotplug_port,
        .slots = layout->pci.slots,
    };
    uint32_t *apic_ids = calloc(vcpu_count, sizeof(*apic_ids));
    struct acpi_device *described;
    unsigned count = 0;
    int ret = -ENOMEM;

    for (const struct device *device = devices; device; device = device->next)
        count++;
    described = calloc(count + 1, sizeof(*described));
    if (!apic_ids || !described) {
        ret = error_set(err, ENOMEM, "", "cannot write the firmware tables", NULL);
        goto out;
    }
    for (unsigned i = 0; i < vcpu_count; i++)
        apic_ids[i] = i;
    for (const struct device *device = devices; device; device = device->next)
        add_device(device, &options, described);
    options.apic_ids = apic_ids;
    options.devices = described;
    options.pci = layout->pci.ecam ? &pci : NULL;
    ret = acpi_write_tables(memory, layout->tables, layout->tables_bytes, &options,
                            &layout->boot.rsdp, err);
out:
    free(described);
    free(apic_ids);
    return ret;
}
