// SPDX-License-Identifier: Apache-2.0
/*
 * The device table: which devices a machine has, in the order in which they are made, which is the
 * order in which the guest finds them. The only file that names concrete devices.
 *
 * Virtio devices get consecutive device numbers of the PCI bus, or, without one, consecutive
 * virtio-mmio windows and the free pins of the IOAPIC; drives come first, so that vda, vdb, … are
 * in the order in which they were configured.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"
#include "base/io.h"
#include "devices/backend/block.h"
#include "devices/backend/console.h"
#include "devices/legacy/legacy.h"
#include "devices/pci/host.h"
#include "devices/pci/hotplug.h"
#include "devices/virtio/devices.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/pci.h"
#include "vmm/confine.h"
#include "vmm/machine.h"

#define CANNOT_CREATE    "cannot create the device"
#define SECTOR_BYTES     512u
#define BLOCK_DEPTH      256u /* requests in flight per drive: one full queue */
#define MARK_INIT_RUNS   1
/* How long the guest's last words may wait for a reader that is slow or gone. */
#define CONSOLE_DRAIN_MS 2000

struct device_entry {
    const char *name;
    unsigned (*count)(const struct machine_config *config);
    int (*create)(struct machine *machine, unsigned index, const char *name,
                  struct husk_error *err);
};

/* ---- what guests ask for ---- */

/* On the vCPU's thread: only records and signals. */
static void guest_request(void *arg, enum guest_request request, uint8_t value)
{
    struct machine *machine = arg;

    switch (request) {
    case GUEST_REQUEST_POWER_OFF:
        machine_stop(machine, HUSK_STOP_POWER_OFF, 0, NULL);
        break;
    case GUEST_REQUEST_RESET:
        machine_stop(machine, HUSK_STOP_RESET, 0, NULL);
        break;
    case GUEST_REQUEST_PANIC:
        machine_stop(machine, HUSK_STOP_PANIC, 0, NULL);
        break;
    case GUEST_REQUEST_EXIT:
        machine_stop(machine, HUSK_STOP_GUEST_EXIT, value, NULL);
        break;
    case GUEST_REQUEST_MARK:
        if (value == MARK_INIT_RUNS)
            machine_ready(machine);
        break;
    }
}

static struct guest_request_sink request_sink(struct machine *machine)
{
    return (struct guest_request_sink){.request = guest_request, .arg = machine};
}

/* ---- legacy devices ---- */

void machine_append_device(struct machine *machine, struct device *device)
{
    struct device **tail = &machine->devices;

    while (*tail)
        tail = &(*tail)->next;
    device->next = NULL;
    *tail = device;
}

static unsigned one(const struct machine_config *config)
{
    return 1;
}

/* A legacy device's customary interrupt: nobody else can have it. */
static int take_gsi(struct machine *machine, uint32_t gsi, struct irq_line *irq, const char *name,
                    struct husk_error *err)
{
    int ret = interrupts_take(&machine->interrupts, gsi, irq);

    return ret ? error_set(err, -ret, name, "cannot connect interrupt", NULL) : 0;
}

/* Common end: keep the device, or say that it could not be made. */
static int keep_device(struct machine *machine, int ret, struct device *device, const char *name,
                       struct husk_error *err)
{
    if (ret)
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    machine_append_device(machine, device);
    return 0;
}

static unsigned count_uart(const struct machine_config *config)
{
    return config->console == HUSK_CONSOLE_SERIAL;
}

static int create_uart(struct machine *machine, unsigned index, const char *name,
                       struct husk_error *err)
{
    struct device *device = NULL;
    struct irq_line irq;
    int ret = take_gsi(machine, UART_GSI, &irq, name, err);

    if (ret)
        return ret;
    ret = uart16550_create(&machine->device_env, &irq, machine->console, &device);
    return keep_device(machine, ret, device, name, err);
}

static int create_rtc(struct machine *machine, unsigned index, const char *name,
                      struct husk_error *err)
{
    struct device *device = NULL;
    int ret = rtc_cmos_create(&machine->device_env, &device);

    return keep_device(machine, ret, device, name, err);
}

static int create_i8042(struct machine *machine, unsigned index, const char *name,
                        struct husk_error *err)
{
    struct guest_request_sink sink = request_sink(machine);
    struct irq_line irq;
    int ret = take_gsi(machine, I8042_GSI, &irq, name, err);

    if (ret)
        return ret;
    ret = i8042_create(&machine->device_env, &irq, &sink, &machine->i8042);
    return keep_device(machine, ret, machine->i8042, name, err);
}

