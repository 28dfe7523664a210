// SPDX-License-Identifier: Apache-2.0
/* boot/acpi.c: structure and checksums of the tables, and what iasl says of them where installed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "boot/acpi.h"
#include "tests/harness/boot_fixture.h"

#define TABLES_BASE 0xe0000u
#define TABLES_SIZE 0x20000u

static const uint32_t two_cpus[] = {0, 1};

static struct acpi_options default_options(const struct acpi_device *devices, unsigned count)
{
    return (struct acpi_options){
        .apic_ids = two_cpus,
        .cpu_count = 2,
        .lapic_address = 0xfee00000,
        .ioapic_address = 0xfec00000,
        .ioapic_id = 2,
        .sleep_control_port = 0x600,
        .sleep_status_port = 0x601,
        .reset_port = 0x602,
        .reset_value = 0x42,
        .event_port = 0x603,
        .event_gsi = 9,
        .devices = devices,
        .device_count = count,
    };
}

static const struct acpi_device all_devices[] = {
    {ACPI_DEVICE_UART, true, 0x3f8, 8, 4, true},
    {ACPI_DEVICE_RTC, true, 0x70, 2, 0, false},
    {ACPI_DEVICE_KEYBOARD, true, 0x60, 5, 1, true},
    {ACPI_DEVICE_PVPANIC, true, 0x505, 1, 0, false},
    {ACPI_DEVICE_VIRTIO_MMIO, false, 0xd0000000, 0x1000, 5, true},
    {ACPI_DEVICE_VIRTIO_MMIO, false, 0xd0001000, 0x1000, 6, true},
};

static int setup(void **state)
{
    static struct boot_fixture fixture;

    boot_fixture_setup(&fixture, 4u << 20, GUEST_MEMORY_PRIVATE);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    boot_fixture_teardown(*state);
    return 0;
}

static uint8_t sum(const uint8_t *bytes, size_t len)
{
    uint8_t total = 0;

    for (size_t i = 0; i < len; i++)
        total = (uint8_t)(total + bytes[i]);
    return total;
}

static int write_tables(struct boot_fixture *fixture, const struct acpi_options *options)
{
    gpa_t rsdp = gpa(0);
    int r = acpi_write_tables(fixture->memory, gpa(TABLES_BASE), TABLES_SIZE, options, &rsdp,
                              &fixture->err);

    if (r == 0)
        assert_int_equal(rsdp.value, TABLES_BASE);
    return r;
}

/* A table that lies inside the window with the right signature, length and checksum. */
static const uint8_t *table_at(struct boot_fixture *fixture, uint64_t address,
                               const char *signature)
{
    const uint8_t *header = boot_fixture_at(fixture, address, 36);
    uint32_t len = get_le32(header + 4);

    assert_true(address >= TABLES_BASE && address + len <= TABLES_BASE + TABLES_SIZE);
    assert_memory_equal(header, signature, 4);
    assert_int_equal(sum(header, len), 0);
    return header;
}

static const uint8_t *find_table(struct boot_fixture *fixture, const char *signature)
{
    const uint8_t *rsdp = boot_fixture_at(fixture, TABLES_BASE, 36);
    const uint8_t *xsdt = table_at(fixture, get_le64(rsdp + 24), "XSDT");

    if (!strcmp(signature, "XSDT"))
        return xsdt;
    for (uint32_t at = 36; at < get_le32(xsdt + 4); at += 8) {
        const uint8_t *table = boot_fixture_at(fixture, get_le64(xsdt + at), 36);

        if (!memcmp(table, signature, 4))
            return table_at(fixture, get_le64(xsdt + at), signature);
    }
    return table_at(fixture, get_le64(find_table(fixture, "FACP") + 140), signature);
}

static bool dsdt_contains(struct boot_fixture *fixture, const void *needle, size_t len)
{
    const uint8_t *dsdt = find_table(fixture, "DSDT");

    return memmem(dsdt, get_le32(dsdt + 4), needle, len) != NULL;
}

