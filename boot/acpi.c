// SPDX-License-Identifier: Apache-2.0
/*
 * The ACPI tables of a hardware-reduced x86 machine (ACPI 6.5, chapter 5):
 *
 *     RSDP → XSDT → FADT → DSDT
 *                 → MADT
 *                 → MCFG (with a PCI bus)
 *
 * Hardware-reduced (section 4.1) means: no PM timer, no fixed event registers, no SCI, no legacy
 * interrupt controller. Power-off and reset are register writes; the power button is a device whose
 * event comes through a Generic Event Device, level-triggered. Every other interrupt is described
 * where it is used, edge and active high, with its GSI being the I/O APIC pin, so no source
 * overrides are needed.
 *
 * The tables are built in place in guest memory, before any vCPU runs.
 */
#include "boot/acpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/error.h"
#include "boot/acpi_pci.h"
#include "boot/aml.h"

#define CANNOT_WRITE "cannot write the ACPI tables"

#define RSDP_BYTES   36u
#define HEADER_BYTES 36u
#define FADT_BYTES   276u
#define TABLE_ALIGN  16u

#define CPUS_MAX    4096u
#define DEVICES_MAX 256u

/* FADT, section 5.2.9: offsets of the fields that are not 0. */
enum {
    FADT_DSDT = 40,
    FADT_BOOT_ARCH = 109,
    FADT_FLAGS = 112,
    FADT_RESET_REGISTER = 116,
    FADT_RESET_VALUE = 128,
    FADT_MINOR_VERSION = 131,
    FADT_X_DSDT = 140,
    FADT_SLEEP_CONTROL = 244,
    FADT_SLEEP_STATUS = 256,
    FADT_HYPERVISOR = 268,
};

/* Table 5.10, fixed feature flags. */
#define FLAG_WBINVD       (1u << 0)
#define FLAG_PROC_C1      (1u << 2)
#define FLAG_PWR_BUTTON   (1u << 4) /* set: no fixed power button, a device instead */
#define FLAG_SLP_BUTTON   (1u << 5) /* set: no fixed sleep button */
#define FLAG_FIX_RTC      (1u << 6) /* set: no RTC wake status in fixed registers */
#define FLAG_RESET_REG    (1u << 10)
#define FLAG_HW_REDUCED   (1u << 20)
/* Table 5.11, IA-PC boot architecture flags. */
#define BOOT_ARCH_8042    (1u << 1)
#define BOOT_ARCH_NO_VGA  (1u << 2)
#define BOOT_ARCH_NO_CMOS (1u << 5)

/* Bits of the event port: devices/legacy/legacy.h. */
#define EVENT_POWER 0x01u
#define EVENT_PCI   0x02u

/* A table being built: its bytes, and where they will be for the guest. */
struct table {
    struct aml out;
    uint64_t address;
};

/* The area that the tables fill from its start. */
struct area {
    uint8_t *bytes;
    uint64_t base;
    size_t size;
    size_t used;
};

/* The characters without the NUL: fixed fields of tables are not strings. */
static void put_text(uint8_t *to, const char *text)
{
    while (*text)
        *to++ = (uint8_t)*text++;
}

static uint8_t checksum(const uint8_t *bytes, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + bytes[i]);
    return (uint8_t)-sum;
}

/* Section 5.2.6, system description table header. */
static void table_begin(struct table *table, const struct area *area, const char *signature,
                        uint8_t revision)
{
    uint8_t header[HEADER_BYTES] = {0};

    table->address = area->base + area->used;
    aml_init(&table->out, area->bytes + area->used, area->size - area->used);
    put_text(header, signature);
    header[8] = revision;
    put_text(header + 10, "HUSK  ");
    put_text(header + 16, "HUSKVM  ");
    put_le32(header + 24, 1);
    put_text(header + 28, "HUSK");
    put_le32(header + 32, 1);
    aml_bytes(&table->out, header, sizeof(header));
}

static int table_end(struct table *table, struct area *area)
{
    uint8_t *bytes = table->out.bytes;
    size_t len = table->out.used;

    if (!aml_fits(&table->out))
        return -ENOSPC;
    put_le32(bytes + 4, (uint32_t)len);
    bytes[9] = checksum(bytes, len);
    area->used += (len + TABLE_ALIGN - 1) & ~(size_t)(TABLE_ALIGN - 1);
    return area->used <= area->size ? 0 : -ENOSPC;
}

/* --- DSDT ---------------------------------------------------------------------------------- */