static int create_acpi_pm(struct machine *machine, unsigned index, const char *name,
                          struct husk_error *err)
{
    struct guest_request_sink sink = request_sink(machine);
    const struct level_line irq = {.levels = &machine->levels, .gsi = ACPI_GSI};
    int ret = interrupts_reserve(&machine->interrupts, ACPI_GSI);

    if (ret)
        return error_set(err, -ret, name, "cannot connect interrupt", NULL);
    ret = acpi_pm_create(&machine->device_env, &irq, &sink, &machine->acpi_pm);
    return keep_device(machine, ret, machine->acpi_pm, name, err);
}

static int create_debug_ports(struct machine *machine, unsigned index, const char *name,
                              struct husk_error *err)
{
    struct guest_request_sink sink = request_sink(machine);
    struct device *device = NULL;
    int ret = debug_ports_create(&machine->device_env, &sink, &device);

    return keep_device(machine, ret, device, name, err);
}

static int create_pvpanic(struct machine *machine, unsigned index, const char *name,
                          struct husk_error *err)
{
    struct guest_request_sink sink = request_sink(machine);
    struct device *device = NULL;
    int ret = pvpanic_create(&machine->device_env, &sink, &device);

    return keep_device(machine, ret, device, name, err);
}

/* ---- virtio devices ---- */

static int attach_mmio(struct machine *machine, struct virtio_device *virtio,
                       struct device **device)
{
    gpa_t window = arch_virtio_mmio_window(machine->virtio_count);
    struct irq_line irq;
    int ret = interrupts_take_any(&machine->interrupts, &irq);

    if (!ret)
        ret = virtio_mmio_create(&machine->device_env, virtio, window.value, &irq, device);
    if (!ret)
        machine->virtio_count++;
    return ret;
}

/* A machine that stands still resumes it with the others. */
static int attach_pci(struct machine *machine, struct virtio_device *virtio, struct device **device)
{
    if (machine_state(machine) == HUSK_STATE_PAUSED)
        virtio_device_pause(virtio);
    return virtio_pci_create(&machine->device_env, virtio, machine->pci, &machine->msi, device);
}

/* A function for the PCI bus, not plugged yet, or the next virtio-mmio window; destroys the device
 * on failure. */
static int attach_virtio(struct machine *machine, struct virtio_device *virtio, const char *name,
                         struct machine_device *out, struct husk_error *err)
{
    struct device *device = NULL;
    int ret =
        machine->pci ? attach_pci(machine, virtio, &device) : attach_mmio(machine, virtio, &device);

    if (ret) {
        virtio_device_destroy(virtio);
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    }
    machine_append_device(machine, device);
    *out = (struct machine_device){.virtio = virtio, .transport = device};
    return 0;
}

/* The guest of a machine that has not started finds its devices as firmware leaves them. */
int machine_plug_in(struct machine *machine, const struct machine_device *device, const char *name,
                    struct husk_error *err)
{
    bool decode = machine_state(machine) == HUSK_STATE_CREATED;
    int ret = machine->pci ? virtio_pci_plug(device->transport, PCI_NEXT_FREE, decode) : 0;

    return ret ? error_set(err, -ret, name, CANNOT_CREATE, NULL) : 0;
}

/* The whole way of a device that stays. */
static int attach_fixed(struct machine *machine, struct virtio_device *virtio, const char *name,
                        struct husk_error *err)
{
    struct machine_device device = {0};
    int ret = attach_virtio(machine, virtio, name, &device, err);

    if (!ret)
        ret = machine_plug_in(machine, &device, name, err);
    if (!ret && machine->pci)
        machine->layout.pci.slots &= ~(1u << virtio_pci_number(device.transport));
    return ret;
}

void machine_unlink_device(struct machine *machine, struct device *device)
{
    struct device **at = &machine->devices;

    while (*at && *at != device)
        at = &(*at)->next;
    if (*at)
        *at = device->next;
}

void machine_destroy_device(struct machine *machine, struct device *device)
{
    machine_unlink_device(machine, device);
    device_destroy(device);
}

/* ---- the PCI bus ---- */

static unsigned count_pci(const struct machine_config *config)
{
    return config->transport == HUSK_TRANSPORT_PCI;
}

static void notify_guest(void *arg)
{
    struct machine *machine = arg;

    acpi_pm_raise(machine->acpi_pm, ACPI_EVENT_PCI);
}

