// SPDX-License-Identifier: Apache-2.0
/*
 * The PCI bus and virtio-pci: enumeration by both ways into configuration space, BARs that are
 * sized, moved, laid over each other and put where nothing may be, MSI-X tables written in every
 * way. The devices must work between and after all of it. The entropy device serves as the probe;
 * a disk, where there is one, is the neighbour.
 */
#include "lib/pci.h"

#define COMMAND        0x04u
#define COMMAND_ON     6u /* memory decoding, bus master */
#define COMMAND_MEMORY 2u
#define BAR0           0x10u
#define CAP_VENDOR     0x09u
#define CAP_MSIX       0x11u
#define LOW_WINDOW     0xe0000000ull
#define LOW_END        0xf0000000ull
#define ELSEWHERE      0xe8000000ull
#define NONE           UINT32_MAX

static struct virtio *rng;
static unsigned rng_slot, disk_slot;
static struct virtqueue queue;

static unsigned slot_of(uint32_t virtio_id)
{
    for (unsigned slot = 1; slot < PCI_DEVICES; slot++) {
        if (mmio_read32(pci_config(slot)) == (0x1af4u | (0x1040 + virtio_id) << 16))
            return slot;
    }
    return 0;
}

/* Where the driver looks for the device's registers follows the BAR. */
static void follow_bar(void)
{
    uint32_t id = rng->id;
    unsigned vector = rng->vector;

    virtio_pci_probe(rng_slot, 0, rng);
    rng->id = id;
    rng->vector = vector;
    pci_msix_enable(rng_slot, vector, vector + 1);
}

static bool interrupted(void *arg)
{
    return rng->interrupts != *(uint32_t *)arg;
}

static bool works(void)
{
    uint8_t *bytes = allocate(64, 16);
    uint32_t before = rng->interrupts, written = 0;

    if (!virtio_negotiate(rng, 0))
        return false;
    if (queue.size)
        virtq_restart(&queue);
    else if (!virtq_init(&queue, rng, 0, 0))
        return false;
    return virtio_start(rng) &&
           virtq_request(&queue, &(struct part){bytes, 64, true}, 1, &written) && written == 64 &&
           wait_until(interrupted, &before, 10000);
}

static void enumerate(void)
{
    unsigned found = 0, differ = 0;

    for (unsigned slot = 0; slot < PCI_DEVICES; slot++) {
        uint32_t id = mmio_read32(pci_config(slot));

        found += id != NONE;
        for (unsigned offset = 0; offset < 0x40; offset += 4) {
            pci_select(slot, offset);
            differ += in32(0xcfc) != mmio_read32(pci_config(slot) + offset);
        }
    }
    check(found == virtio_count + 1, "devices", "%u with the bridge, %u of virtio", found,
          virtio_count);
    check(differ == 0, "ports and ECAM agree", "%u registers differ", differ);
    pci_select(rng_slot, 0);
    check(in16(0xcfe) == 0x1044 && in8(0xcfc) == 0xf4, "narrow accesses of the data port", "0x%x",
          in32(0xcfc));
    out32(0xcf8, 0x80010000);
    check(in32(0xcfc) == NONE, "bus 1", "0x%x", in32(0xcfc));
    check(mmio_read32(pci_config(rng_slot) + 0x1000) == NONE, "function 1", "is there");
    check(mmio_read32(pci_config(rng_slot) + 0x100) == 0, "extended capabilities", "some");
    check(mmio_read8(pci_config(rng_slot) + 0x3d) == 1, "interrupt pin", "%u",
          mmio_read8(pci_config(rng_slot) + 0x3d));
}

/* 6.2.5.1, with decoding left on, as some kernels do it. */
static void size_bar(void)
{
    uint64_t config = pci_config(rng_slot), address = pci_bar(rng_slot);
    uint32_t low, high;

    check(address >= LOW_WINDOW && address < LOW_END, "BAR in its window", "0x%X", address);
    pci_set_bar(rng_slot, UINT64_MAX);
    low = mmio_read32(config + BAR0);
    high = mmio_read32(config + BAR0 + 4);
    check(low == 0xffff8004 && high == NONE, "size of the BAR", "0x%x 0x%x", low, high);
    check(mmio_read8(address + 20) == 0xff, "its registers while it is sized", "answer");
    pci_set_bar(rng_slot, address);
    check(works(), "the device after sizing", "is dead");
    for (unsigned bar = 2; bar < 6; bar++) {
        mmio_write32(config + BAR0 + 4 * bar, NONE);
        check(mmio_read32(config + BAR0 + 4 * bar) == 0, "a BAR that is not there", "0x%x",
              mmio_read32(config + BAR0 + 4 * bar));
    }
}

