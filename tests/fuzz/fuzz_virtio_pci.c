// SPDX-License-Identifier: Apache-2.0
/*
 * The PCI bus and the virtio-pci transport: accesses of every size in configuration space, by ECAM
 * and by ports, and in the windows of the BARs, by a driver that moves them about. Two functions,
 * so that they can be laid over each other. Afterwards an honest driver must find working devices.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/io.h"
#include "devices/pci/host.h"
#include "devices/virtio/devices.h"
#include "devices/virtio/pci.h"
#include "tests/harness/hostile_driver.h"

#define MAX_STEPS 256u
#define ECAM      0xc0000000u
#define WINDOW    0xe0000000u
#define HIGH      0x100000000ull
#define BYTES     0x40000u
#define DEVICES   2u
#define LINES_MAX 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool condition)
{
    if (!condition)
        abort();
}

struct target {
    struct virtio_surroundings s;
    struct pci_host *host;
    struct device *devices[DEVICES];
    struct ring_driver ring;
    int fds[LINES_MAX];
    unsigned taken;
};

static int take(void *arg, struct irq_line *out)
{
    struct target *t = arg;

    need(t->taken < LINES_MAX);
    t->fds[t->taken] = eventfd_open();
    *out = (struct irq_line){.event_fd = t->fds[t->taken], .gsi = t->taken};
    t->taken++;
    return 0;
}

static void give(void *arg, struct irq_line *line)
{
    line->event_fd = -1;
}

static int route(void *arg, const struct irq_line *line, uint64_t address, uint32_t data)
{
    need(line->gsi < ((struct target *)arg)->taken);
    return 0;
}

static uint64_t get(struct target *t, uint64_t address, unsigned size)
{
    uint8_t bytes[8];

    bus_read(t->s.mmio, address, bytes, size);
    return get_le_sized(bytes, size);
}

static void set(struct target *t, uint64_t address, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    put_le64(bytes, value);
    bus_write(t->s.mmio, address, bytes, size);
}

static uint64_t config_of(unsigned device)
{
    return ECAM + ((device + 1) << 15);
}

static void any_access(struct target *t, struct bus *bus, uint64_t address, struct fuzz_input *in)
{
    uint8_t how = (uint8_t)fuzz_take(in, 1), data[8];
    unsigned size = 1u << (how & 3);

    put_le64(data, fuzz_take(in, size));
    if (how & 4)
        bus_read(bus, address, data, size);
    else
        bus_write(bus, address, data, bus == t->s.ports && size == 8 ? 4 : size);
}

static void step(struct target *t, struct fuzz_input *in)
{
    unsigned device = (unsigned)fuzz_take(in, 1) % DEVICES;
    uint8_t where;

    switch (fuzz_take(in, 1) % 8) {
    case 0: /* somewhere near where BARs may be, of the low window or the high one */
        where = (uint8_t)fuzz_take(in, 1);
        set(t, config_of(device) + PCI_BASE_ADDRESS_0, 4,
            WINDOW - VIRTIO_PCI_BAR_BYTES + where % 16 * VIRTIO_PCI_BAR_BYTES / 2);
        set(t, config_of(device) + PCI_BASE_ADDRESS_1, 4, where >> 7);
        break;
    case 1:
        any_access(t, t->s.ports, PCI_ADDRESS_PORT + fuzz_take(in, 1) % 8, in);
        break;
    case 2:
        event_loop_run_once(t->s.loop, 0);
        break;
    case 3:
        any_access(t, t->s.mmio, ECAM + fuzz_take(in, 3) % PCI_ECAM_BYTES, in);
        break;
    case 4:
    case 5:
        any_access(t, t->s.mmio, config_of(device) + fuzz_take(in, 1), in);
        break;
    default:
        where = (uint8_t)fuzz_take(in, 1);
        any_access(t, t->s.mmio, (where & 1 ? HIGH : 0) + WINDOW + fuzz_take(in, 3) % BYTES, in);
        break;
    }
}

static void open_target(struct target *t)
{
    const struct msi_controller controller = {.take = take, .give = give, .route = route, .arg = t};
    const struct pci_window low = {WINDOW, BYTES}, high = {HIGH + WINDOW, BYTES};
    const struct rate_limit unlimited = {0};

    memset(t, 0, sizeof(*t));
    surroundings_init(&t->s, NULL);
    need(pci_host_create(&t->s.env, ECAM, &low, &high, NULL, &t->host) == 0);
    for (unsigned i = 0; i < DEVICES; i++) {
        struct virtio_device *rng;

        need(virtio_rng_create(&t->s.env, &unlimited, &rng) == 0);
        need(virtio_pci_create(&t->s.env, rng, t->host, &controller, &t->devices[i]) == 0);
        need(virtio_pci_plug(t->devices[i], PCI_NEXT_FREE, true) == 0);
    }
}

/* Firmware's part again, then 3.1.1. */
static void check_works(struct target *t, unsigned device)
{
    uint64_t bar = WINDOW + device * VIRTIO_PCI_BAR_BYTES;
    uint32_t id, len;

    set(t, config_of(device) + PCI_BASE_ADDRESS_0, 4, bar);
    set(t, config_of(device) + PCI_BASE_ADDRESS_1, 4, 0);
    set(t, config_of(device) + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    set(t, bar + VIRTIO_PCI_COMMON_STATUS, 1, 0);
    set(t, bar + VIRTIO_PCI_COMMON_STATUS, 1, 3);
    set(t, bar + VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    set(t, bar + VIRTIO_PCI_COMMON_GF, 4, 0);
    set(t, bar + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    set(t, bar + VIRTIO_PCI_COMMON_GF, 4, 1);
    set(t, bar + VIRTIO_PCI_COMMON_STATUS, 1, 11);
    ring_init(&t->ring, t->s.memory, 0x10000, 8);
    set(t, bar + VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
    set(t, bar + VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
    set(t, bar + VIRTIO_PCI_COMMON_Q_DESCLO, 4, t->ring.desc);
    set(t, bar + VIRTIO_PCI_COMMON_Q_AVAILLO, 4, t->ring.avail);
    set(t, bar + VIRTIO_PCI_COMMON_Q_USEDLO, 4, t->ring.used);
    set(t, bar + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    set(t, bar + VIRTIO_PCI_COMMON_STATUS, 1, 15);
    need(get(t, bar + VIRTIO_PCI_COMMON_STATUS, 1) == 15);
    ring_add(&t->ring, 0, 0x100000, 16, VRING_DESC_F_WRITE);
    set(t, bar + VIRTIO_PCI_BAR_NOTIFY, 2, 0);
    surroundings_settle(&t->s);
    need(ring_used(&t->ring, &id, &len) && id == 0 && len == 16);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct target t;

    open_target(&t);
    for (unsigned i = 0; i < MAX_STEPS && in.left > 0; i++)
        step(&t, &in);
    for (unsigned i = 0; i < DEVICES; i++) { /* apart first */
        set(&t, config_of(i) + PCI_COMMAND, 2, 0);
        set(&t, config_of(i) + PCI_BASE_ADDRESS_1, 4, 0);
    }
    for (unsigned i = 0; i < DEVICES; i++)
        check_works(&t, i);
    for (unsigned i = 0; i < DEVICES; i++)
        device_destroy(t.devices[i]);
    device_destroy(pci_host_device(t.host));
    surroundings_release(&t.s);
    for (unsigned i = 0; i < t.taken; i++)
        close_fd(&t.fds[i]);
    return 0;
}