static void test_rsdp(void **state)
{
    struct acpi_options options = default_options(all_devices, ARRAY_SIZE(all_devices));
    const uint8_t *rsdp;

    assert_int_equal(write_tables(*state, &options), 0);
    rsdp = boot_fixture_at(*state, TABLES_BASE, 36);
    assert_memory_equal(rsdp, "RSD PTR ", 8);
    assert_int_equal(rsdp[15], 2);
    assert_int_equal(get_le32(rsdp + 20), 36);
    assert_int_equal(sum(rsdp, 20), 0);
    assert_int_equal(sum(rsdp, 36), 0);
}

static void test_fadt(void **state)
{
    struct acpi_options options = default_options(all_devices, ARRAY_SIZE(all_devices));
    const uint8_t *fadt;

    assert_int_equal(write_tables(*state, &options), 0);
    fadt = find_table(*state, "FACP");
    assert_int_equal(fadt[8], 6);
    assert_int_equal(get_le32(fadt + 4), 276);
    /* HW_REDUCED_ACPI, RESET_REG_SUP, and no fixed power button */
    assert_true(get_le32(fadt + 112) & (1u << 20));
    assert_true(get_le32(fadt + 112) & (1u << 10));
    assert_true(get_le32(fadt + 112) & (1u << 4));
    /* 8042 there, VGA not, MSI allowed, CMOS RTC there */
    assert_int_equal(get_le16(fadt + 109), 0x0006);
    assert_int_equal(fadt[116], 1);
    assert_int_equal(get_le64(fadt + 120), 0x602);
    assert_int_equal(fadt[128], 0x42);
    assert_int_equal(get_le64(fadt + 248), 0x600);
    assert_int_equal(get_le64(fadt + 260), 0x601);
    assert_int_equal(get_le32(fadt + 40), get_le64(fadt + 140));
}

static void test_fadt_without_legacy(void **state)
{
    struct acpi_options options = default_options(NULL, 0);

    assert_int_equal(write_tables(*state, &options), 0);
    assert_int_equal(get_le16(find_table(*state, "FACP") + 109), 0x0024);
}

static void test_madt(void **state)
{
    static const uint32_t ids[] = {0, 1, 254, 300};
    struct acpi_options options = default_options(NULL, 0);
    const uint8_t *madt;

    options.apic_ids = ids;
    options.cpu_count = 4;
    assert_int_equal(write_tables(*state, &options), 0);
    madt = find_table(*state, "APIC");
    assert_int_equal(get_le32(madt + 36), 0xfee00000);
    assert_int_equal(get_le32(madt + 40), 0); /* no 8259 pair */
    assert_int_equal(get_le32(madt + 4), 44 + 3 * 8 + 16 + 12);
    assert_memory_equal(madt + 44, "\x00\x08\x00\x00\x01\x00\x00\x00", 8);
    assert_memory_equal(madt + 60, "\x00\x08\x02\xfe\x01\x00\x00\x00", 8);
    assert_memory_equal(madt + 68, "\x09\x10\x00\x00\x2c\x01\x00\x00\x01\x00\x00\x00\x03\x00\x00",
                        15);
    assert_memory_equal(madt + 84, "\x01\x0c\x02\x00\x00\x00\xc0\xfe\x00\x00\x00\x00", 12);
}

static void test_dsdt_resources(void **state)
{
    struct acpi_options options = default_options(all_devices, ARRAY_SIZE(all_devices));

    assert_int_equal(write_tables(*state, &options), 0);
    assert_int_equal(find_table(*state, "DSDT")[8], 2);
    /* \_S5: Package (4) {5, 0, 0, 0} */
    assert_true(dsdt_contains(*state, "\x08_S5_\x12\x07\x04\x0a\x05\x00\x00\x00", 13));
    /* the UART's ports, then GSI 4: edge, active high, exclusive */
    assert_true(dsdt_contains(*state,
                              "\x47\x01\xf8\x03\xf8\x03\x01\x08"
                              "\x89\x06\x00\x03\x01\x04\x00\x00\x00\x79\x00",
                              19));
    assert_true(dsdt_contains(*state, "LNRO0005", 9));
    assert_true(dsdt_contains(*state,
                              "\x86\x09\x00\x01\x00\x10\x00\xd0\x00\x10\x00\x00"
                              "\x89\x06\x00\x03\x01\x06\x00\x00\x00\x79\x00",
                              23));
    assert_true(dsdt_contains(*state, "ACPI0013", 9));
    assert_true(dsdt_contains(*state, "ACPI0007", 9));
    assert_true(dsdt_contains(*state, "QEMU0001", 9));
}

