// SPDX-License-Identifier: Apache-2.0
/*
 * An NVMe controller of the host's as a DMA engine (NVM Express 1.4): it reads and writes this
 * guest's memory as told, and must not reach what lies outside. The host sees whether it did; what
 * the controller says of such a command is no evidence, for some report success when the IOMMU
 * refused their access.
 *
 * serial=TEXT   how the controllers' serial numbers begin
 * frames=A:B:…  frames of 4 KiB outside the guest's memory to aim at: read and written
 */
#include "lib/pci.h"

#define CLASS_NVME     0x010802u /* 1.4, 2.1.5 */
#define COMMAND        0x04u
#define COMMAND_ON     6u /* memory decoding, bus mastering */
#define CAP_MSIX       0x11u
#define SOMEWHERE      0xe8000000ull /* in the window of BARs */
#define PAGE           4096u
#define ENTRIES        16u
#define VECTOR         60u
#define ADMIN_IDENTIFY 0x06u
#define ADMIN_SET      0x09u
#define ADMIN_GET      0x0au
#define TIMESTAMP      0x0eu

/* Controller registers, 3.1. */
enum { REG_CC = 0x14, REG_CSTS = 0x1c, REG_AQA = 0x24, REG_ASQ = 0x28, REG_ACQ = 0x30 };

static uint64_t registers;
static uint8_t *submissions, *completions;
static unsigned head, tail, phase;

static bool is_controller(unsigned slot)
{
    return mmio_read32(pci_config(slot)) != UINT32_MAX &&
           mmio_read32(pci_config(slot) + 8) >> 8 == CLASS_NVME;
}

static bool is_ready(void *arg)
{
    return (mmio_read32(registers + REG_CSTS) & 1) == *(uint32_t *)arg;
}

static void set_enabled(uint32_t on)
{
    /* Entries of 64 and 16 bytes (3.1.5). */
    mmio_write32(registers + REG_CC, on ? 4u << 20 | 6u << 16 | 1 : 0);
    if (!wait_until(is_ready, &on, 10000))
        give_up("controller", "status 0x%x", mmio_read32(registers + REG_CSTS));
}

/* 7.6.1, as far as the administration queue. */
static void start(unsigned slot)
{
    if (pci_bar(slot) == 0 || pci_bar(slot) >> 32)
        pci_set_bar(slot, SOMEWHERE);
    mmio_write16(pci_config(slot) + COMMAND, COMMAND_ON);
    registers = pci_bar(slot);
    set_enabled(0);
    submissions = allocate(PAGE, PAGE);
    completions = allocate(PAGE, PAGE);
    head = tail = 0;
    phase = 1;
    mmio_write32(registers + REG_AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
    mmio_write64(registers + REG_ASQ, (uint64_t)submissions);
    mmio_write64(registers + REG_ACQ, (uint64_t)completions);
    pci_msix_enable(slot, VECTOR, VECTOR + 1);
    set_enabled(1);
}

static bool has_completed(void *arg)
{
    return (mmio_read16((uint64_t)completions + 16 * head + 14) & 1) == phase;
}

/* One command of the administration queue; returns the status field (4.6.1), 0 for success. */
static unsigned carry_out(uint8_t opcode, uint32_t dword10, uint64_t data)
{
    uint64_t entry = (uint64_t)submissions + 64 * tail;
    unsigned status;

    memset((void *)entry, 0, 64);
    mmio_write32(entry, opcode | tail << 16);
    mmio_write64(entry + 24, data); /* PRP entry 1 */
    mmio_write32(entry + 40, dword10);
    tail = (tail + 1) % ENTRIES;
    memory_barrier();
    mmio_write32(registers + 0x1000, tail);
    if (!wait_until(has_completed, NULL, 20000))
        give_up("command", "%u is not completed", opcode);
    status = mmio_read16((uint64_t)completions + 16 * head + 14) >> 1;
    head = (head + 1) % ENTRIES;
    if (head == 0)
        phase ^= 1;
    mmio_write32(registers + 0x1004, head);
    return status;
}

/* The whole page is written: the controller's structure (5.15.2.2). */
static unsigned identify(uint64_t page)
{
    return carry_out(ADMIN_IDENTIFY, 1, page);
}

static bool interrupted(void *arg)
{
    return interrupt_counts[VECTOR] != *(uint32_t *)arg;
}

static void inside(void)
{
    static const uint8_t milliseconds[6] = {0x00, 0x00, 0x10, 0x20, 0x30, 0x01};
    uint8_t *page = allocate(PAGE, PAGE), *stamp = allocate(PAGE, PAGE);
    const char *serial = option("serial");
    uint32_t before = interrupt_counts[VECTOR];
    unsigned status = identify((uint64_t)page), length = 0;

    check(status == 0, "write inside", "status 0x%x", status);
    check(wait_until(interrupted, &before, 10000), "interrupt", "none");
    while (serial && serial[length])
        length++;
    check(memcmp(page + 4, serial, length) == 0, "what it writes", "another serial number");
    /* 5.21.1.14: six bytes of milliseconds, read by the controller, then written by it. */
    memcpy(stamp, milliseconds, sizeof(milliseconds));
    status = carry_out(ADMIN_SET, TIMESTAMP, (uint64_t)stamp);
    check(status == 0, "read inside", "status 0x%x", status);
    memset(stamp, 0, 8);
    status = carry_out(ADMIN_GET, TIMESTAMP, (uint64_t)stamp);
    check(status == 0 && (get64(stamp) >> 24 & 0xffffff) == 0x013020, "what it read",
          "status 0x%x, 0x%X", status, get64(stamp));
}

/* Has the controller write to and read from there, and tells what it read. */
static void aim_at(uint64_t address)
{
    uint8_t *stamp = allocate(PAGE, PAGE);
    unsigned wrote = identify(address), took = carry_out(ADMIN_SET, TIMESTAMP, address);
    unsigned gave = carry_out(ADMIN_GET, TIMESTAMP, (uint64_t)stamp);

    check(gave == 0, "what it read outside", "status 0x%x", gave);
    say("aimed at 0x%X: read 0x%X, status 0x%x and 0x%x", address, get64(stamp) & 0xffffffffffffull,
        wrote, took);
}

static void outside(void)
{
    const char *text = option("frames");
    uint8_t *end = (uint8_t *)low_memory_end(), *before = allocate(PAGE, PAGE);
    uint64_t frames[16];
    unsigned count = 0;

    for (frames[0] = 0; text && *text; text++) {
        if (*text != ':')
            frames[count] = frames[count] * 10 + (unsigned)(*text - '0');
        else if (++count < COUNT(frames))
            frames[count] = 0;
        else
            give_up("frames", "too many");
    }
    memcpy(before, end - PAGE, PAGE);
    for (unsigned i = 0; i <= count; i++)
        aim_at(frames[i] * PAGE);
    aim_at((uint64_t)end);
    check(memcmp(before, end - PAGE, PAGE) == 0, "memory beside", "has changed");
}

void guest_main(void)
{
    unsigned found = 0;

    interrupts_init();
    for (unsigned slot = 0; slot < PCI_DEVICES; slot++) {
        if (!is_controller(slot))
            continue;
        found++;
        start(slot);
        inside();
        if (option("frames"))
            outside();
        set_enabled(0);
        start(slot);
        inside();
        set_enabled(0);
    }
    check(found > 0, "controller", "none on the bus");
    say("%u controllers, %u interrupts", found, interrupt_counts[VECTOR]);
}