static void add_cpu(struct aml *aml, unsigned index)
{
    char name[8];
    size_t device;

    snprintf(name, sizeof(name), "C%03X", index & 0xfff);
    device = aml_begin_device(aml, name);
    aml_name(aml, "_HID");
    aml_string(aml, "ACPI0007");
    aml_name(aml, "_UID");
    aml_integer(aml, index);
    aml_end(aml, device);
}

static void add_resources(struct aml *aml, const struct acpi_device *device)
{
    size_t resources;

    aml_name(aml, "_CRS");
    resources = aml_begin_resources(aml);
    if (device->kind == ACPI_DEVICE_KEYBOARD) {
        /* Two single ports, as every PNP0303 has them: data and command. */
        aml_resource_ports(aml, (uint16_t)device->base, 1);
        aml_resource_ports(aml, (uint16_t)(device->base + 4), 1);
    } else if (device->is_port) {
        aml_resource_ports(aml, (uint16_t)device->base, (uint8_t)device->size);
    } else {
        aml_resource_memory32(aml, (uint32_t)device->base, (uint32_t)device->size);
    }
    if (device->has_gsi)
        aml_resource_interrupt(aml, device->gsi);
    aml_end_resources(aml, resources);
}

/* How each kind of device is named and identified. */
static const struct device_identity {
    const char *prefix; /* of its name in the namespace; its number among its kind follows */
    const char *eisa_id;
    const char *string_id; /* where there is no eisa_id */
} identities[] = {
    [ACPI_DEVICE_UART] = {.prefix = "CM", .eisa_id = "PNP0501"},
    [ACPI_DEVICE_RTC] = {.prefix = "RT", .eisa_id = "PNP0B00"},
    [ACPI_DEVICE_KEYBOARD] = {.prefix = "KB", .eisa_id = "PNP0303"},
    [ACPI_DEVICE_PVPANIC] = {.prefix = "PV", .string_id = "QEMU0001"},
    [ACPI_DEVICE_VIRTIO_MMIO] = {.prefix = "VR", .string_id = "LNRO0005"},
};

static void add_device(struct aml *aml, const struct acpi_device *device, unsigned number)
{
    const struct device_identity *identity = &identities[device->kind];
    char name[8];
    size_t mark;

    snprintf(name, sizeof(name), "%s%02X", identity->prefix, number & 0xff);
    mark = aml_begin_device(aml, name);
    aml_name(aml, "_HID");
    if (identity->eisa_id)
        aml_eisa_id(aml, identity->eisa_id);
    else
        aml_string(aml, identity->string_id);
    aml_name(aml, "_UID");
    aml_integer(aml, number);
    if (device->kind == ACPI_DEVICE_VIRTIO_MMIO) {
        /* 6.2.17: its DMA is coherent with the CPUs' caches. */
        aml_name(aml, "_CCA");
        aml_integer(aml, 1);
    }
    add_resources(aml, device);
    aml_end(aml, mark);
}

/*
 * Section 5.6.9: the event device's interrupt makes the OS run _EVT, which asks the machine what
 * happened; reading the port clears the event.
 */
static void add_event_device(struct aml *aml, const struct acpi_options *options)
{
    size_t device, resources, method, condition;

    device = aml_begin_device(aml, "PWRB");
    aml_name(aml, "_HID");
    aml_eisa_id(aml, "PNP0C0C");
    aml_end(aml, device);

    device = aml_begin_device(aml, "GED");
    aml_name(aml, "_HID");
    aml_string(aml, "ACPI0013");
    aml_name(aml, "_UID");
    aml_integer(aml, 0);
    aml_name(aml, "_CRS");
    resources = aml_begin_resources(aml);
    aml_resource_level(aml, options->event_gsi);
    aml_end_resources(aml, resources);
    aml_port_region(aml, "EVTR", options->event_port, 1);
    aml_byte_field(aml, "EVTR", "EVTS");
    method = aml_begin_method(aml, "_EVT", 1, true);
    aml_store_local0(aml, "EVTS");
    condition = aml_begin_if(aml);
    aml_local0_and(aml, EVENT_POWER);
    aml_notify(aml, "PWRB", 0x80);
    aml_end(aml, condition);
    if (options->pci) {
        condition = aml_begin_if(aml);
        aml_local0_and(aml, EVENT_PCI);
        aml_call(aml, ACPI_PCI_EVENT_METHOD);
        aml_end(aml, condition);
    }
    aml_end(aml, method);
    aml_end(aml, device);
}