/* Behind the event registers, by which it makes itself heard. */
static int create_hotplug(struct machine *machine, unsigned index, const char *name,
                          struct husk_error *err)
{
    const struct pci_hotplug_sink sink = {
        .notify = notify_guest, .eject = machine_eject, .arg = machine};
    int ret = pci_hotplug_create(&machine->device_env, &sink, &machine->hotplug);

    if (ret)
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    machine_append_device(machine, pci_hotplug_device(machine->hotplug));
    machine->layout.pci.hotplug_port = PCI_HOTPLUG_PORT;
    machine->layout.pci.slots = ~1u; /* all but the bridge, and what is made to stay */
    return 0;
}

static int create_pci(struct machine *machine, unsigned index, const char *name,
                      struct husk_error *err)
{
    const struct arch_pci_layout *layout = &machine->layout.pci;
    const struct pci_window low = {.base = layout->low_base, .size = layout->low_bytes};
    const struct pci_window high = {.base = layout->high_base, .size = layout->high_bytes};
    const struct pci_pins pins = {.levels = &machine->levels, .first_gsi = layout->first_gsi};
    int ret = 0;

    for (unsigned i = 0; i < PCI_PIN_GSIS && !ret; i++)
        ret = interrupts_reserve(&machine->interrupts, layout->first_gsi + i);
    if (!ret)
        ret =
            pci_host_create(&machine->device_env, layout->ecam, &low, &high, &pins, &machine->pci);
    if (ret)
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    machine->msi = interrupts_msi(&machine->interrupts);
    machine_append_device(machine, pci_host_device(machine->pci));
    return 0;
}

static unsigned count_drives(const struct machine_config *config)
{
    return config->drive_count;
}

static struct rate_limit rate_limit(struct husk_rate rate)
{
    return (struct rate_limit){.per_second = rate.per_second, .burst = rate.burst};
}

static enum block_engine block_engine(enum husk_block_engine engine)
{
    switch (engine) {
    case HUSK_BLOCK_ENGINE_URING:
        return BLOCK_ENGINE_URING;
    case HUSK_BLOCK_ENGINE_THREADS:
        return BLOCK_ENGINE_THREADS;
    default:
        return BLOCK_ENGINE_AUTO;
    }
}

/* Several files. size_bytes is that of all; what is left for the first is what the others lack. */
static int create_joined(const struct drive_config *drive, struct block_backend **out,
                         struct husk_error *err)
{
    struct block_part parts[CONFIG_PARTS_MAX + 1];
    uint64_t first = drive->size_bytes;

    for (unsigned i = 0; i < drive->more_count; i++) {
        if (drive->more[i].size_bytes >= first)
            return error_set(err, EINVAL, "drive", CANNOT_CREATE, "its parts do not add up");
        first -= drive->more[i].size_bytes;
        parts[i + 1] =
            (struct block_part){.fd = drive->more[i].fd, .size_bytes = drive->more[i].size_bytes};
    }
    parts[0] = (struct block_part){.fd = drive->fd, .size_bytes = first};
    return block_backend_create_joined(parts, drive->more_count + 1, block_engine(drive->engine),
                                       BLOCK_DEPTH, out, err);
}

int machine_create_block(const struct machine *machine, struct drive_config *drive,
                         const char *name, struct block_backend **out, struct husk_error *err)
{
    const char *path = drive->path ? drive->path : name;
    int ret;

    if (drive->size_bytes % SECTOR_BYTES)
        log_warn(machine->log, name, "%s: the last %u bytes are no whole sector and out of reach",
                 path, (unsigned)(drive->size_bytes % SECTOR_BYTES));
    ret = drive->more_count
              ? create_joined(drive, out, err)
              : block_backend_create(drive->fd, block_engine(drive->engine), BLOCK_DEPTH, out, err);
    if (ret)
        return ret;
    drive->fd = -1;
    for (unsigned i = 0; i < drive->more_count; i++)
        drive->more[i].fd = -1;
    if (machine->config->confine_threads) {
        ret = block_backend_start_threads(*out, confine_prologue(machine->config, SECCOMP_DISK));
        if (ret) {
            block_backend_destroy(*out);
            return error_set(err, -ret, name, "cannot start the disk's threads", NULL);
        }
    }
    log_info(machine->log, name, "%s: %llu bytes, engine %s", path,
             (unsigned long long)drive->size_bytes, block_backend_engine_name(*out));
    return 0;
}