static void move_bar(void)
{
    uint64_t address = pci_bar(rng_slot);

    pci_set_bar(rng_slot, ELSEWHERE);
    follow_bar();
    check(mmio_read32(address) == NONE, "the BAR's old place", "answers");
    check(works(), "the device at its new place", "is dead");
    mmio_write16(pci_config(rng_slot) + COMMAND, 0);
    check(mmio_read8(ELSEWHERE + 20) == 0xff, "without memory decoding", "it answers");
    mmio_write16(pci_config(rng_slot) + COMMAND, COMMAND_ON);
    check(works(), "with memory decoding again", "is dead");
    pci_set_bar(rng_slot, address);
    follow_bar();
    check(works(), "the device where it was", "is dead");
}

static void lay_over(uint64_t address, const char *what)
{
    uint64_t home = pci_bar(rng_slot);

    pci_set_bar(rng_slot, address);
    check(mmio_read32(pci_config(0)) != NONE && mmio_read32(0xfee00030) != NONE, what,
          "the machine is broken");
    pci_set_bar(rng_slot, home);
    check(works(), what, "the device is dead afterwards");
}

static void overlap(void)
{
    static const uint64_t places[] = {0,          0x1000,     0x100000,   0xc0000000, 0xd0000000,
                                      0xdfff8000, 0xefff8000, 0xf0000000, 0xfec00000, 0xfee00000,
                                      0xffff8000, 1ull << 32, 1ull << 63, UINT64_MAX};
    uint64_t home = pci_bar(rng_slot);
    uint64_t other = disk_slot ? pci_bar(disk_slot) : 0;

    if (disk_slot) {
        pci_set_bar(rng_slot, other);
        check(mmio_read8(other + 20) == 0xff, "two BARs at one address", "one answers");
        pci_set_bar(rng_slot, home);
        check(mmio_read8(other + 20) != 0xff && works(), "apart again", "one is dead");
    }
    for (unsigned i = 0; i < COUNT(places); i++)
        lay_over(places[i], "a BAR anywhere");
}

/* Every byte of configuration space with every size; what is the device's does not change. */
static void write_config(void)
{
    uint64_t config = pci_config(rng_slot), home = pci_bar(rng_slot);
    uint8_t before[256];
    unsigned changed = 0;

    for (unsigned i = 0; i < 256; i++)
        before[i] = mmio_read8(config + i);
    for (unsigned i = 0; i < 256; i++) {
        mmio_write8(config + i, 0xff);
        mmio_write8(config + i, 0);
        mmio_write16(config + i, 0xffff);
        mmio_write32(config + i, NONE);
        mmio_write32(config + i, 0x5a5a5a5a);
        mmio_write64(config + i, UINT64_MAX);
        mmio_write8(config + i, before[i]);
    }
    for (unsigned i = 0; i < 0xf00; i += 4)
        mmio_write32(config + 0x100 + i, NONE);
    pci_set_bar(rng_slot, home);
    for (unsigned i = 0; i < 4; i++) /* identity */
        changed += mmio_read8(config + i) != before[i];
    for (unsigned at = before[0x34]; at; at = before[at + 1])
        changed += mmio_read16(config + at) != get16(before + at);
    check(changed == 0, "what is the device's", "%u bytes changed", changed);
    mmio_write16(config + COMMAND, COMMAND_ON);
    follow_bar();
    check(works(), "the device after writes everywhere", "is dead");
}

