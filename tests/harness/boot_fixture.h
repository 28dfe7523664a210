// SPDX-License-Identifier: Apache-2.0
/*
 * Guest memory and a layout as the machine gives them to boot/: low RAM to 640 KiB, a reserved hole
 * to 1 MiB with the ACPI tables in it, RAM from there on. Failures abort the test program.
 */
#ifndef HUSK_TESTS_HARNESS_BOOT_FIXTURE_H
#define HUSK_TESTS_HARNESS_BOOT_FIXTURE_H

#include "boot/boot.h"

#define FIXTURE_BOOT_INFO    0x7000u
#define FIXTURE_PAGE_TABLES  0x9000u
#define FIXTURE_GDT          0x500u
#define FIXTURE_COMMAND_LINE 0x20000u
#define FIXTURE_RSDP         0xe0000u

struct boot_fixture {
    struct guest_memory *memory;
    struct boot_range ranges[3];
    struct boot_options options; /* kernel_fd -1, initrd_fd -1 */
    struct boot_entry entry;
    struct husk_error err;
    char message[640];
};

void boot_fixture_setup(struct boot_fixture *fixture, uint64_t memory_bytes,
                        enum guest_memory_backing backing);
void boot_fixture_teardown(struct boot_fixture *fixture);

/* boot_load() with this kernel (and initrd, or -1); closes both. On failure fixture->message holds
 * the whole error line. */
int boot_fixture_load(struct boot_fixture *fixture, int kernel_fd, int initrd_fd);

/* Guest memory at `address`; aborts when it is none. */
const uint8_t *boot_fixture_at(const struct boot_fixture *fixture, uint64_t address, uint64_t len);

#endif