int machine_attach_drive(struct machine *machine, unsigned index, const char *name,
                         struct block_backend *backend, struct husk_error *err)
{
    const struct drive_config *drive = &machine->config->drives[index];
    struct virtio_blk_config config = {
        .backend = backend,
        .can_discard = block_backend_can_discard(backend),
        .read_only = drive->read_only,
        .size_bytes = drive->size_bytes,
        .queues = drive->queues,
        .operations = rate_limit(drive->operations),
        .bandwidth = rate_limit(drive->bandwidth),
    };
    struct virtio_device *virtio = NULL;
    char serial[sizeof(config.serial) + 1];
    int ret;

    /* The id, so that a guest finds a disk whatever else there is. */
    snprintf(serial, sizeof(serial), "%.*s", (int)sizeof(config.serial), drive->id);
    memcpy(config.serial, serial, sizeof(config.serial));
    ret = virtio_blk_create(&machine->device_env, &config, &virtio);
    if (ret) {
        block_backend_destroy(backend);
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    }
    return attach_virtio(machine, virtio, name, &machine->drives[index], err);
}

static int create_drive(struct machine *machine, unsigned index, const char *name,
                        struct husk_error *err)
{
    struct block_backend *backend = NULL;
    int ret = machine_create_block(machine, &machine->config->drives[index], name, &backend, err);

    if (!ret)
        ret = machine_attach_drive(machine, index, name, backend, err);
    return ret ? ret : machine_plug_in(machine, &machine->drives[index], name, err);
}

static unsigned count_nets(const struct machine_config *config)
{
    return config->net_count;
}

/* The configuration's descriptors become the device's. */
int machine_attach_net(struct machine *machine, unsigned index, const char *name,
                       struct husk_error *err)
{
    struct net_config *net = &machine->config->nets[index];
    struct virtio_device *virtio = NULL;
    struct virtio_net_config config = {
        .tap_fds = net->tap_fds,
        .vhost_fds = net->vhost_fds[0] >= 0 ? net->vhost_fds : NULL,
        .queue_pairs = net->queue_pairs,
        .mtu = net->mtu,
        .rx_bandwidth = rate_limit(net->rx_bandwidth),
        .tx_bandwidth = rate_limit(net->tx_bandwidth),
        .rx_operations = rate_limit(net->rx_operations),
        .tx_operations = rate_limit(net->tx_operations),
    };
    int ret;

    memcpy(config.mac, net->mac, sizeof(config.mac));
    ret = virtio_net_create(&machine->device_env, &config, &virtio);
    if (ret)
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    for (unsigned i = 0; i < net->queue_pairs; i++)
        net->tap_fds[i] = net->vhost_fds[i] = -1;
    return attach_virtio(machine, virtio, name, &machine->nets[index], err);
}

static int create_net(struct machine *machine, unsigned index, const char *name,
                      struct husk_error *err)
{
    int ret = machine_attach_net(machine, index, name, err);

    return ret ? ret : machine_plug_in(machine, &machine->nets[index], name, err);
}

static unsigned count_vsock(const struct machine_config *config)
{
    return config->vsock.present;
}

static int create_vsock(struct machine *machine, unsigned index, const char *name,
                        struct husk_error *err)
{
    struct vsock_config *vsock = &machine->config->vsock;
    struct virtio_vsock_config config = {
        .guest_cid = vsock->guest_cid,
        .listen_fd = vsock->listen_fd,
        .connect_prefix = vsock->connect_prefix,
    };
    struct virtio_device *virtio = NULL;
    int ret = virtio_vsock_create(&machine->device_env, &config, &virtio);

    if (ret)
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    vsock->listen_fd = -1;
    ret = attach_fixed(machine, virtio, name, err);
    if (!ret)
        machine->vsock = virtio;
    return ret;
}

static unsigned count_virtio_console(const struct machine_config *config)
{
    return config->console == HUSK_CONSOLE_VIRTIO;
}

static int create_virtio_console(struct machine *machine, unsigned index, const char *name,
                                 struct husk_error *err)
{
    const struct machine_config *config = machine->config;
    struct virtio_device *virtio = NULL;
    int ret = virtio_console_create(&machine->device_env, machine->console, config->console_columns,
                                    config->console_rows, &virtio);

    if (ret)
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    ret = attach_fixed(machine, virtio, name, err);
    if (!ret)
        machine->virtio_console = virtio;
    return ret;
}

static unsigned count_rng(const struct machine_config *config)
{
    return config->rng;
}

static int create_rng(struct machine *machine, unsigned index, const char *name,
                      struct husk_error *err)
{
    const struct rate_limit rate = rate_limit(machine->config->rng_rate);
    struct virtio_device *virtio = NULL;
    int ret = virtio_rng_create(&machine->device_env, &rate, &virtio);

