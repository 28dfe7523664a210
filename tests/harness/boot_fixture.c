// SPDX-License-Identifier: Apache-2.0
/* Guest memory and a layout for the tests of boot/: see boot_fixture.h. */
#include "tests/harness/boot_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/io.h"

void boot_fixture_setup(struct boot_fixture *fixture, uint64_t memory_bytes,
                        enum guest_memory_backing backing)
{
    const struct guest_region_spec region = {gpa(0), memory_bytes};

    *fixture = (struct boot_fixture){
        .ranges = {{gpa(0), 0xa0000, BOOT_RANGE_RAM},
                   {gpa(0xe0000), 0x20000, BOOT_RANGE_ACPI},
                   {gpa(0x100000), memory_bytes - 0x100000, BOOT_RANGE_RAM}},
        .options = {.kernel_fd = -1,
                    .kernel_name = "kernel",
                    .initrd_fd = -1,
                    .initrd_name = "initrd",
                    .command_line = "console=ttyS0",
                    .layout = {.boot_info = gpa(FIXTURE_BOOT_INFO),
                               .command_line = gpa(FIXTURE_COMMAND_LINE),
                               .page_tables = gpa(FIXTURE_PAGE_TABLES),
                               .gdt = gpa(FIXTURE_GDT),
                               .kernel_min = gpa(0x100000),
                               .initrd_limit = gpa(memory_bytes),
                               .range_count = 3,
                               .rsdp = gpa(FIXTURE_RSDP)}},
    };
    fixture->options.layout.ranges = fixture->ranges;
    if (guest_memory_create(&region, 1, backing, &fixture->memory, &fixture->err) < 0) {
        fprintf(stderr, "boot_fixture: no guest memory\n");
        abort();
    }
}

void boot_fixture_teardown(struct boot_fixture *fixture)
{
    guest_memory_destroy(fixture->memory);
    fixture->memory = NULL;
}

int boot_fixture_load(struct boot_fixture *fixture, int kernel_fd, int initrd_fd)
{
    int r;

    fixture->options.kernel_fd = kernel_fd;
    fixture->options.initrd_fd = initrd_fd;
    fixture->err = (struct husk_error){0};
    r = boot_load(fixture->memory, &fixture->options, &fixture->entry, &fixture->err);
    error_format(&fixture->err, fixture->message, sizeof(fixture->message));
    close_fd(&kernel_fd);
    close_fd(&initrd_fd);
    return r;
}

const uint8_t *boot_fixture_at(const struct boot_fixture *fixture, uint64_t address, uint64_t len)
{
    const uint8_t *bytes = guest_memory_at(fixture->memory, gpa(address), len);

    if (!bytes) {
        fprintf(stderr, "boot_fixture: 0x%llx is not guest memory\n", (unsigned long long)address);
        abort();
    }
    return bytes;
}