static void write_table(void)
{
    uint64_t at = pci_config(rng_slot) + pci_capability(rng_slot, CAP_MSIX, 0);
    uint64_t table = pci_bar(rng_slot) + (mmio_read32(at + 4) & ~7u);
    uint64_t pending = pci_bar(rng_slot) + (mmio_read32(at + 8) & ~7u);

    mmio_write64(table, 0x1122334455667788);
    check(mmio_read32(table) == 0x55667788 && mmio_read32(table + 4) == 0x11223344,
          "8 bytes of a table entry", "0x%X", mmio_read64(table));
    mmio_write8(table, 0);
    mmio_write16(table + 2, 0);
    check(mmio_read32(table) == 0x55667788, "narrow writes to the table", "0x%x",
          mmio_read32(table));
    for (unsigned i = 0; i < 0x2000; i++) {
        mmio_write8(table + i, (uint8_t)i);
        mmio_write16(table + i, 0xffff);
        if (i % 16 < 12) { /* not the masks, each of which would be a new route */
            mmio_write32(table + i, NONE);
            mmio_write64(table + i, i);
        }
    }
    mmio_write64(pending, UINT64_MAX);
    check(mmio_read64(pending) == 0, "pending bits", "0x%X", mmio_read64(pending));
    follow_bar();
    check(works(), "the device after table writes", "is dead");
}

static bool is_pending(void *arg)
{
    return mmio_read64(*(uint64_t *)arg) & 2;
}

static void mask(void)
{
    uint64_t at = pci_config(rng_slot) + pci_capability(rng_slot, CAP_MSIX, 0);
    uint64_t entry = pci_bar(rng_slot) + (mmio_read32(at + 4) & ~7u) + 16;
    uint64_t pending = pci_bar(rng_slot) + (mmio_read32(at + 8) & ~7u);
    uint8_t *bytes = allocate(64, 16);
    uint32_t before = rng->interrupts;

    mmio_write32(entry + 12, 1);
    virtq_add(&queue, &(struct part){bytes, 64, true}, 1);
    virtq_kick(&queue);
    check(wait_until(is_pending, &pending, 10000), "pending while masked", "not");
    check(rng->interrupts == before, "masked", "%u interrupts", rng->interrupts - before);
    mmio_write32(entry + 12, 0);
    check(wait_until(interrupted, &before, 10000), "unmasked", "no interrupt");
    check(mmio_read64(pending) == 0, "no longer pending", "it is");
    before = rng->interrupts;
    mmio_write16(at + 2, 0xc000); /* the whole function */
    virtq_add(&queue, &(struct part){bytes, 64, true}, 1);
    virtq_kick(&queue);
    check(wait_until(is_pending, &pending, 10000) && rng->interrupts == before,
          "the function masked", "not");
    mmio_write16(at + 2, 0x8000);
    check(wait_until(interrupted, &before, 10000), "the function unmasked", "no interrupt");
}

/* 6.2.2: a function that is no bus master reads no ring, and sends no message. */
static void master(void)
{
    uint64_t config = pci_config(rng_slot);
    uint8_t *bytes = allocate(64, 16);
    uint32_t before;
    struct used_element element;

    check(works(), "a bus master", "is dead");
    before = rng->interrupts;
    mmio_write16(config + COMMAND, COMMAND_MEMORY);
    virtq_add(&queue, &(struct part){bytes, 64, true}, 1);
    virtq_kick(&queue);
    sleep_ms(100);
    check(rng->interrupts == before && !virtq_take(&queue, &element), "without bus mastering",
          "the device works");
    mmio_write16(config + COMMAND, COMMAND_ON);
    check(virtq_wait(&queue, &element) && wait_until(interrupted, &before, 10000), "with it again",
          "nothing came");
    mmio_write16(config + COMMAND, COMMAND_MEMORY);
    virtio_negotiate(rng, 0);
    virtq_restart(&queue);
    check(virtio_start(rng), "a start without bus mastering", "refused");
    virtq_add(&queue, &(struct part){bytes, 64, true}, 1);
    virtq_kick(&queue);
    mmio_write16(config + COMMAND, COMMAND_ON);
    check(virtq_wait(&queue, &element), "bus mastering after the start", "nothing came");
}

static uint64_t isr_status;
static unsigned pin_vector;
static volatile uint32_t pin_causes, pin_interrupts;

static void on_pin(unsigned vector)
{
    if (vector != pin_vector)
        return;
    pin_interrupts++;
    pin_causes += mmio_read8(isr_status);
}

static bool pin_caused(void *arg)
{
    return pin_causes != *(uint32_t *)arg;
}

