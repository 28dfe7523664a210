// SPDX-License-Identifier: Apache-2.0
/*
 * Devices that come and go, as the methods of the DSDT and a kernel's drivers would take them up:
 * the event device's interrupt, the hot-plug registers, a driver for what is new, an eject for what
 * is wanted back. Options:
 *
 *     rounds=N   the guest ends when so many devices have gone
 *     deaf=1     the first request for each device is not heard
 *     early=1    devices are ejected that nobody wants back, as soon as they have come
 *     running=1  ejected with the driver in the midst of its work
 *     hostile=1  plays with the registers first
 *
 * A disk that comes holds one letter in its first sector, and gets a z in its second. An NVMe
 * controller of the host's tells its serial number (NVM Express 1.4), for which it writes to
 * memory.
 */
#include "lib/pci.h"

#define EVENT_PIN     9u
#define EVENT_PORT    0x603
#define EVENT_PCI     2u
#define ADDED         0x610
#define WANTED        0x614
#define EJECT         0x618
#define COMMAND       4u
#define NONE          UINT32_MAX
#define SECTOR        512u
#define RNG_DEVICE    0x10441af4u
#define BLK_DEVICE    0x10421af4u
#define NET_DEVICE    0x10411af4u
#define WAIT_MS       60000u
#define IN_FLIGHT     16u
#define T_OUT         1u
#define DEVICE_BIT(n) (1u << (n))

#define CLASS_NVME    0x010802u     /* 2.1.5 */
#define NVME_BAR      0xe8000000ull /* in the window of BARs */
#define NVME_BAR_SIZE 0x100000u
#define NVME_ENTRIES  2u
#define COMMAND_ON    6u /* memory decoding, bus mastering */

/* 3.1; the doorbell of the administration queue is the first. */
enum { NVME_CC = 0x14, NVME_CSTS = 0x1c, NVME_AQA = 0x24, NVME_ASQ = 0x28, NVME_ACQ = 0x30 };
enum { NVME_DOORBELL = 0x1000 };

struct header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

static volatile uint32_t events;
static unsigned gone;
static uint32_t deaf_to; /* devices whose first request is still to come */
static struct virtio devices[PCI_DEVICES];

static void on_interrupt(unsigned vector)
{
    if (vector == VECTOR_PINS + EVENT_PIN)
        events |= in8(EVENT_PORT);
}

static bool happened(void *arg)
{
    return events != 0;
}

static uint32_t id_of(unsigned slot)
{
    return mmio_read32(pci_config(slot));
}

static uint8_t transfer(struct virtqueue *queue, uint32_t type, uint64_t sector, uint8_t *data)
{
    struct header header = {.type = type, .sector = sector};
    uint8_t status = 0xff;
    const struct part parts[] = {
        {&header, sizeof(header), false}, {data, SECTOR, type != T_OUT}, {&status, 1, true}};
    uint32_t written;

    return virtq_request(queue, parts, COUNT(parts), &written) ? status : 0xff;
}

/* Requests that nobody waits for. */
static void keep_busy(struct virtqueue *queue)
{
    struct header *header = allocate(sizeof(*header), 16);
    uint8_t *data = allocate(SECTOR + 1, SECTOR);
    const struct part parts[] = {
        {header, sizeof(*header), false}, {data, SECTOR, true}, {data + SECTOR, 1, true}};

    for (unsigned i = 0; i < IN_FLIGHT; i++)
        virtq_add(queue, parts, COUNT(parts));
    virtq_kick(queue);
}

static void use_disk(unsigned slot, struct virtio *disk)
{
    struct virtqueue queue;
    uint8_t *data = allocate(SECTOR, SECTOR);

    if (!virtio_negotiate(disk, 0) || !virtq_init(&queue, disk, 0, 0) || !virtio_start(disk))
        give_up("disk", "in slot %u: cannot be used", slot);
    check(transfer(&queue, 0, 0, data) == 0, "read", "failed");
    say("disk %u holds %c", slot, data[0]);
    memset(data, 'z', SECTOR);
    check(transfer(&queue, T_OUT, 1, data) == 0, "write", "failed");
    if (option("running"))
        keep_busy(&queue);
}

static void use_net(unsigned slot, struct virtio *net)
{
    struct virtqueue queue;

    if (!virtio_negotiate(net, 0) || !virtq_init(&queue, net, 0, 0) || !virtio_start(net))
        give_up("net", "in slot %u: cannot be used", slot);
    say("net %u", slot);
}

/* ---- NVMe ---- */

static bool is_nvme(unsigned slot)
{
    return mmio_read32(pci_config(slot) + 8) >> 8 == CLASS_NVME;
}

static bool nvme_is_on(void *arg)
{
    return mmio_read32(*(uint64_t *)arg + NVME_CSTS) & 1;
}

static bool nvme_has_answered(void *arg)
{
    return *(volatile uint32_t *)arg & 1u << 16; /* the phase of the first entry, 4.6 */
}

static void set_address(uint64_t at, const void *to)
{
    mmio_write32(at, (uint32_t)(uintptr_t)to);
    mmio_write32(at + 4, (uint32_t)((uintptr_t)to >> 32));
}

