// SPDX-License-Identifier: Apache-2.0
/*
 * The x86 machine's address map.
 *
 *     0x0000_0000          RAM
 *       0x0000_1000          boot GDT
 *       0x0000_6000          boot information: zero page or PVH start info (8 KiB)
 *       0x0000_9000          boot page tables (24 KiB)
 *       0x0002_0000          kernel command line (4 KiB)
 *       0x000a_0000          (not told to the guest: legacy video and ROM area)
 *       0x000e_0000          ACPI tables (128 KiB), RSDP first
 *       0x0010_0000          kernel, initrd, free
 *     0xc000_0000          end of low RAM, at most: MMIO hole
 *       0xc000_0000          PCI configuration space (ECAM) of bus 0, 1 MiB
 *       0xd000_0000          virtio-mmio windows, 4 KiB each
 *       0xe000_0000          memory BARs of 32 bits (256 MiB)
 *       0xfec0_0000          IOAPIC
 *       0xfee0_0000          local APIC
 *       0xfffb_c000          KVM's identity map page and TSS (Intel without unrestricted guest)
 *     0x1_0000_0000        RAM beyond 3 GiB, then memory BARs of 64 bits (64 GiB)
 */
#ifndef HUSK_VMM_ARCH_X86_64_LAYOUT_H
#define HUSK_VMM_ARCH_X86_64_LAYOUT_H

#define BOOT_GDT_ADDRESS         0x1000u
#define BOOT_INFO_ADDRESS        0x6000u
#define BOOT_PAGE_TABLES_ADDRESS 0x9000u
#define BOOT_COMMAND_LINE        0x20000u
#define LOW_RAM_END              0xa0000u
#define ACPI_TABLES_ADDRESS      0xe0000u
#define ACPI_TABLES_BYTES        0x20000u
#define KERNEL_MIN_ADDRESS       0x100000u

#define HOLE_START          0xc0000000ull
#define HOLE_END            0x100000000ull
#define VIRTIO_MMIO_ADDRESS 0xd0000000u
#define VIRTIO_MMIO_BYTES   0x1000u
#define PCI_ECAM_ADDRESS    0xc0000000u
#define PCI_LOW_ADDRESS     0xe0000000u
#define PCI_LOW_BYTES       0x10000000u
#define PCI_HIGH_BYTES      (64ull << 30)
#define PCI_HIGH_ALIGN      (4ull << 30)
#define PCI_VIRTIO_MAX      31u /* the 32 devices of bus 0 without the host bridge */
#define IOAPIC_ADDRESS      0xfec00000u
#define IOAPIC_PINS         24u
#define LAPIC_ADDRESS       0xfee00000u
#define IDENTITY_MAP_PAGE   0xfffbc000u
#define TSS_PAGES           0xfffbd000u /* three of them */

/* Pins 5 to 23 without those that the legacy devices have by custom: 8 (RTC) and 9 (ACPI). */
#define FREE_GSIS      0x00fffce0ull
#define FREE_GSI_COUNT 17u
/* Of which a PCI bus has four, where chipsets have theirs. */
#define PCI_FIRST_GSI  16u

/* Memory sizes: what one PML4 entry of direct map could hold is far beyond what hosts have. */
#define MEMORY_MIN_BYTES (1ull << 20)
#define MEMORY_MAX_BYTES (1ull << 45)

/* Local APIC ids are the vCPU's index; 255 is broadcast, and beyond it needs MSI extensions. */
#define VCPUS_MAX 255u

#endif
