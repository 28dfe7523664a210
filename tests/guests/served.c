// SPDX-License-Identifier: Apache-2.0
/*
 * A guest for the control socket: says what it finds (disks with the first letter on each, network
 * interfaces, the socket device, the bus, the command line), then lives. It says "tick N" ten times
 * a second while option tick is there, tells of a disk that changed, and on Ctrl-Alt-Del resets as
 * a PC does.
 */
#include "lib/pci.h"
#include "lib/virtio.h"

#define F_BLK_RO  (1ull << 5)
#define F_NET_MTU (1ull << 3)
#define F_NET_MAC (1ull << 5)

#define VIRTIO_VSOCK 19
#define DISKS_MAX    8u

#define I8042_DATA      0x60
#define I8042_STATUS    0x64
#define STATUS_FULL     0x01
#define CMD_RESET       0xfe
/* Delete, as the keyboard says it and as the controller translates it. */
#define KEY_DELETE_SET2 0x71
#define KEY_DELETE_SET1 0x53

struct disk {
    struct virtio *device;
    struct virtqueue queue;
    uint64_t sectors;
    char letter;
};

static struct disk disks[DISKS_MAX];
static unsigned disk_count;
static uint8_t *sector;

/* Reads until both halves belong together (virtio 1.2, 2.5.1). */
static uint64_t config64(const struct virtio *device)
{
    uint32_t before, low, high;

    do {
        before = virtio_read(device, REG_CONFIG_GENERATION);
        low = virtio_read(device, REG_CONFIG);
        high = virtio_read(device, REG_CONFIG + 4);
    } while (virtio_read(device, REG_CONFIG_GENERATION) != before);
    return (uint64_t)high << 32 | low;
}

static char read_letter(struct disk *disk)
{
    static const struct {
        uint32_t type, reserved;
        uint64_t sector;
    } header;
    uint8_t status = 0xff;
    uint32_t written;
    const struct part parts[] = {
        {&header, sizeof(header), false}, {sector, 512, true}, {&status, 1, true}};

    if (!virtq_request(&disk->queue, parts, COUNT(parts), &written) || status != 0)
        return '!';
    return sector[0] > ' ' && sector[0] < 0x7f ? (char)sector[0] : '?';
}

static void find_disks(void)
{
    for (disk_count = 0; disk_count < DISKS_MAX; disk_count++) {
        struct disk *disk = &disks[disk_count];

        disk->device = virtio_find(VIRTIO_BLK, disk_count);
        if (!disk->device)
            break;
        if (!virtio_negotiate(disk->device, F_BLK_RO) ||
            !virtq_init(&disk->queue, disk->device, 0, 0) || !virtio_start(disk->device))
            give_up("disk", "number %u cannot be used", disk_count);
        disk->sectors = config64(disk->device);
        disk->letter = read_letter(disk);
        say("disk %u: %U sectors, %s, %c", disk_count, disk->sectors,
            disk->device->accepted & F_BLK_RO ? "ro" : "rw", disk->letter);
    }
}

static void find_others(void)
{
    struct virtio *device;

    for (unsigned n = 0; (device = virtio_find(VIRTIO_NET, n)); n++) {
        uint64_t offered = virtio_offered(device);
        uint8_t mac[6];

        for (unsigned i = 0; i < sizeof(mac); i++)
            mac[i] = mmio_read8(device->base + REG_CONFIG + i);
        say("net %u: mac %x:%x:%x:%x:%x:%x, mtu %u", n, mac[0], mac[1], mac[2], mac[3], mac[4],
            mac[5], offered & F_NET_MTU ? mmio_read16(device->base + REG_CONFIG + 10) : 0);
    }
    device = virtio_find(VIRTIO_VSOCK, 0);
    if (device)
        say("vsock: cid %U", config64(device));
    if (virtio_find(VIRTIO_RNG, 0))
        say("rng");
    say("bus: %s", pci_present() ? "PCI" : "virtio-mmio");
    say("command line: %s", command_line());
}

static void look_at_disks(void)
{
    for (unsigned i = 0; i < disk_count; i++) {
        struct disk *disk = &disks[i];
        uint64_t sectors = config64(disk->device);
        bool told = disk->device->causes & 2;
        char letter;

        if (!told)
            continue;
        disk->device->causes &= ~2u;
        letter = read_letter(disk);
        say("disk %u is now: %U sectors, %c", i, sectors, letter);
        disk->sectors = sectors;
        disk->letter = letter;
    }
}

static void look_at_keys(void)
{
    while (in8(I8042_STATUS) & STATUS_FULL) {
        uint8_t code = in8(I8042_DATA);

        if (code == KEY_DELETE_SET1 || code == KEY_DELETE_SET2) {
            say("ctrl-alt-del");
            out8(I8042_STATUS, CMD_RESET);
        }
    }
}

void guest_main(void)
{
    bool ticks;

    interrupts_init();
    virtio_scan();
    sector = allocate(512, 512);
    find_disks();
    find_others();
    out8(0xf5, 1);
    say("ready");
    ticks = option("tick") != NULL;
    for (unsigned n = 0;; n++) {
        if (ticks && n % 5 == 0)
            say("tick %u", n / 5);
        look_at_disks();
        look_at_keys();
        sleep_ms(20);
    }
}