    if (ret)
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    ret = attach_fixed(machine, virtio, name, err);
    if (!ret)
        machine->rng = virtio;
    return ret;
}

static unsigned count_balloon(const struct machine_config *config)
{
    return config->free_page_reporting;
}

static int create_balloon(struct machine *machine, unsigned index, const char *name,
                          struct husk_error *err)
{
    struct virtio_device *virtio = NULL;
    int ret = virtio_balloon_create(&machine->device_env, &virtio);

    if (ret)
        return error_set(err, -ret, name, CANNOT_CREATE, NULL);
    ret = attach_fixed(machine, virtio, name, err);
    if (!ret)
        machine->balloon = virtio;
    return ret;
}

/* ---- the table ---- */

static const struct device_entry legacy_table[] = {
    {"uart", count_uart, create_uart},  {"rtc", one, create_rtc},
    {"i8042", one, create_i8042},       {"acpi-pm", one, create_acpi_pm},
    {"pvpanic", one, create_pvpanic},   {"debug ports", one, create_debug_ports},
    {"PCI bus", count_pci, create_pci}, {"PCI hot-plug", count_pci, create_hotplug},
};

static const struct device_entry virtio_table[] = {
    {"drive", count_drives, create_drive},
    {"net", count_nets, create_net},
    {"vsock", count_vsock, create_vsock},
    {"virtio console", count_virtio_console, create_virtio_console},
    {"rng", count_rng, create_rng},
    {"balloon", count_balloon, create_balloon},
};

static int create_from_table(struct machine *machine, const struct device_entry *table,
                             unsigned entries, struct husk_error *err)
{
    for (unsigned i = 0; i < entries; i++) {
        unsigned count = table[i].count(machine->config);

        for (unsigned index = 0; index < count; index++) {
            bool several = table[i].count == count_drives || table[i].count == count_nets;
            char name[32];
            int ret;

            /* As the configuration's own messages call it: "drive 2". */
            if (several)
                snprintf(name, sizeof(name), "%s %u", table[i].name, index + 1);
            ret = table[i].create(machine, index, several ? name : table[i].name, err);
            if (ret)
                return ret;
        }
    }
    return 0;
}

int machine_create_devices(struct machine *machine, struct husk_error *err)
{
    const struct machine_config *config = machine->config;
    int ret;

    machine->levels = interrupts_levels(&machine->interrupts);
    if (config->console != HUSK_CONSOLE_NONE) {
        ret = console_backend_create(machine->loop, config->console_in_fd, config->console_out_fd,
                                     &machine->console);
        if (ret)
            return error_set(err, -ret, "console", CANNOT_CREATE, NULL);
    }
    ret = create_from_table(machine, legacy_table, ARRAY_SIZE(legacy_table), err);
    if (!ret)
        ret = create_from_table(machine, virtio_table, ARRAY_SIZE(virtio_table), err);
    return ret;
}

/* The newest first. */
void machine_destroy_devices(struct machine *machine)
{
    struct device *reversed = NULL;
    int ret;

    while (machine->devices) {
        struct device *device = machine->devices;

        machine->devices = device->next;
        device->next = reversed;
        reversed = device;
    }
    while (reversed) {
        struct device *device = reversed;

        reversed = device->next;
        device_destroy(device);
    }
    machine->pci = NULL;
    machine->hotplug = NULL;
    machine->acpi_pm = NULL;
    machine->i8042 = NULL;
    machine->virtio_console = NULL;
    ret = console_backend_destroy(machine->console, CONSOLE_DRAIN_MS);
    if (ret)
        log_warn(machine->log, "console", "output was lost: %s", error_text(-ret));
    machine->console = NULL;
}

/* ---- what callers do to devices ---- */

struct arch_power_registers machine_power_registers(void)
{
    return (struct arch_power_registers){
        .sleep_control = ACPI_SLEEP_CONTROL,
        .sleep_status = ACPI_SLEEP_STATUS,
        .reset = ACPI_RESET,
        .event = ACPI_EVENT,
        .reset_value = ACPI_RESET_VALUE,
    };
}

void machine_power_button(struct machine *machine)
{
    acpi_pm_raise(machine->acpi_pm, ACPI_EVENT_POWER);
}

void machine_ctrl_alt_del(struct machine *machine)
{
    i8042_ctrl_alt_del(machine->i8042);
}

void machine_console_resize(struct machine *machine, uint16_t columns, uint16_t rows)
{
    if (machine->virtio_console)
        virtio_console_resize(machine->virtio_console, columns, rows);
}