static void test_refuses_what_tables_cannot_say(void **state)
{
    struct boot_fixture *fixture = *state;
    struct acpi_device device = all_devices[4];
    struct acpi_options options = default_options(&device, 1);
    gpa_t rsdp;

    device.base = 1ull << 32;
    assert_int_equal(write_tables(fixture, &options), -EINVAL);
    device.base = UINT32_MAX - 0xffe;
    assert_int_equal(write_tables(fixture, &options), -EINVAL);
    device = all_devices[0];
    device.base = 0xfff9;
    assert_int_equal(write_tables(fixture, &options), -EINVAL);
    device = all_devices[0];
    device.size = 256;
    assert_int_equal(write_tables(fixture, &options), -EINVAL);
    device = all_devices[0];
    options.cpu_count = 0;
    assert_int_equal(write_tables(fixture, &options), -EINVAL);
    options.cpu_count = 2;
    assert_int_equal(acpi_write_tables(fixture->memory, gpa(4u << 20), 4096, &options, &rsdp, NULL),
                     -EINVAL);
}

/* Every window too small by any amount is refused and nothing behind it is written. */
static void test_bounded(void **state)
{
    struct boot_fixture *fixture = *state;
    struct acpi_options options = default_options(all_devices, ARRAY_SIZE(all_devices));
    uint8_t *bytes = guest_memory_at(fixture->memory, gpa(TABLES_BASE), TABLES_SIZE);
    gpa_t rsdp;
    uint64_t size = 16;

    for (;; size += 16) {
        int r;

        memset(bytes, 0xee, 8192);
        r = acpi_write_tables(fixture->memory, gpa(TABLES_BASE), size, &options, &rsdp, NULL);
        for (uint64_t i = size; i < size + 64; i++)
            assert_int_equal(bytes[i], 0xee);
        if (r == 0)
            break;
        assert_int_equal(r, -ENOSPC);
    }
    assert_in_range(size, 512, 4096);
}

static void fill_largest(uint32_t *ids, struct acpi_device *devices, struct acpi_options *options)
{
    for (uint32_t i = 0; i < 255; i++)
        ids[i] = i;
    for (uint32_t i = 0; i < 36; i++) {
        devices[i] = i < 4 ? all_devices[i] : all_devices[4];
        if (i >= 4) {
            devices[i].base += i * 0x1000;
            devices[i].gsi = 5 + i % 19;
        }
    }
    *options = default_options(devices, 36);
    options->apic_ids = ids;
    options->cpu_count = 255;
}

static void test_largest_machine_fits(void **state)
{
    static struct acpi_device devices[36];
    static uint32_t ids[255];
    struct acpi_options options;

    fill_largest(ids, devices, &options);
    assert_int_equal(write_tables(*state, &options), 0);
    assert_non_null(find_table(*state, "DSDT"));
}

/* --- iasl: disassemble every table, and compile what came out without a remark --- */

static bool command_succeeds(const char *command)
{
    return system(command) == 0; /* NOLINT(cert-env33-c): a fixed command of the test */
}