static int write_dsdt(struct area *area, const struct acpi_options *options, uint64_t *address)
{
    unsigned numbers[ARRAY_SIZE(identities)] = {0};
    struct table table;
    struct aml *aml = &table.out;
    size_t scope, package;

    table_begin(&table, area, "DSDT", 2);
    aml_name(aml, "_S5");
    package = aml_begin_package(aml, 4);
    aml_integer(aml, ACPI_S5_SLEEP_TYPE);
    for (int i = 1; i < 4; i++)
        aml_integer(aml, 0);
    aml_end(aml, package);

    scope = aml_begin_scope(aml, "_SB");
    for (unsigned i = 0; i < options->cpu_count; i++)
        add_cpu(aml, i);
    for (unsigned i = 0; i < options->device_count; i++) {
        const struct acpi_device *device = &options->devices[i];

        add_device(aml, device, numbers[device->kind]++);
    }
    add_event_device(aml, options);
    if (options->pci)
        acpi_add_pci(aml, options->pci);
    aml_end(aml, scope);
    *address = table.address;
    return table_end(&table, area);
}

/* --- FADT, MADT and MCFG ------------------------------------------------------------------- */

static bool has_device(const struct acpi_options *options, enum acpi_device_kind kind)
{
    for (unsigned i = 0; i < options->device_count; i++) {
        if (options->devices[i].kind == kind)
            return true;
    }
    return false;
}

/* Section 5.2.3.2, generic address structure: one byte of I/O space, byte access. */
static void put_port_register(uint8_t *gas, uint16_t port)
{
    gas[0] = 1;
    gas[1] = 8;
    gas[2] = 0;
    gas[3] = 1;
    put_le64(gas + 4, port);
}

static int write_fadt(struct area *area, const struct acpi_options *options, uint64_t dsdt,
                      uint64_t *address)
{
    uint8_t fadt[FADT_BYTES] = {0};
    uint16_t boot_arch = BOOT_ARCH_NO_VGA;
    struct table table;

    if (has_device(options, ACPI_DEVICE_KEYBOARD))
        boot_arch |= BOOT_ARCH_8042;
    if (!has_device(options, ACPI_DEVICE_RTC))
        boot_arch |= BOOT_ARCH_NO_CMOS;
    put_le16(fadt + FADT_BOOT_ARCH, boot_arch);
    put_le32(fadt + FADT_FLAGS, FLAG_WBINVD | FLAG_PROC_C1 | FLAG_PWR_BUTTON | FLAG_SLP_BUTTON |
                                    FLAG_FIX_RTC | FLAG_RESET_REG | FLAG_HW_REDUCED);
    put_port_register(fadt + FADT_RESET_REGISTER, options->reset_port);
    fadt[FADT_RESET_VALUE] = options->reset_value;
    fadt[FADT_MINOR_VERSION] = 5;
    /* 5.2.9: X_DSDT counts; the 32-bit field is for readers that look at nothing else. */
    if (dsdt <= UINT32_MAX)
        put_le32(fadt + FADT_DSDT, (uint32_t)dsdt);
    put_le64(fadt + FADT_X_DSDT, dsdt);
    put_port_register(fadt + FADT_SLEEP_CONTROL, options->sleep_control_port);
    put_port_register(fadt + FADT_SLEEP_STATUS, options->sleep_status_port);
    put_text(fadt + FADT_HYPERVISOR, "husk");

    table_begin(&table, area, "FACP", 6);
    aml_bytes(&table.out, fadt + HEADER_BYTES, FADT_BYTES - HEADER_BYTES);
    *address = table.address;
    return table_end(&table, area);
}

/* Section 5.2.12. Ids above 254 need the x2APIC structure (5.2.12.12), others may have either. */
static void add_local_apic(struct aml *aml, uint32_t uid, uint32_t id)
{
    uint8_t local[8] = {0, sizeof(local), (uint8_t)uid, (uint8_t)id, 1};
    uint8_t x2apic[16] = {9, sizeof(x2apic)};

    if (id < 255 && uid < 255) {
        aml_bytes(aml, local, sizeof(local));
        return;
    }
    put_le32(x2apic + 4, id);
    put_le32(x2apic + 8, 1); /* enabled */
    put_le32(x2apic + 12, uid);
    aml_bytes(aml, x2apic, sizeof(x2apic));
}

static int write_madt(struct area *area, const struct acpi_options *options, uint64_t *address)
{
    uint8_t fixed[8] = {0};
    uint8_t ioapic[12] = {1, sizeof(ioapic), options->ioapic_id};
    struct table table;

    table_begin(&table, area, "APIC", 6);
    put_le32(fixed, options->lapic_address); /* flags 0: no PC-AT compatible 8259 pair */
    aml_bytes(&table.out, fixed, sizeof(fixed));
    for (unsigned i = 0; i < options->cpu_count; i++)
        add_local_apic(&table.out, i, options->apic_ids[i]);
    put_le32(ioapic + 4, options->ioapic_address); /* its first GSI is 0 */
    aml_bytes(&table.out, ioapic, sizeof(ioapic));
    *address = table.address;
    return table_end(&table, area);
}

