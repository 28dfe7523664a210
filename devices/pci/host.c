// SPDX-License-Identifier: Apache-2.0
/*
 * The PCI host bridge: see host.h.
 *
 * The windows are attached to the MMIO bus whole and for good, so that the bus itself never changes
 * while vCPUs run. Which BAR answers at an address inside is looked up here, under map_lock held
 * for reading through the access. It is the slow path: kicks of queues are ioeventfds, and nothing
 * but set-up reads registers.
 *
 * Where a BAR answers follows from configuration space alone, however the guest got there: memory
 * decoding is on, the BAR lies inside one window whole, and no other such BAR overlaps it (of those
 * that overlap, none answers). update_map() works that out anew after each change, takes every BAR
 * that is elsewhere now off first, and then puts it where it belongs, so that two never meet.
 */
#include "devices/pci/host.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "vmm/bus.h"

/* "PCI host bridge" of those that the Red Hat range has for virtual machines. */
#define BRIDGE_VENDOR 0x1b36u
#define BRIDGE_DEVICE 0x0008u
#define BRIDGE_CLASS  0x060000u

#define ADDRESS_ENABLE   (1u << 31)
#define ADDRESS_WRITABLE 0x80fffffcu
#define DATA_PORT_OFFSET 4u

enum { LOW, HIGH, WINDOWS };

struct window {
    struct pci_host *host;
    struct pci_window range;
    uint64_t assigned; /* bytes from its start that pci_host_plug() gave */
    bool attached;
};

struct pci_host {
    struct device device;
    struct device_env env;
    struct pci_function bridge;
    uint64_t ecam;
    bool ecam_attached, ports_attached;
    struct window windows[WINDOWS];

    pthread_mutex_t config_lock; /* configuration space of all functions, and the next two */
    struct pci_function *functions[PCI_DEVICES_MAX];
    uint32_t address; /* of the port */

    pthread_rwlock_t map_lock; /* pci_bar.at of all functions */
};

/* ---- where BARs are ---- */

static bool in_window(const struct window *window, uint64_t base, uint64_t size)
{
    uint64_t offset = base - window->range.base;

    return base >= window->range.base && offset < window->range.size &&
           size <= window->range.size - offset;
}

/* Where the BAR would answer if it were alone. */
static uint64_t wanted_address(const struct pci_host *host, const struct pci_function *function,
                               unsigned bar)
{
    uint64_t size = function->bars[bar].size;
    uint64_t base = pci_function_bar_address(function, bar);

    if (size == 0 || !pci_function_decodes(function))
        return PCI_NOWHERE;
    for (unsigned i = 0; i < WINDOWS; i++) {
        if (in_window(&host->windows[i], base, size))
            return base;
    }
    return PCI_NOWHERE;
}

#define BARS_OF_BUS (PCI_DEVICES_MAX * PCI_BARS)

struct wanted {
    uint64_t at[BARS_OF_BUS];
    uint64_t size[BARS_OF_BUS];
};

static bool overlaps_another(const struct wanted *wanted, unsigned index)
{
    for (unsigned i = 0; i < BARS_OF_BUS; i++) {
        /* Neither wraps: both lie inside a window. */
        if (i != index && wanted->at[i] != PCI_NOWHERE &&
            wanted->at[i] < wanted->at[index] + wanted->size[index] &&
            wanted->at[index] < wanted->at[i] + wanted->size[i])
            return true;
    }
    return false;
}

static void move_bar(struct pci_function *function, unsigned bar, uint64_t to)
{
    uint64_t from = function->bars[bar].at;

    if (from == to)
        return;
    function->bars[bar].at = to;
    if (function->ops->bar_moved)
        function->ops->bar_moved(function, bar, from, to);
}

/* config_lock held. */
static void update_map(struct pci_host *host)
{
    struct wanted wanted;
    uint64_t to[BARS_OF_BUS];

    for (unsigned i = 0; i < BARS_OF_BUS; i++) {
        const struct pci_function *function = host->functions[i / PCI_BARS];

        wanted.at[i] = function ? wanted_address(host, function, i % PCI_BARS) : PCI_NOWHERE;
        wanted.size[i] = function ? function->bars[i % PCI_BARS].size : 0;
    }
    for (unsigned i = 0; i < BARS_OF_BUS; i++)
        to[i] = wanted.at[i] == PCI_NOWHERE || overlaps_another(&wanted, i) ? PCI_NOWHERE
                                                                            : wanted.at[i];
    pthread_rwlock_wrlock(&host->map_lock);
    for (unsigned i = 0; i < BARS_OF_BUS; i++) {
        struct pci_function *function = host->functions[i / PCI_BARS];

        if (function && function->bars[i % PCI_BARS].at != to[i])
            move_bar(function, i % PCI_BARS, PCI_NOWHERE);
    }
    for (unsigned i = 0; i < BARS_OF_BUS; i++) {
        struct pci_function *function = host->functions[i / PCI_BARS];

        if (function)
            move_bar(function, i % PCI_BARS, to[i]);
    }
    pthread_rwlock_unlock(&host->map_lock);
}