/* 7.6.1 as far as the administration queue, and an Identify (5.15) of the controller. */
static void use_nvme(unsigned slot)
{
    uint64_t registers = NVME_BAR + slot * NVME_BAR_SIZE;
    uint32_t *commands = allocate(4096, 4096), *answers = allocate(4096, 4096);
    char *data = allocate(4096, 4096);

    pci_set_bar(slot, registers);
    mmio_write16(pci_config(slot) + COMMAND, COMMAND_ON);
    mmio_write32(registers + NVME_AQA, (NVME_ENTRIES - 1) << 16 | (NVME_ENTRIES - 1));
    set_address(registers + NVME_ASQ, commands);
    set_address(registers + NVME_ACQ, answers);
    answers[3] = 0;
    mmio_write32(registers + NVME_CC, 4u << 20 | 6u << 16 | 1); /* entries of 16 and 64 bytes */
    if (!wait_until(nvme_is_on, &registers, 10000))
        give_up("nvme", "status 0x%x", mmio_read32(registers + NVME_CSTS));
    for (unsigned i = 0; i < 16; i++)
        commands[i] = 0;
    commands[0] = 6; /* Identify */
    commands[6] = (uint32_t)(uintptr_t)data;
    commands[7] = (uint32_t)((uintptr_t)data >> 32);
    commands[10] = 1; /* the controller */
    mmio_write32(registers + NVME_DOORBELL, 1);
    if (!wait_until(nvme_has_answered, &answers[3], 10000))
        give_up("nvme", "no answer");
    check(answers[3] >> 17 == 0, "identify", "status 0x%x", answers[3]);
    data[15] = '\0';
    say("nvme %u is %s", slot, data + 4);
}

static void eject(unsigned slot)
{
    out32(EJECT, DEVICE_BIT(slot)); /* and the next one may be there already */
    say("ejected %u", slot);
    gone++;
}

static void take_up(unsigned slot)
{
    uint64_t config = pci_config(slot);
    size_t mark = allocation_mark();

    if (id_of(slot) == NONE) {
        say("slot %u is empty again", slot);
        return;
    }
    check(mmio_read16(config + COMMAND) == 0, "a new device decodes nothing", "command 0x%x",
          mmio_read16(config + COMMAND));
    if (!is_nvme(slot) && !virtio_pci_probe(slot, slot, &devices[slot]))
        give_up("probe", "slot %u: 0x%x", slot, id_of(slot));
    if (is_nvme(slot))
        use_nvme(slot);
    else if (id_of(slot) == BLK_DEVICE)
        use_disk(slot, &devices[slot]);
    else
        use_net(slot, &devices[slot]);
    allocation_release(mark); /* the next eject or reset comes before anything else uses it */
    if (option("early"))
        eject(slot);
    else if (option("deaf"))
        deaf_to |= DEVICE_BIT(slot);
}

static void let_go(unsigned slot)
{
    if (deaf_to & DEVICE_BIT(slot)) {
        deaf_to &= ~DEVICE_BIT(slot);
        say("deaf to %u", slot);
        return;
    }
    if (!option("running") && !is_nvme(slot))
        virtio_reset(&devices[slot]);
    eject(slot);
}

static void serve(void)
{
    uint32_t added, wanted;

    events = 0;
    added = in32(ADDED);
    wanted = in32(WANTED);
    for (unsigned slot = 0; slot < PCI_DEVICES; slot++) {
        if (added & DEVICE_BIT(slot))
            take_up(slot);
    }
    for (unsigned slot = 0; slot < PCI_DEVICES; slot++) {
        if (wanted & DEVICE_BIT(slot))
            let_go(slot);
    }
}

/* Every register by every size, and ejects of what is not there or is to stay. */
static void misuse(void)
{
    unsigned rng = 0;

    while (rng < PCI_DEVICES && id_of(rng) != RNG_DEVICE)
        rng++;
    for (uint16_t port = ADDED; port < ADDED + 12; port++) {
        out8(port, 0xff);
        out16(port, 0xffff);
        (void)in8(port);
        (void)in16(port);
        if (port != EJECT)
            out32(port, NONE);
    }
    check(in8(ADDED) == 0xff && in16(WANTED) == 0xffff, "narrow reads", "give something");
    check(in32(ADDED) == 0 && in32(WANTED) == 0 && in32(EJECT) == 0, "registers", "not 0");
    out32(EJECT, ~DEVICE_BIT(1)); /* all but the disk from the start */
    check(id_of(0) != NONE, "the bridge", "is gone");
    check(rng < PCI_DEVICES && id_of(rng) == RNG_DEVICE, "the entropy device", "is gone");
    check(id_of(1) == BLK_DEVICE, "the disk", "is gone");
    for (unsigned i = 0; i < 1000; i++)
        out32(EJECT, DEVICE_BIT(31));
    out32(EJECT, NONE); /* nobody wants it back; it goes all the same */
    check(id_of(1) == NONE, "the disk after its eject", "is there");
    check(id_of(rng) == RNG_DEVICE, "the entropy device still", "is gone");
}

void guest_main(void)
{
    unsigned rounds = option_number("rounds", 1);

    interrupts_init();
    interrupts_level(EVENT_PIN);
    interrupt_hook = on_interrupt;
    if (!pci_present())
        give_up("pci", "no bus");
    if (option("hostile"))
        misuse();
    out8(0xf5, 1);
    while (gone < rounds) {
        if (!wait_until(happened, NULL, WAIT_MS))
            give_up("event", "none");
        if (events & EVENT_PCI)
            serve();
    }
}
