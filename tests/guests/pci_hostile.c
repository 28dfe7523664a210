// SPDX-License-Identifier: Apache-2.0
/*
 * A guest that breaks every rule of PCI and virtio-pci, on a bus with a disk and the entropy
 * device: configuration space of every slot by both ways, BARs in motion, messages that go nowhere,
 * registers by accesses of every size and alignment, and a second processor that does all that
 * while the first one works. After each attack both devices must still be found and work.
 */
#include "lib/pci.h"

#define COMMAND        0x04u
#define COMMAND_MEMORY 2u
#define BAR0           0x10u
#define CAP_MSIX       0x11u
#define MSIX_ON        0x8000u
#define MSIX_MASKED    0x4000u
#define NONE           UINT32_MAX
#define LOW_WINDOW     0xe0000000ull
#define HIGH_WINDOW    (1ull << 32)
#define REQUEST_BYTES  64u
#define CONFIG_BYTES   256u
#define ROUNDS         100u

/* One function, and how it was before anything was done to it. */
struct function {
    unsigned slot, number;
    uint64_t bar;
    uint64_t msix, table; /* the capability in configuration space; the table's offset */
    uint8_t saved[CONFIG_BYTES];
    struct virtio *device;
    struct virtqueue queue;
};

static struct function functions[2];
static uint8_t *page;

static void look(struct function *f, uint32_t virtio_id)
{
    f->device = virtio_find(virtio_id, 0);
    for (f->slot = 1; f->slot < PCI_DEVICES; f->slot++) {
        if (mmio_read32(pci_config(f->slot)) == (0x1af4u | (0x1040 + virtio_id) << 16))
            break;
        f->number += (mmio_read32(pci_config(f->slot)) & 0xffff) == 0x1af4u;
    }
    if (!f->device || f->slot == PCI_DEVICES)
        give_up("device", "there is none of type %u", virtio_id);
    f->bar = pci_bar(f->slot);
    f->msix = pci_config(f->slot) + pci_capability(f->slot, CAP_MSIX, 0);
    f->table = mmio_read32(f->msix + 4) & ~7u;
    for (unsigned i = 0; i < CONFIG_BYTES; i++)
        f->saved[i] = mmio_read8(pci_config(f->slot) + i);
}

/* What firmware and a driver's start would set again. */
static void restore(struct function *f)
{
    uint64_t config = pci_config(f->slot);

    mmio_write16(config + COMMAND, 0);
    for (unsigned i = 0x0c; i < CONFIG_BYTES; i++)
        mmio_write8(config + i, f->saved[i]);
    pci_set_bar(f->slot, f->bar);
    mmio_write16(config + COMMAND, COMMAND_MEMORY);
}

static bool request(struct function *f)
{
    static const struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    const struct part entropy[] = {{page, REQUEST_BYTES, true}};
    const struct part read[] = {
        {&header, sizeof(header), false}, {page, 512, true}, {page + 512, 1, true}};
    uint32_t written = 0;

    page[512] = 0xff;
    if (f->device->id == VIRTIO_BLK)
        return virtq_request(&f->queue, read, COUNT(read), &written) && page[512] == 0;
    return virtq_request(&f->queue, entropy, COUNT(entropy), &written) && written == REQUEST_BYTES;
}

static bool set_up(struct function *f)
{
    uint32_t id = f->device->id;

    if (!virtio_pci_probe(f->slot, f->number, f->device) || f->device->id != id ||
        !virtio_negotiate(f->device, 0))
        return false;
    if (f->queue.size)
        virtq_restart(&f->queue);
    else if (!virtq_init(&f->queue, f->device, 0, 0))
        return false;
    return virtio_start(f->device);
}

static bool interrupted(void *arg)
{
    const struct function *f = arg;

    return f->device->interrupts != 0;
}

static bool works(struct function *f)
{
    restore(f);
    if (!set_up(f))
        return false;
    f->device->interrupts = 0;
    return request(f) && wait_until(interrupted, f, 10000);
}

static void all_work(const char *after)
{
    for (unsigned i = 0; i < COUNT(functions); i++)
        restore(&functions[i]); /* apart first */
    for (unsigned i = 0; i < COUNT(functions); i++)
        check(works(&functions[i]), after, "the device in slot %u is dead", functions[i].slot);
}

/* ---- configuration space, by ECAM and by ports ---- */

static void write_config(unsigned slot, unsigned offset)
{
    uint64_t at = pci_config(slot) + offset;

    mmio_write8(at, 0xff);
    mmio_write16(at, 0xffff);
    mmio_write32(at, NONE);
    mmio_write64(at, UINT64_MAX);
    mmio_read8(at);
    mmio_read16(at);
    mmio_read32(at);
    mmio_read64(at);
    pci_select(slot, offset);
    out8((uint16_t)(0xcfc + (offset & 3)), 0xa5);
    out16((uint16_t)(0xcfc + (offset & 3)), 0x5a5a);
    out32((uint16_t)(0xcfc + (offset & 3)), 0xa5a5a5a5);
    in8((uint16_t)(0xcfc + (offset & 3)));
    in16((uint16_t)(0xcfc + (offset & 3)));
    in32((uint16_t)(0xcfc + (offset & 3)));
}

