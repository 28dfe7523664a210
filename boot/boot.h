// SPDX-License-Identifier: Apache-2.0
/*
 * Getting a kernel into guest memory: recognise the image, place it, place the initrd and the
 * command line, build what the entry protocol wants, and say where the boot vCPU starts.
 *
 * Every image is hostile: it is read with pread() into checked buffers, each offset and size is
 * checked against the file and against guest memory, decompression is bounded by guest memory.
 */
#ifndef HUSK_BOOT_BOOT_H
#define HUSK_BOOT_BOOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"
#include "vmm/memory.h"

enum boot_protocol {
    BOOT_PVH,     /* 32-bit protected mode, paging off, ebx = start info
                     (xen/include/public/arch-x86/hvm/start_info.h) */
    BOOT_LINUX64, /* 64-bit mode, rsi = boot_params (Documentation/arch/x86/boot.rst, 64-bit boot
                     protocol) */
};

/* Physical ranges that the guest is told about. */
enum boot_range_kind { BOOT_RANGE_RAM = 1, BOOT_RANGE_RESERVED = 2, BOOT_RANGE_ACPI = 3 };

struct boot_range {
    gpa_t base;
    uint64_t size;
    enum boot_range_kind kind;
};

/* Fixed places in low guest memory; the arch layer chooses them (vmm/arch/x86_64/layout.h). */
struct boot_layout {
    gpa_t boot_info;                 /* zero page or PVH start info; 8 KiB reserved */
    gpa_t command_line;              /* 4 KiB reserved */
    gpa_t page_tables;               /* for BOOT_LINUX64: 24 KiB (PML4, PDPT, 4 PDs) */
    gpa_t gdt;                       /* 64 bytes */
    gpa_t kernel_min;                /* lowest address for a relocatable kernel, 1 MiB */
    gpa_t initrd_limit;              /* the initrd ends at or below this, e.g. end of low RAM */
    const struct boot_range *ranges; /* the guest's memory map, ascending */
    unsigned range_count;            /* <= 32 */
    gpa_t rsdp;                      /* 0: no ACPI */
};

#define BOOT_COMMAND_LINE_MAX 4096u /* including the terminating NUL */

struct boot_options {
    int kernel_fd;           /* regular file, position is not used or changed */
    const char *kernel_name; /* for messages */
    int initrd_fd;           /* -1: none */
    const char *initrd_name;
    const char *command_line;
    struct boot_layout layout;
};

struct boot_entry {
    enum boot_protocol protocol;
    gpa_t rip;
    gpa_t boot_info;   /* goes into rbx (PVH) or rsi (Linux) */
    gpa_t page_tables; /* CR3 for BOOT_LINUX64 */
    bool is_linux;     /* the image says it is a Linux kernel */
    /* "bzImage", "ELF (PVH)", "ELF (64-bit Linux)", the same behind "gzip-compressed " or
     * "zstd-compressed ". Static storage. */
    const char *format;
};

/*
 * Load everything. Returns 0 with *entry filled, or -errno with err naming the file and the reason:
 * ENOEXEC (not a kernel, foreign architecture, 32-bit, truncated, unsupported boot protocol
 * version), E2BIG (command line), ENOMEM (does not fit into guest memory), or what reading
 * returned.
 */
int boot_load(struct guest_memory *memory, const struct boot_options *options,
              struct boot_entry *entry, struct husk_error *err);

#endif