/* The BAR that the whole access lies in. map_lock held. */
static struct pci_function *find_bar(const struct pci_host *host, uint64_t address, unsigned size,
                                     unsigned *bar)
{
    for (unsigned i = 0; i < PCI_DEVICES_MAX; i++) {
        struct pci_function *function = host->functions[i];

        for (*bar = 0; function && *bar < PCI_BARS; (*bar)++) {
            const struct pci_bar *candidate = &function->bars[*bar];

            if (candidate->at != PCI_NOWHERE && address >= candidate->at &&
                address - candidate->at < candidate->size &&
                size <= candidate->size - (address - candidate->at))
                return function;
        }
    }
    return NULL;
}

static void window_read(void *arg, uint64_t offset, void *data, unsigned size)
{
    struct window *window = arg;
    struct pci_host *host = window->host;
    uint64_t address = window->range.base + offset;
    struct pci_function *function;
    unsigned bar;

    pthread_rwlock_rdlock(&host->map_lock);
    function = find_bar(host, address, size, &bar);
    if (function)
        function->ops->bar_read(function, bar, address - function->bars[bar].at, data, size);
    pthread_rwlock_unlock(&host->map_lock);
}

static void window_write(void *arg, uint64_t offset, const void *data, unsigned size)
{
    struct window *window = arg;
    struct pci_host *host = window->host;
    uint64_t address = window->range.base + offset;
    struct pci_function *function;
    unsigned bar;

    pthread_rwlock_rdlock(&host->map_lock);
    function = find_bar(host, address, size, &bar);
    if (function)
        function->ops->bar_write(function, bar, address - function->bars[bar].at, data, size);
    pthread_rwlock_unlock(&host->map_lock);
}

static const struct bus_ops window_ops = {.read = window_read, .write = window_write};

/* ---- configuration space ---- */

/* A header that decides where BARs are: the command register, or a BAR. */
static bool moves_bars(unsigned offset, unsigned size)
{
    return offset < PCI_CARDBUS_CIS && offset + size > PCI_COMMAND;
}

/* A device that is not there, or a function other than 0, reads all-ones. config_lock held. */
static void config_read(struct pci_host *host, unsigned devfn, unsigned offset, void *data,
                        unsigned size)
{
    struct pci_function *function = devfn & 7 ? NULL : host->functions[devfn >> 3];

    memset(data, 0xff, size);
    if (function)
        pci_function_config_read(function, offset, data, size);
}

static void config_write(struct pci_host *host, unsigned devfn, unsigned offset, const void *data,
                         unsigned size)
{
    struct pci_function *function = devfn & 7 ? NULL : host->functions[devfn >> 3];

    if (!function)
        return;
    pci_function_config_write(function, offset, data, size);
    if (moves_bars(offset, size))
        update_map(host);
}

/* PCIe 6.0, table 7-1: bits 19-15 are the device, 14-12 the function, 11-0 the register. */
static void ecam_read(void *arg, uint64_t offset, void *data, unsigned size)
{
    struct pci_host *host = arg;

    pthread_mutex_lock(&host->config_lock);
    config_read(host, (unsigned)(offset >> 12), offset & 0xfff, data, size);
    pthread_mutex_unlock(&host->config_lock);
}

static void ecam_write(void *arg, uint64_t offset, const void *data, unsigned size)
{
    struct pci_host *host = arg;

    pthread_mutex_lock(&host->config_lock);
    config_write(host, (unsigned)(offset >> 12), offset & 0xfff, data, size);
    pthread_mutex_unlock(&host->config_lock);
}

static const struct bus_ops ecam_ops = {.read = ecam_read, .write = ecam_write};

/* The register that the address port selects, of bus 0. config_lock held. */
static bool selected(const struct pci_host *host, uint64_t offset, unsigned *devfn,
                     unsigned *config_offset)
{
    *devfn = host->address >> 8 & 0xff;
    *config_offset = (host->address & 0xfc) + (unsigned)(offset - DATA_PORT_OFFSET);
    return (host->address & ADDRESS_ENABLE) && (host->address >> 16 & 0xff) == 0;
}

static void port_read(void *arg, uint64_t offset, void *data, unsigned size)
{
    struct pci_host *host = arg;
    unsigned devfn, config_offset;

    pthread_mutex_lock(&host->config_lock);
    if (offset == 0 && size == 4)
        put_le32(data, host->address);
    else if (offset >= DATA_PORT_OFFSET && selected(host, offset, &devfn, &config_offset))
        config_read(host, devfn, config_offset, data, size);
    pthread_mutex_unlock(&host->config_lock);
}

static void port_write(void *arg, uint64_t offset, const void *data, unsigned size)
{
    struct pci_host *host = arg;
    unsigned devfn, config_offset;

    pthread_mutex_lock(&host->config_lock);
    if (offset == 0 && size == 4)
        host->address = get_le32(data) & ADDRESS_WRITABLE;
    else if (offset >= DATA_PORT_OFFSET && selected(host, offset, &devfn, &config_offset))
        config_write(host, devfn, config_offset, data, size);
    pthread_mutex_unlock(&host->config_lock);
}