static void request_by_pin(const char *name)
{
    uint8_t *bytes = allocate(64, 16);
    uint32_t causes = pin_causes, interrupts = pin_interrupts;

    virtq_add(&queue, &(struct part){bytes, 64, true}, 1);
    virtq_kick(&queue);
    check(wait_until(pin_caused, &causes, 10000), name, "no interrupt");
    sleep_ms(60); /* a line that stays asserted would interrupt again */
    check(pin_interrupts - interrupts <= 2, name, "%u interrupts", pin_interrupts - interrupts);
}

/* Without MSI-X: the pin, level-triggered, until the ISR status is read (virtio 4.1.5.3). */
static void by_pin(void)
{
    uint64_t config = pci_config(rng_slot);
    uint64_t msix = config + pci_capability(rng_slot, CAP_MSIX, 0);
    void (*hook)(unsigned) = interrupt_hook;
    unsigned pin = 16 + rng_slot % 4;
    uint8_t *bytes = allocate(64, 16);
    uint32_t causes, interrupts;

    isr_status =
        pci_bar(rng_slot) + mmio_read32(config + pci_capability(rng_slot, CAP_VENDOR, 3) + 8);
    pin_vector = VECTOR_PINS + pin;
    interrupt_hook = on_pin;
    interrupts_level(pin);
    mmio_write16(msix + 2, 0);
    request_by_pin("an interrupt by pin");
    request_by_pin("another");
    mmio_write16(config + COMMAND, COMMAND_ON | 0x400); /* 6.2.2: Interrupt Disable */
    causes = pin_causes;
    interrupts = pin_interrupts;
    virtq_add(&queue, &(struct part){bytes, 64, true}, 1);
    virtq_kick(&queue);
    sleep_ms(100);
    check(pin_interrupts == interrupts, "the pin disabled", "an interrupt");
    check(mmio_read16(config + 6) & 8, "interrupt status", "not set");
    mmio_write16(config + COMMAND, COMMAND_ON);
    check(wait_until(pin_caused, &causes, 10000), "the pin enabled", "no interrupt");
    check(!(mmio_read16(config + 6) & 8), "interrupt status afterwards", "set");
    interrupt_hook = hook;
    follow_bar();
    check(works(), "messages after the pin", "none");
}

/* 4.1.4.9: the device's registers without its BAR. */
static void access_window(void)
{
    uint64_t config = pci_config(rng_slot);
    unsigned at = pci_capability(rng_slot, CAP_VENDOR, 5);

    mmio_write8(config + at + 4, 0);
    mmio_write32(config + at + 8, 18); /* number of queues */
    mmio_write32(config + at + 12, 2);
    check(mmio_read16(config + at + 16) == 1, "queues through the window", "%u",
          mmio_read16(config + at + 16));
    mmio_write32(config + at + 8, 20); /* status: reset */
    mmio_write32(config + at + 12, 1);
    mmio_write8(config + at + 16, 0);
    check(virtio_read(rng, REG_STATUS) == 0, "reset through the window", "0x%x",
          virtio_read(rng, REG_STATUS));
    for (uint32_t offset = 0; offset < 0x9000; offset += 0x333) {
        mmio_write32(config + at + 8, offset);
        mmio_write32(config + at + 12, offset & 7);
        (void)mmio_read32(config + at + 16);
        mmio_write32(config + at + 12, NONE);
        mmio_write32(config + at + 16, NONE);
    }
    check(works(), "the device after the window's misuse", "is dead");
}

void guest_main(void)
{
    interrupts_init();
    if (!pci_present())
        give_up("pci", "no bus");
    virtio_scan();
    rng = virtio_find(VIRTIO_RNG, 0);
    rng_slot = slot_of(VIRTIO_RNG);
    disk_slot = slot_of(VIRTIO_BLK);
    if (!rng || !rng_slot)
        give_up("rng", "none");
    check(acpi_table("MCFG") && get64(acpi_table("MCFG") + 44) == PCI_ECAM, "MCFG", "none");
    check(works(), "entropy", "none");
    enumerate();
    size_bar();
    move_bar();
    overlap();
    write_config();
    write_table();
    mask();
    master();
    by_pin();
    access_window();
}