static void attack_configuration(void)
{
    uint32_t bridge = mmio_read32(pci_config(0));
    unsigned appeared = 0;

    for (unsigned slot = 0; slot < PCI_DEVICES; slot++) {
        bool there = mmio_read32(pci_config(slot)) != NONE;

        for (unsigned offset = 0; offset < (there ? CONFIG_BYTES : 8); offset++)
            write_config(slot, offset);
        appeared += !there && mmio_read32(pci_config(slot)) != NONE;
    }
    check(appeared == 0 && mmio_read32(pci_config(0)) == bridge, "writes to every slot",
          "%u functions appeared", appeared);
    /* The other functions, and other buses. */
    for (uint32_t address = 0x80000000u; address >= 0x80000000u; address += 0x01010101u) {
        out32(0xcf8, address);
        out32(0xcfc, NONE);
        in32(0xcfc);
        if (address > 0xfe000000u)
            break;
    }
    for (unsigned port = 0xcf8; port < 0xd00; port++) {
        out8((uint16_t)port, 0xff);
        out16((uint16_t)port, 0xffff);
        out32((uint16_t)port, NONE);
    }
    all_work("after writes to all configuration space");
}

/* ---- BARs ---- */

static void attack_bars(void)
{
    struct function *a = &functions[0], *b = &functions[1];
    uint64_t config = pci_config(a->slot);

    for (unsigned i = 0; i < ROUNDS; i++) {
        /* Sized by halves, in any order, while the doorbell rings. */
        mmio_write32(config + BAR0 + 4 * (i & 1), NONE);
        virtio_write(a->device, REG_NOTIFY, 0);
        mmio_write32(config + BAR0 + 4 * (~i & 1), NONE);
        mmio_write32(config + BAR0 + (i & 1 ? 1 : 2), i * 0x01010101u);
        mmio_write8(config + BAR0 + i % 8, (uint8_t)i);
        pci_set_bar(a->slot, b->bar + (i % 5) * 0x1000);
        mmio_read32(b->bar + i * 4);
        virtio_write(b->device, REG_NOTIFY, 0);
        pci_set_bar(a->slot, i & 1 ? HIGH_WINDOW * i : LOW_WINDOW + i * 0x200000ull);
        mmio_write16(config + COMMAND, (uint16_t)(i & 7));
    }
    all_work("after BARs that wander");
    /* Each at the other's place. */
    pci_set_bar(a->slot, b->bar);
    pci_set_bar(b->slot, a->bar);
    mmio_write16(config + COMMAND, COMMAND_MEMORY);
    mmio_write16(pci_config(b->slot) + COMMAND, COMMAND_MEMORY);
    check(set_up(a) && request(a) && set_up(b) && request(b), "BARs that change places",
          "one is dead");
    all_work("after BARs that changed places");
}

/* ---- MSI-X ---- */

/* Requests whose interrupts go where nobody is; the vectors are none of the exceptions. */
static void attack_messages(struct function *f)
{
    static const uint64_t addresses[] = {0,
                                         0x1000,
                                         0xfee00000,
                                         0xfeeff000,
                                         0xfee00004,
                                         0xfee0000c,
                                         0xfedffffc,
                                         0xfef00000,
                                         0xffffffff,
                                         1ull << 32,
                                         0xfee00000fee00000,
                                         UINT64_MAX,
                                         0xfec00000,
                                         0x1234567812345678};
    static const uint32_t data[] = {0x3f, 0x803f, 0xc03f, 0xffff003f, 0x13f};
    uint64_t table;

    if (!check(set_up(f), "before messages to nowhere", "slot %u is dead", f->slot))
        return;
    table = f->bar + f->table;
    for (unsigned i = 0; i < COUNT(addresses) * COUNT(data); i++) {
        for (unsigned vector = 0; vector < 2; vector++) {
            mmio_write64(table + 16 * vector, addresses[i % COUNT(addresses)]);
            mmio_write32(table + 16 * vector + 8, data[i % COUNT(data)]);
            mmio_write32(table + 16 * vector + 12, 0);
        }
        check(request(f), "a request whose message goes nowhere", "slot %u: number %u", f->slot, i);
    }
}

static void attack_table(struct function *f)
{
    uint64_t table = f->bar + f->table;

    restore(f);
    mmio_write16(f->msix + 2, MSIX_ON);
    /* A page beyond the table and the pending bits, to the BAR's end and over it. */
    for (unsigned at = 0; at < 0x80; at++) {
        for (unsigned place = 0; place < 0x4000; place += 0x800) {
            mmio_write8(table + place + at, 0xff);
            mmio_write16(table + place + at, 0xffff);
            if (at % 16 < 8) { /* a route that is changed takes KVM long */
                mmio_write32(table + place + at, NONE);
                mmio_write64(table + place + at, UINT64_MAX);
            }
            mmio_read8(table + place + at);
            mmio_read16(table + place + at);
            mmio_read32(table + place + at);
            mmio_read64(table + place + at);
        }
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        mmio_write16(f->msix + 2, (uint16_t)(i << 12));
        mmio_write8(f->msix + 3, (uint8_t)(i << 4));
        mmio_write32(f->msix, NONE);
    }
}