static const struct bus_ops port_ops = {.read = port_read, .write = port_write};

/* ---- plugging ---- */

static bool assign(struct window *window, struct pci_function *function, unsigned bar)
{
    uint64_t size = function->bars[bar].size;
    uint64_t base;

    if (!checked_align_up(window->range.base + window->assigned, size, &base) ||
        !in_window(window, base, size))
        return false;
    pci_function_set_bar_address(function, bar, base);
    window->assigned = base + size - window->range.base;
    return true;
}

/* The low window first, which every guest reaches. */
static int assign_bars(struct pci_host *host, struct pci_function *function)
{
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        if (function->bars[bar].size == 0 || assign(&host->windows[LOW], function, bar))
            continue;
        if (!function->bars[bar].is_64bit || !assign(&host->windows[HIGH], function, bar))
            return -ENOSPC;
    }
    return 0;
}

int pci_host_plug(struct pci_host *host, struct pci_function *function)
{
    unsigned slot = 0;
    int ret;

    while (slot < PCI_DEVICES_MAX && host->functions[slot])
        slot++;
    if (slot == PCI_DEVICES_MAX)
        return -ENOSPC;
    ret = assign_bars(host, function);
    if (ret)
        return ret;
    function->config[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
    pthread_mutex_lock(&host->config_lock);
    host->functions[slot] = function;
    update_map(host);
    pthread_mutex_unlock(&host->config_lock);
    return 0;
}

void pci_host_unplug(struct pci_host *host, struct pci_function *function)
{
    pthread_mutex_lock(&host->config_lock);
    for (unsigned i = 0; i < PCI_DEVICES_MAX; i++) {
        if (host->functions[i] != function)
            continue;
        function->config[PCI_COMMAND] = 0;
        update_map(host);
        host->functions[i] = NULL;
    }
    pthread_mutex_unlock(&host->config_lock);
}

/* ---- life ---- */

static void host_destroy(struct device *device)
{
    struct pci_host *host = (struct pci_host *)device;

    for (unsigned i = 0; i < WINDOWS; i++) {
        if (host->windows[i].attached)
            bus_detach(host->env.mmio, host->windows[i].range.base);
    }
    if (host->ecam_attached)
        bus_detach(host->env.mmio, host->ecam);
    if (host->ports_attached)
        bus_detach(host->env.ports, PCI_ADDRESS_PORT);
    pthread_rwlock_destroy(&host->map_lock);
    pthread_mutex_destroy(&host->config_lock);
    free(host);
}

static const struct device_ops host_device_ops = {
    .name = "pci-host",
    .destroy = host_destroy,
};

/* It has no BARs, and nothing in its configuration space does anything. */
static const struct pci_function_ops bridge_ops;

static int attach_windows(struct pci_host *host)
{
    static const char *const names[WINDOWS] = {"pci-low", "pci-high"};

    for (unsigned i = 0; i < WINDOWS; i++) {
        struct window *window = &host->windows[i];
        int ret;

        if (window->range.size == 0)
            continue;
        ret = bus_attach(host->env.mmio, window->range.base, window->range.size, &window_ops,
                         window, names[i]);
        if (ret)
            return ret;
        window->attached = true;
    }
    return 0;
}

static int attach(struct pci_host *host)
{
    int ret = bus_attach(host->env.mmio, host->ecam, PCI_ECAM_BYTES, &ecam_ops, host, "pci-ecam");

    if (ret)
        return ret;
    host->ecam_attached = true;
    ret = bus_attach(host->env.ports, PCI_ADDRESS_PORT, PCI_PORTS, &port_ops, host, "pci-ports");
    if (ret)
        return ret;
    host->ports_attached = true;
    return attach_windows(host);
}

int pci_host_create(const struct device_env *env, uint64_t ecam, const struct pci_window *low,
                    const struct pci_window *high, struct pci_host **out)
{
    static const struct pci_identity identity = {
        .vendor = BRIDGE_VENDOR,
        .device = BRIDGE_DEVICE,
        .class_code = BRIDGE_CLASS,
    };
    struct pci_host *host = calloc(1, sizeof(*host));
    int ret;

    if (!host)
        return -ENOMEM;
    host->device.ops = &host_device_ops;
    host->env = *env;
    host->ecam = ecam;
    host->windows[LOW] = (struct window){.host = host, .range = *low};
    host->windows[HIGH] = (struct window){.host = host, .range = *high};
    pthread_mutex_init(&host->config_lock, NULL);
    pthread_rwlock_init(&host->map_lock, NULL);
    pci_function_init(&host->bridge, &bridge_ops, "pci-host", &identity);
    host->functions[0] = &host->bridge;
    ret = attach(host);
    if (ret) {
        host_destroy(&host->device);
        return ret;
    }
    *out = host;
    return 0;
}

struct device *pci_host_device(struct pci_host *host)
{
    return &host->device;
}