/* PCI Firmware 3.3, table 4-3: one segment, of which bus 0 alone. */
static int write_mcfg(struct area *area, const struct acpi_pci *pci, uint64_t *address)
{
    uint8_t body[8 + 16] = {0};
    struct table table;

    put_le64(body + 8, pci->ecam);
    table_begin(&table, area, "MCFG", 1);
    aml_bytes(&table.out, body, sizeof(body));
    *address = table.address;
    return table_end(&table, area);
}

/* --- roots --------------------------------------------------------------------------------- */

/* mcfg is 0 where there is none. */
static int write_xsdt(struct area *area, uint64_t fadt, uint64_t madt, uint64_t mcfg,
                      uint64_t *address)
{
    uint8_t entries[3 * 8];
    struct table table;

    table_begin(&table, area, "XSDT", 1);
    put_le64(entries, fadt);
    put_le64(entries + 8, madt);
    put_le64(entries + 16, mcfg);
    aml_bytes(&table.out, entries, mcfg ? 24 : 16);
    *address = table.address;
    return table_end(&table, area);
}

/* Section 5.2.5.3. The first checksum covers the 20 bytes of ACPI 1.0. */
static void write_rsdp(uint8_t *rsdp, uint64_t xsdt)
{
    memset(rsdp, 0, RSDP_BYTES);
    put_text(rsdp, "RSD PTR ");
    put_text(rsdp + 9, "HUSK  ");
    rsdp[15] = 2;
    put_le32(rsdp + 20, RSDP_BYTES);
    put_le64(rsdp + 24, xsdt);
    rsdp[8] = checksum(rsdp, 20);
    rsdp[32] = checksum(rsdp, RSDP_BYTES);
}

/* Values that the tables' fields cannot hold are mistakes of the machine builder. */
static int check_options(const struct acpi_options *options, struct husk_error *err)
{
    if (options->cpu_count == 0 || options->cpu_count > CPUS_MAX ||
        options->device_count > DEVICES_MAX)
        return error_set(err, EINVAL, NULL, CANNOT_WRITE, "%u CPUs and %u devices",
                         options->cpu_count, options->device_count);
    for (unsigned i = 0; i < options->device_count; i++) {
        const struct acpi_device *device = &options->devices[i];
        uint64_t limit = device->is_port ? UINT16_MAX + 1ull : UINT32_MAX + 1ull;

        if ((unsigned)device->kind >= ARRAY_SIZE(identities) || device->size == 0 ||
            (device->is_port && device->size > UINT8_MAX) || device->base >= limit ||
            device->size > limit - device->base)
            return error_set(err, EINVAL, NULL, CANNOT_WRITE, "device %u has no valid resources",
                             i);
    }
    return 0;
}

int acpi_write_tables(struct guest_memory *memory, gpa_t base, uint64_t size,
                      const struct acpi_options *options, gpa_t *rsdp, struct husk_error *err)
{
    struct area area = {.base = base.value, .size = size};
    uint64_t dsdt = 0, fadt = 0, madt = 0, mcfg = 0, xsdt = 0;
    int r = check_options(options, err);

    if (r < 0)
        return r;
    area.bytes = guest_memory_at(memory, base, size);
    if (!area.bytes || !is_aligned(base.value, TABLE_ALIGN))
        return error_set(err, EINVAL, NULL, CANNOT_WRITE, "0x%llx is not guest memory",
                         (unsigned long long)base.value);
    area.used = (RSDP_BYTES + TABLE_ALIGN - 1) & ~(TABLE_ALIGN - 1);
    r = size < area.used ? -ENOSPC : write_dsdt(&area, options, &dsdt);
    if (r == 0)
        r = write_fadt(&area, options, dsdt, &fadt);
    if (r == 0)
        r = write_madt(&area, options, &madt);
    if (r == 0 && options->pci)
        r = write_mcfg(&area, options->pci, &mcfg);
    if (r == 0)
        r = write_xsdt(&area, fadt, madt, mcfg, &xsdt);
    if (r < 0)
        return error_set(err, -r, NULL, CANNOT_WRITE,
                         "%u CPUs and %u devices need more than %llu KiB", options->cpu_count,
                         options->device_count, (unsigned long long)(size / 1024));
    write_rsdp(area.bytes, xsdt);
    *rsdp = base;
    return 0;
}
