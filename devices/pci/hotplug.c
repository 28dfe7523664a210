// SPDX-License-Identifier: Apache-2.0
/* The hot-plug registers of the PCI bus: see hotplug.h. The state is two atomics. */
#include "devices/pci/hotplug.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "vmm/bus.h"

#define DEVICES 32u

struct pci_hotplug {
    struct device device;
    struct bus *ports;
    struct pci_hotplug_sink sink;
    atomic_uint added, wanted;
};

static void hotplug_read(void *arg, uint64_t offset, void *data, unsigned size)
{
    struct pci_hotplug *hotplug = arg;

    if (size != 4)
        return;
    if (offset == PCI_HOTPLUG_ADDED)
        put_le32(data, atomic_exchange(&hotplug->added, 0));
    else if (offset == PCI_HOTPLUG_WANTED)
        put_le32(data, atomic_exchange(&hotplug->wanted, 0));
    else if (offset == PCI_HOTPLUG_EJECT)
        put_le32(data, 0);
}

static void hotplug_write(void *arg, uint64_t offset, const void *data, unsigned size)
{
    struct pci_hotplug *hotplug = arg;
    uint32_t numbers;

    if (size != 4 || offset != PCI_HOTPLUG_EJECT)
        return;
    numbers = get_le32(data);
    for (unsigned number = 0; number < DEVICES; number++) {
        if (numbers >> number & 1)
            hotplug->sink.eject(hotplug->sink.arg, number);
    }
}

static const struct bus_ops hotplug_bus_ops = {.read = hotplug_read, .write = hotplug_write};

void pci_hotplug_added(struct pci_hotplug *hotplug, unsigned number)
{
    atomic_fetch_or(&hotplug->added, 1u << number);
    hotplug->sink.notify(hotplug->sink.arg);
}

void pci_hotplug_want(struct pci_hotplug *hotplug, unsigned number)
{
    atomic_fetch_or(&hotplug->wanted, 1u << number);
    hotplug->sink.notify(hotplug->sink.arg);
}

void pci_hotplug_gone(struct pci_hotplug *hotplug, unsigned number)
{
    atomic_fetch_and(&hotplug->added, ~(1u << number));
    atomic_fetch_and(&hotplug->wanted, ~(1u << number));
}

static void hotplug_destroy(struct device *device)
{
    struct pci_hotplug *hotplug = container_of(device, struct pci_hotplug, device);

    bus_detach(hotplug->ports, PCI_HOTPLUG_PORT);
    free(hotplug);
}

static const struct device_ops hotplug_device_ops = {
    .name = "pci-hotplug",
    .destroy = hotplug_destroy,
};

int pci_hotplug_create(const struct device_env *env, const struct pci_hotplug_sink *sink,
                       struct pci_hotplug **out)
{
    struct pci_hotplug *hotplug = calloc(1, sizeof(*hotplug));
    int ret;

    if (!hotplug)
        return -ENOMEM;
    hotplug->device.ops = &hotplug_device_ops;
    hotplug->ports = env->ports;
    hotplug->sink = *sink;
    ret = bus_attach(env->ports, PCI_HOTPLUG_PORT, PCI_HOTPLUG_PORTS, &hotplug_bus_ops, hotplug,
                     "pci-hotplug");
    if (ret) {
        free(hotplug);
        return ret;
    }
    *out = hotplug;
    return 0;
}

struct device *pci_hotplug_device(struct pci_hotplug *hotplug)
{
    return &hotplug->device;
}