static void save_table(struct boot_fixture *fixture, const char *directory, const char *signature)
{
    const uint8_t *table = find_table(fixture, signature);
    uint32_t len = get_le32(table + 4);
    char path[128];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.aml", directory, signature);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(table, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void check_with_iasl(struct boot_fixture *fixture)
{
    static const char *const signatures[] = {"DSDT", "FACP", "APIC", "XSDT"};
    char directory[] = "/tmp/husk-acpi-XXXXXX";
    char command[512];
    bool good = true;

    assert_non_null(mkdtemp(directory));
    for (size_t i = 0; i < ARRAY_SIZE(signatures); i++) {
        const char *name = signatures[i];

        save_table(fixture, directory, name);
        snprintf(command, sizeof(command),
                 "cd %s && iasl -d %s.aml >%s.log 2>&1 && ! grep -qiE 'error|warning' %s.log && "
                 "iasl -ve -oa -p again-%s %s.dsl >>%s.log 2>&1 && "
                 "grep -qE '(0 Errors, 0 Warnings|Table Input)' %s.log || "
                 "{ cat %s.log; false; }",
                 directory, name, name, name, name, name, name, name, name);
        good = command_succeeds(command) && good;
    }
    /* The compiler's own encoding of the DSDT is byte for byte ours, but for the header. */
    snprintf(command, sizeof(command),
             "cd %s && tail -c +37 DSDT.aml >a && tail -c +37 again-DSDT.aml >b && cmp a b",
             directory);
    good = command_succeeds(command) && good;
    snprintf(command, sizeof(command), "rm -rf %s", directory);
    assert_true(command_succeeds(command));
    assert_true(good);
}

static void test_iasl_accepts(void **state)
{
    static struct acpi_device devices[36];
    static uint32_t ids[255];
    struct acpi_options options = default_options(all_devices, ARRAY_SIZE(all_devices));

    if (!command_succeeds("command -v iasl >/dev/null")) {
        print_message("skipped: iasl (acpica-tools) is not installed\n");
        skip();
    }
    assert_int_equal(write_tables(*state, &options), 0);
    check_with_iasl(*state);
    fill_largest(ids, devices, &options);
    assert_int_equal(write_tables(*state, &options), 0);
    check_with_iasl(*state);
}

static void test_pci(void **state)
{
    const struct acpi_pci pci = {.ecam = 0xc0000000,
                                 .low_base = 0xe0000000,
                                 .low_bytes = 0x10000000,
                                 .high_base = 1ull << 36,
                                 .high_bytes = 1ull << 36,
                                 .first_gsi = 16,
                                 .hotplug_port = 0x610,
                                 .slots = 0xfffffffe};
    struct acpi_options options = default_options(all_devices, ARRAY_SIZE(all_devices));
    const uint8_t *mcfg;

    options.pci = &pci;
    assert_int_equal(write_tables(*state, &options), 0);
    mcfg = find_table(*state, "MCFG");
    assert_int_equal(get_le32(mcfg + 4), 60);
    assert_int_equal(get_le64(mcfg + 44), 0xc0000000);
    assert_int_equal(get_le64(mcfg + 52), 0); /* segment 0, bus 0 */
    /* bus 0, the ports, then the windows */
    assert_true(dsdt_contains(*state,
                              "\x88\x0d\x00\x02\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00"
                              "\x47\x01\xf8\x0c\xf8\x0c\x01\x08"
                              "\x87\x17\x00\x00\x0c\x01\x00\x00\x00\x00\x00\x00\x00\xe0"
                              "\xff\xff\xff\xef\x00\x00\x00\x00\x00\x00\x00\x10"
                              "\x8a\x2b\x00\x00\x0c\x01",
                              56));
    /* _PRT: device 31, INTD#, on the GSI of device 2, INTA# */
    assert_true(dsdt_contains(*state, "\x0c\xff\xff\x1f\x00\x0a\x03\x00\x0a\x12", 10));
    /* _OSC: CTRL &= ~3; slot 31: _SUN and _EJ0; the configuration space is reserved */
    assert_true(dsdt_contains(*state,
                              "\x7b"
                              "CTRL\x0c\xfc\xff\xff\xff"
                              "CTRL",
                              14));
    assert_true(
        dsdt_contains(*state, "_SUN\x0a\x1f\x14\x10_EJ0\x09\x70\x0c\x00\x00\x00\x80PEJT", 23));
    assert_true(dsdt_contains(*state, "\x86\x09\x00\x01\x00\x00\x00\xc0\x00\x00\x10\x00", 12));
    if (command_succeeds("command -v iasl >/dev/null"))
        check_with_iasl(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rsdp, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fadt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fadt_without_legacy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_madt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dsdt_resources, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_what_tables_cannot_say, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_largest_machine_fits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_iasl_accepts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pci, setup, teardown),
    };

    return cmocka_run_group_tests_name("boot/acpi", tests, NULL, NULL);
}