static void attack_msix(void)
{
    for (unsigned i = 0; i < COUNT(functions); i++) {
        attack_table(&functions[i]);
        restore(&functions[i]);
        attack_messages(&functions[i]);
    }
    all_work("after MSI-X tables written in every way");
}

/* ---- virtio-pci's registers ---- */

static void attack_structures(struct function *f)
{
    static const uint32_t regions[] = {0, 0x1000, 0x2000, 0x3000, 0x7f00};

    restore(f);
    for (unsigned r = 0; r < COUNT(regions); r++) {
        for (unsigned at = 0; at < 0x100; at++) {
            uint64_t address = f->bar + regions[r] + at;

            mmio_read8(address);
            mmio_read16(address);
            mmio_read32(address);
            mmio_read64(address);
            mmio_write64(address, UINT64_MAX);
            mmio_write32(address, at * 0x01010101u);
            mmio_write16(address, (uint16_t)(at * 7));
            mmio_write8(address, (uint8_t)at);
        }
    }
    check(works(f), "after registers by every access", "slot %u is dead", f->slot);
    /* Queues and vectors that do not exist. */
    for (unsigned i = 0; i < ROUNDS; i++) {
        mmio_write16(f->device->common + 22, (uint16_t)(i * 677));
        mmio_write16(f->device->common + 24, (uint16_t)(i * 331));
        mmio_write16(f->device->common + 26, (uint16_t)(i * 7919));
        mmio_write16(f->device->common + 28, (uint16_t)i);
        mmio_write16(f->device->common + 16, (uint16_t)(i * 131));
        mmio_write16(f->device->notify + 4 * (i % 64), (uint16_t)(i * 31));
    }
    check(works(f), "after queues and vectors that are not there", "slot %u is dead", f->slot);
}

/* ---- a second processor that does it while the first one works ---- */

static volatile bool racing;
static volatile uint32_t laps;

void ap_main(uint32_t number);

void ap_main(uint32_t number)
{
    struct function *f = &functions[0];
    uint64_t config = pci_config(f->slot), table = f->bar + f->table;

    interrupts_init_ap();
    for (uint32_t i = 0;; i++) {
        if (!racing) {
            __asm__ volatile("pause");
            continue;
        }
        switch (i % 6) {
        case 0:
            mmio_write32(config + BAR0, NONE);
            break;
        case 1:
            pci_set_bar(f->slot, functions[1].bar);
            break;
        case 2:
            mmio_write16(config + COMMAND, (uint16_t)(i & COMMAND_MEMORY));
            break;
        case 3:
            mmio_write16(f->msix + 2, (uint16_t)(i & 8 ? MSIX_ON : MSIX_MASKED));
            break;
        case 4:
            pci_set_bar(f->slot, f->bar);
            mmio_write16(config + COMMAND, COMMAND_MEMORY);
            break;
        default:
            mmio_write32(table + 16 * (i & 1) + 12, i >> 3 & 1);
            break;
        }
        laps = i;
    }
}

static void attack_by_race(void)
{
    uint32_t before;

    memcpy((void *)0x8000, ap_start, (size_t)(ap_start_end - ap_start));
    apic_send(1, 0x4500);
    sleep_ms(20);
    apic_send(1, 0x4608);
    all_work("before the race");
    before = laps;
    racing = true;
    for (unsigned i = 0; i < 20 * ROUNDS; i++) {
        const struct function *f = &functions[i & 1];

        /* Nothing is waited for: the registers may be gone at any moment. */
        virtio_write(f->device, REG_NOTIFY, 0);
        virtio_write(f->device, REG_STATUS, i & 4 ? 0 : 0xf);
        mmio_read32(f->bar + (i & 0xff) * 4);
        mmio_write32(f->bar + f->table + (i & 7) * 4, i);
        mmio_read32(pci_config(f->slot) + (i & 0x3f) * 4);
    }
    racing = false;
    sleep_ms(40);
    check(laps != before, "the race", "the other processor did nothing");
    all_work("after the race");
}

void guest_main(void)
{
    interrupts_init();
    if (!pci_present())
        give_up("pci", "no bus");
    virtio_scan();
    page = allocate(4096, 4096);
    look(&functions[0], VIRTIO_RNG);
    look(&functions[1], VIRTIO_BLK);
    all_work("to begin with");
    attack_configuration();
    attack_bars();
    attack_msix();
    for (unsigned i = 0; i < COUNT(functions); i++)
        attack_structures(&functions[i]);
    if (option_number("cpus", 1) > 1)
        attack_by_race();
}
