// SPDX-License-Identifier: Apache-2.0
/*
 * The hot-plug registers under any accesses, with a host that plugs and asks in between. What the
 * host said last is read once at most, and only an aligned word ejects.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "devices/pci/hotplug.h"
#include "tests/harness/hostile_driver.h"
#include "vmm/bus.h"

#define MAX_STEPS 512u
#define DEVICES   32u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct target {
    struct virtio_surroundings s;
    struct pci_hotplug *hotplug;
    uint32_t added, wanted; /* said and not read */
    uint32_t ejected;       /* by the access that is made now */
    unsigned notified;
};

static void need(bool good)
{
    if (!good)
        abort();
}

static void notify(void *arg)
{
    ((struct target *)arg)->notified++;
}

static void eject(void *arg, unsigned number)
{
    struct target *t = arg;

    need(number < DEVICES);
    t->ejected |= 1u << number;
    t->added &= ~(1u << number);
    t->wanted &= ~(1u << number);
    pci_hotplug_gone(t->hotplug, number);
}

static void read_register(struct target *t, uint64_t offset, unsigned size)
{
    uint8_t bytes[8];
    uint32_t value;

    bus_read(t->s.ports, PCI_HOTPLUG_PORT + offset, bytes, size);
    value = (uint32_t)get_le_sized(bytes, size);
    if (size == 4 && offset == PCI_HOTPLUG_ADDED) {
        need(value == t->added);
        t->added = 0;
    } else if (size == 4 && offset == PCI_HOTPLUG_WANTED) {
        need(value == t->wanted);
        t->wanted = 0;
    } else if (size == 4 && offset == PCI_HOTPLUG_EJECT) {
        need(value == 0);
    } else {
        need(value == UINT32_MAX >> (32 - 8 * size));
    }
}

static void write_register(struct target *t, uint64_t offset, unsigned size, uint32_t value)
{
    uint8_t bytes[8];

    put_le_sized(bytes, size, value);
    t->ejected = 0;
    bus_write(t->s.ports, PCI_HOTPLUG_PORT + offset, bytes, size);
    need(t->ejected == (size == 4 && offset == PCI_HOTPLUG_EJECT ? value : 0));
}

static void step(struct target *t, struct fuzz_input *in)
{
    unsigned kind = (unsigned)fuzz_take(in, 1) % 4, number = (unsigned)fuzz_take(in, 1) % DEVICES;
    uint64_t offset = fuzz_take(in, 1) % (PCI_HOTPLUG_PORTS + 4);
    unsigned size = 1u << fuzz_take(in, 1) % 3;

    if (kind == 0) {
        pci_hotplug_added(t->hotplug, number);
        t->added |= 1u << number;
    } else if (kind == 1) {
        pci_hotplug_want(t->hotplug, number);
        t->wanted |= 1u << number;
    } else if (kind == 2) {
        read_register(t, offset, size);
    } else {
        write_register(t, offset, size, (uint32_t)fuzz_take(in, 4));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct target t = {0};
    const struct pci_hotplug_sink sink = {.notify = notify, .eject = eject, .arg = &t};

    surroundings_init(&t.s, NULL);
    need(pci_hotplug_create(&t.s.env, &sink, &t.hotplug) == 0);
    for (unsigned i = 0; i < MAX_STEPS && in.left > 0; i++)
        step(&t, &in);
    read_register(&t, PCI_HOTPLUG_ADDED, 4);
    read_register(&t, PCI_HOTPLUG_WANTED, 4);
    device_destroy(pci_hotplug_device(t.hotplug));
    surroundings_release(&t.s);
    return 0;
}
