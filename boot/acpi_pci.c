// SPDX-License-Identifier: Apache-2.0
/*
 * The PCI host bridge in the DSDT (PCI Firmware 3.3, section 4; ACPI 6.5): its windows, the wiring
 * of its pins, and the slots of bus 0 in which devices come and go (ACPI 6.5, section 6.3), through
 * the registers of devices/pci/hotplug.h.
 */
#include "boot/acpi_pci.h"

#include <stdio.h>

#define PCI_PORT       0xcf8u
#define PCI_PORT_BYTES 8u
#define PCI_ECAM_BYTES (1u << 20)
#define PCI_DEVICES    32u
#define PCI_PINS       4u

#define HOTPLUG_BYTES 12u
#define FIELD_ADDED   "PADD"
#define FIELD_WANTED  "PWNT"
#define FIELD_EJECT   "PEJT"

/* Table 5.167 and 5.168: what Notify says to a device. */
#define NOTIFY_DEVICE_CHECK  1u
#define NOTIFY_EJECT_REQUEST 3u

/* PCI Firmware 3.3, tables 4-5 and 4-6. */
#define OSC_STATUS         0u /* offsets of words in the capabilities buffer */
#define OSC_CONTROL        8u
#define OSC_STATUS_MASKED  0x10u
#define OSC_CONTROL_GRANTS 0xfffffffcu /* all but native hot-plug, of PCI Express and of SHPC */

static void add_windows(struct aml *aml, const struct acpi_pci *pci)
{
    size_t resources;

    aml_name(aml, "_CRS");
    resources = aml_begin_resources(aml);
    aml_resource_buses(aml, 0, 0);
    aml_resource_ports(aml, PCI_PORT, PCI_PORT_BYTES);
    aml_resource_window32(aml, pci->low_base, pci->low_bytes);
    if (pci->high_bytes)
        aml_resource_window64(aml, pci->high_base, pci->high_bytes);
    aml_end_resources(aml, resources);
}

/* 6.2.13: any function of a device, a pin (0 is INTA#), no link device, and the GSI. */
static void add_pins(struct aml *aml, uint32_t first_gsi)
{
    size_t table, entry;

    aml_name(aml, "_PRT");
    table = aml_begin_package(aml, PCI_DEVICES * PCI_PINS);
    for (unsigned i = 0; i < PCI_DEVICES * PCI_PINS; i++) {
        unsigned device = i / PCI_PINS, pin = i % PCI_PINS;

        entry = aml_begin_package(aml, 4);
        aml_integer(aml, device << 16 | 0xffff);
        aml_integer(aml, pin);
        aml_integer(aml, 0);
        aml_integer(aml, first_gsi + (device + pin) % PCI_PINS);
        aml_end(aml, entry);
    }
    aml_end(aml, table);
}

/*
 * The answer to _OSC (6.2.11): there is no firmware that would do anything instead of the guest, so
 * that it is granted what it asks for, but for hot-plug that this bus does not have. A guest that
 * asked for that is told that it got less.
 */
static void add_osc(struct aml *aml)
{
    size_t method = aml_begin_method(aml, "_OSC", 4, true);
    size_t condition;

    aml_argument_word(aml, 3, OSC_STATUS, "STAT");
    aml_argument_word(aml, 3, OSC_CONTROL, "CTRL");
    aml_store_local0(aml, "CTRL");
    aml_and(aml, "CTRL", OSC_CONTROL_GRANTS);
    condition = aml_begin_if(aml);
    aml_local0_differs(aml, "CTRL");
    aml_or(aml, "STAT", OSC_STATUS_MASKED);
    aml_end(aml, condition);
    aml_return_argument(aml, 3);
    aml_end(aml, method);
}

static const char *slot_name(unsigned device, char name[8])
{
    snprintf(name, 8, "S%02X", device & 0xff);
    return name;
}

/* 6.3.3: the OS has stopped using the device and powered it down; _EJ0 lets it go. */
static void add_slot(struct aml *aml, unsigned device)
{
    char name[8];
    size_t slot = aml_begin_device(aml, slot_name(device, name));
    size_t method;

    aml_name(aml, "_ADR");
    aml_integer(aml, device << 16);
    aml_name(aml, "_SUN");
    aml_integer(aml, device);
    method = aml_begin_method(aml, "_EJ0", 1, true);
    aml_store(aml, 1u << device, FIELD_EJECT);
    aml_end(aml, method);
    aml_end(aml, slot);
}

/* Read a register, and notify the slots whose bit is set in it. */
static void notify_slots(struct aml *aml, uint32_t slots, const char *field, unsigned value)
{
    size_t condition;
    char name[8];

    aml_store_local0(aml, field);
    for (unsigned device = 0; device < PCI_DEVICES; device++) {
        if (!(slots >> device & 1))
            continue;
        condition = aml_begin_if(aml);
        aml_local0_and(aml, 1u << device);
        aml_notify(aml, slot_name(device, name), value);
        aml_end(aml, condition);
    }
}

static void add_hotplug(struct aml *aml, const struct acpi_pci *pci)
{
    static const char *const fields[] = {FIELD_ADDED, FIELD_WANTED, FIELD_EJECT};
    size_t method;

    aml_port_region(aml, "PHPR", pci->hotplug_port, HOTPLUG_BYTES);
    aml_word_fields(aml, "PHPR", fields, 3);
    for (unsigned device = 0; device < PCI_DEVICES; device++) {
        if (pci->slots >> device & 1)
            add_slot(aml, device);
    }
    method = aml_begin_method(aml, "PCNT", 0, true);
    notify_slots(aml, pci->slots, FIELD_ADDED, NOTIFY_DEVICE_CHECK);
    notify_slots(aml, pci->slots, FIELD_WANTED, NOTIFY_EJECT_REQUEST);
    aml_end(aml, method);
}

/* The place of configuration space, which PCI Firmware 3.3, 4.1.2 wants to see reserved, and that
 * of the hot-plug registers. */
static void add_reserved(struct aml *aml, const struct acpi_pci *pci)
{
    size_t device = aml_begin_device(aml, "ECAM");
    size_t resources;

    aml_name(aml, "_HID");
    aml_eisa_id(aml, "PNP0C02");
    aml_name(aml, "_UID");
    aml_integer(aml, 0);
    aml_name(aml, "_CRS");
    resources = aml_begin_resources(aml);
    aml_resource_memory32(aml, (uint32_t)pci->ecam, PCI_ECAM_BYTES);
    aml_resource_ports(aml, pci->hotplug_port, HOTPLUG_BYTES);
    aml_end_resources(aml, resources);
    aml_end(aml, device);
}

void acpi_add_pci(struct aml *aml, const struct acpi_pci *pci)
{
    size_t device = aml_begin_device(aml, "PCI0");

    aml_name(aml, "_HID");
    aml_eisa_id(aml, "PNP0A08");
    aml_name(aml, "_CID");
    aml_eisa_id(aml, "PNP0A03");
    aml_name(aml, "_UID");
    aml_integer(aml, 0);
    aml_name(aml, "_SEG");
    aml_integer(aml, 0);
    aml_name(aml, "_BBN");
    aml_integer(aml, 0);
    aml_name(aml, "_CCA");
    aml_integer(aml, 1);
    add_windows(aml, pci);
    add_pins(aml, pci->first_gsi);
    add_osc(aml);
    add_hotplug(aml, pci);
    aml_end(aml, device);
    add_reserved(aml, pci);
}
