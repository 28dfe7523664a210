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

#define LARGE_SHARE 16u /* a BAR of more than this part of the low window is large */

enum { LOW, HIGH, WINDOWS };

struct window {
    struct pci_host *host;
    struct pci_window range;
    bool attached;
};

struct pci_host {
    struct device device;
    struct device_env env;
    struct pci_function bridge;
    uint64_t ecam;
    bool ecam_attached, ports_attached;
    struct window windows[WINDOWS];

    struct pci_pins pins;

    pthread_mutex_t config_lock; /* configuration space of all functions, and the next two */
    struct pci_function *functions[PCI_DEVICES_MAX]; /* changed with map_lock held as well */
    uint32_t address;                                /* of the port */

    pthread_rwlock_t map_lock; /* pci_bar.at of all functions */
    pthread_mutex_t pin_lock;  /* pci_function.pin_* of all functions */
};

/* ---- where BARs are ---- */

/* Where the BAR would answer if it were alone. */
static uint64_t wanted_address(const struct pci_host *host, const struct pci_function *function,
                               unsigned bar)
{
    uint64_t size = function->bars[bar].size;
    uint64_t base = pci_function_bar_address(function, bar);

    if (size == 0 || !pci_function_decodes(function))
        return PCI_NOWHERE;
    for (unsigned i = 0; i < WINDOWS; i++) {
        if (pci_window_holds(&host->windows[i].range, base, size))
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

/* ---- pins ---- */

/* Tell the interrupt controller when something changed. pin_lock held. */
static void update_pin(struct pci_host *host, struct pci_function *function)
{
    bool asserted = function->pin_wired && function->pin_raised && !function->pin_disabled;

    if (asserted == function->pin_asserted || !host->pins.levels)
        return;
    function->pin_asserted = asserted;
    host->pins.levels->set(host->pins.levels->arg, function->gsi, asserted);
}

void pci_host_set_pin(struct pci_host *host, struct pci_function *function, bool raised)
{
    pthread_mutex_lock(&host->pin_lock);
    function->pin_raised = raised;
    update_pin(host, function);
    pthread_mutex_unlock(&host->pin_lock);
}

static void wire_pin(struct pci_host *host, struct pci_function *function, bool wired)
{
    pthread_mutex_lock(&host->pin_lock);
    function->gsi = pci_pin_gsi(host->pins.first_gsi, function->number, 0);
    function->pin_wired = wired && host->pins.levels;
    update_pin(host, function);
    pthread_mutex_unlock(&host->pin_lock);
}

/* 6.2.2 and 6.2.3: Interrupt Disable keeps the pin still; Interrupt Status tells in any case. */
static void sync_pin(struct pci_host *host, struct pci_function *function)
{
    uint8_t *status = &function->config[PCI_STATUS];

    pthread_mutex_lock(&host->pin_lock);
    function->pin_disabled = get_le16(function->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;
    if (host->pins.levels && function->config[PCI_INTERRUPT_PIN])
        *status = (uint8_t)((*status & ~PCI_STATUS_INTERRUPT) |
                            (function->pin_raised ? PCI_STATUS_INTERRUPT : 0));
    update_pin(host, function);
    pthread_mutex_unlock(&host->pin_lock);
}

/* ---- configuration space ---- */

/* A header that decides where BARs are: the command register, or a BAR. */
static bool moves_bars(unsigned offset, unsigned size)
{
    return offset < PCI_CARDBUS_CIS && offset + size > PCI_COMMAND;
}

static bool is_command_or_status(unsigned offset, unsigned size)
{
    return offset < PCI_STATUS + 2 && offset + size > PCI_COMMAND;
}

/* A device that is not there, or a function other than 0, reads all-ones. config_lock held. */
static void config_read(struct pci_host *host, unsigned devfn, unsigned offset, void *data,
                        unsigned size)
{
    struct pci_function *function = devfn & 7 ? NULL : host->functions[devfn >> 3];

    memset(data, 0xff, size);
    if (!function)
        return;
    if (is_command_or_status(offset, size))
        sync_pin(host, function);
    pci_function_config_read(function, offset, data, size);
}

static void config_write(struct pci_host *host, unsigned devfn, unsigned offset, const void *data,
                         unsigned size)
{
    struct pci_function *function = devfn & 7 ? NULL : host->functions[devfn >> 3];

    if (!function)
        return;
    pci_function_config_write(function, offset, data, size);
    if (is_command_or_status(offset, size))
        sync_pin(host, function);
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

/* What the BARs of all functions have now, decoded or not, and those of `function` up to `bars`. */
static unsigned list_taken(const struct pci_host *host, const struct pci_function *function,
                           unsigned bars, struct pci_window taken[BARS_OF_BUS + PCI_BARS])
{
    unsigned count = 0;

    for (unsigned i = 0; i < BARS_OF_BUS; i++) {
        const struct pci_function *other = host->functions[i / PCI_BARS];
        uint64_t size = other ? other->bars[i % PCI_BARS].size : 0;
        uint64_t base = size ? pci_function_bar_address(other, i % PCI_BARS) : 0;

        if (size && base + size > base)
            taken[count++] = (struct pci_window){.base = base, .size = size};
    }
    for (unsigned bar = 0; bar < bars; bar++) {
        if (function->bars[bar].size)
            taken[count++] = (struct pci_window){.base = pci_function_bar_address(function, bar),
                                                 .size = function->bars[bar].size};
    }
    return count;
}

/* The low window, which every guest reaches, is short: what is large, and need not be there, goes
 * up if it can. config_lock held. */
static bool assign(struct pci_host *host, struct pci_function *function, unsigned bar)
{
    const struct window *windows = host->windows;
    struct pci_window taken[BARS_OF_BUS + PCI_BARS];
    unsigned count = list_taken(host, function, bar, taken);
    uint64_t size = function->bars[bar].size;
    bool is_64bit = function->bars[bar].is_64bit;
    bool is_large = size > windows[LOW].range.size / LARGE_SHARE;
    uint64_t base;

    if (!(is_64bit && is_large &&
          pci_window_assign(&windows[HIGH].range, size, taken, count, &base)) &&
        !pci_window_assign(&windows[LOW].range, size, taken, count, &base) &&
        !(is_64bit && pci_window_assign(&windows[HIGH].range, size, taken, count, &base)))
        return false;
    pci_function_set_bar_address(function, bar, base);
    return true;
}

/* The device number that is asked for, or the next free one. config_lock held. */
static int choose_number(const struct pci_host *host, unsigned number)
{
    if (number >= PCI_DEVICES_MAX)
        return -EINVAL;
    if (number != PCI_NEXT_FREE)
        return host->functions[number] ? -EBUSY : (int)number;
    for (number = 1; number < PCI_DEVICES_MAX; number++) {
        if (!host->functions[number])
            return (int)number;
    }
    return -ENOSPC;
}

/* config_lock held. */
static int plug(struct pci_host *host, struct pci_function *function, unsigned wanted, bool decode)
{
    int number = choose_number(host, wanted);

    if (number < 0)
        return number;
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        if (function->bars[bar].size && !assign(host, function, bar))
            return -ENOSPC;
    }
    function->number = (unsigned)number;
    if (decode)
        function->config[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
    wire_pin(host, function, true);
    pthread_rwlock_wrlock(&host->map_lock);
    host->functions[number] = function;
    pthread_rwlock_unlock(&host->map_lock);
    update_map(host);
    return 0;
}

int pci_host_plug(struct pci_host *host, struct pci_function *function, unsigned number,
                  bool decode)
{
    int ret;

    pthread_mutex_lock(&host->config_lock);
    ret = plug(host, function, number, decode);
    pthread_mutex_unlock(&host->config_lock);
    return ret;
}

void pci_host_unplug(struct pci_host *host, struct pci_function *function)
{
    pthread_mutex_lock(&host->config_lock);
    if (function->number && host->functions[function->number] == function) {
        put_le16(function->config + PCI_COMMAND, 0);
        update_map(host);
        pthread_rwlock_wrlock(&host->map_lock);
        host->functions[function->number] = NULL;
        pthread_rwlock_unlock(&host->map_lock);
        wire_pin(host, function, false);
        function->number = 0;
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
    pthread_mutex_destroy(&host->pin_lock);
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
                    const struct pci_window *high, const struct pci_pins *pins,
                    struct pci_host **out)
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
    pthread_mutex_init(&host->pin_lock, NULL);
    if (pins)
        host->pins = *pins;
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
