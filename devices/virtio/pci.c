// SPDX-License-Identifier: Apache-2.0
/*
 * The virtio-pci transport: see pci.h.
 *
 * Threads: register accesses come from vCPU threads, concurrently; selectors and vectors are
 * atomics, for a driver that races against itself only confuses itself. Interrupts are raised by
 * any thread, with the device's lock held. Doorbells move when the guest moves the BAR: the host
 * bridge then keeps everybody else away from it. Lock order: the device's, isr_lock, pin_lock of
 * the host bridge.
 *
 * Without bus mastering (PCI 3.0, section 6.2.2) the virtio device is paused, and messages wait in
 * the pending bits of MSI-X.
 */
#include "devices/virtio/pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/event_loop.h"
#include "base/io.h"
#include "devices/pci/host.h"
#include "devices/pci/msix.h"
#include "devices/virtio/kick.h"
#include "devices/virtio/virtio.h"
#include "vmm/bus.h"

#define VIRTIO_VENDOR   0x1af4u
#define MODERN_DEVICE   0x1040u /* 4.1.2.1: plus the virtio device id */
#define SUBSYSTEM_MIN   0x40u   /* 4.1.2.1: tells it from a legacy device */
#define MODERN_REVISION 1u
#define ISR_QUEUE       1u /* 4.1.4.5; the other bit is VIRTIO_PCI_ISR_CONFIG */
#define DOORBELL_SIZE   2u /* 4.1.5.2: the queue's index, 16 bits */

_Static_assert(VIRTIO_MAX_QUEUES + 1 <= MSIX_VECTORS_MAX, "a vector for each queue and one more");

struct pci_queue {
    struct virtio_kick kick;
    bool by_bus; /* the bus signals the kick; else the register handler does */
    atomic_ushort vector;
    atomic_bool size_written; /* else it is all that there is, 4.1.4.3 */
};

struct virtio_pci {
    struct device device;
    struct pci_function function;
    struct device_env env;
    struct virtio_device *virtio;
    struct pci_host *host;
    struct msix *msix;
    unsigned access; /* offset of the PCI configuration access capability */
    atomic_ushort config_vector;
    bool masters; /* guarded by the lock of configuration space */
    pthread_mutex_t isr_lock;
    uint8_t isr; /* guarded by isr_lock, and with it what the pin does */
    atomic_uint device_features_select;
    atomic_uint driver_features_select;
    atomic_uint queue_select;
    unsigned queue_count;
    struct pci_queue queues[];
};

static struct virtio_pci *of_function(struct pci_function *function)
{
    return (struct virtio_pci *)((uint8_t *)function - offsetof(struct virtio_pci, function));
}

/* ---- to the driver ---- */

/* Add reasons, or take all of them. Without MSI-X the pin is asserted as long as there is one
 * (4.1.4.5). Returns what there was. */
static uint8_t change_isr(struct virtio_pci *pci, uint8_t added, bool take)
{
    uint8_t isr;

    pthread_mutex_lock(&pci->isr_lock);
    isr = pci->isr | added;
    pci->isr = take ? 0 : isr;
    pci_host_set_pin(pci->host, &pci->function, pci->isr && !msix_enabled(pci->msix));
    pthread_mutex_unlock(&pci->isr_lock);
    return isr;
}

/* 4.1.5.3 and 4.1.5.4: the vector, or, without MSI-X, the bit of the ISR status, and the pin. */
static void raise_interrupt(struct virtio_pci *pci, uint16_t vector, uint8_t reason)
{
    if (msix_enabled(pci->msix))
        msix_raise(pci->msix, vector);
    else
        change_isr(pci, reason, false);
}

static void interrupt_queue(void *transport, unsigned queue)
{
    struct virtio_pci *pci = transport;

    raise_interrupt(pci, atomic_load(&pci->queues[queue].vector), ISR_QUEUE);
}

static void interrupt_config(void *transport)
{
    struct virtio_pci *pci = transport;

    raise_interrupt(pci, atomic_load(&pci->config_vector), VIRTIO_PCI_ISR_CONFIG);
}

static int take_kick(void *transport, unsigned queue, bool taken)
{
    struct virtio_pci *pci = transport;

    return queue < pci->queue_count ? virtio_kick_take(&pci->queues[queue].kick, taken) : -EINVAL;
}

static const struct virtio_transport_ops transport_ops = {
    .interrupt_queue = interrupt_queue,
    .interrupt_config = interrupt_config,
    .take_kick = take_kick,
};

/* ---- common configuration, 4.1.4.3 ---- */

/* Its fields, each of which is only accessed whole (4.1.3.1). Ring addresses: by halves. */
static unsigned field_size(uint64_t offset)
{
    switch (offset) {
    case VIRTIO_PCI_COMMON_STATUS:
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return 1;
    case VIRTIO_PCI_COMMON_MSIX:
    case VIRTIO_PCI_COMMON_NUMQ:
    case VIRTIO_PCI_COMMON_Q_SELECT:
    case VIRTIO_PCI_COMMON_Q_SIZE:
    case VIRTIO_PCI_COMMON_Q_MSIX:
    case VIRTIO_PCI_COMMON_Q_ENABLE:
    case VIRTIO_PCI_COMMON_Q_NOFF:
        return 2;
    case VIRTIO_PCI_COMMON_DFSELECT:
    case VIRTIO_PCI_COMMON_DF:
    case VIRTIO_PCI_COMMON_GFSELECT:
    case VIRTIO_PCI_COMMON_GF:
        return 4;
    default:
        return offset >= VIRTIO_PCI_COMMON_Q_DESCLO && offset <= VIRTIO_PCI_COMMON_Q_USEDHI &&
                       is_aligned(offset, 4)
                   ? 4
                   : 0;
    }
}

static enum virtio_ring_part ring_part(uint64_t offset, bool *high)
{
    uint64_t word = (offset - VIRTIO_PCI_COMMON_Q_DESCLO) / 4;

    *high = word & 1;
    return (enum virtio_ring_part)(word / 2);
}

static uint16_t queue_size(struct virtio_pci *pci, unsigned queue)
{
    return queue < pci->queue_count && atomic_load(&pci->queues[queue].size_written)
               ? virtio_device_queue_size(pci->virtio, queue)
               : virtio_device_queue_max(pci->virtio, queue);
}

static uint32_t read_field(struct virtio_pci *pci, uint64_t offset)
{
    struct virtio_device *virtio = pci->virtio;
    unsigned queue = atomic_load(&pci->queue_select);
    bool exists = queue < pci->queue_count, high;
    enum virtio_ring_part part;

    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        return atomic_load(&pci->device_features_select);
    case VIRTIO_PCI_COMMON_DF:
        return virtio_device_offered(virtio, atomic_load(&pci->device_features_select));
    case VIRTIO_PCI_COMMON_GFSELECT:
        return atomic_load(&pci->driver_features_select);
    case VIRTIO_PCI_COMMON_GF:
        return virtio_device_accepted(virtio, atomic_load(&pci->driver_features_select));
    case VIRTIO_PCI_COMMON_MSIX:
        return atomic_load(&pci->config_vector);
    case VIRTIO_PCI_COMMON_NUMQ:
        return pci->queue_count;
    case VIRTIO_PCI_COMMON_STATUS:
        return virtio_device_status(virtio);
    case VIRTIO_PCI_COMMON_CFGGENERATION:
        return virtio_device_config_generation(virtio);
    case VIRTIO_PCI_COMMON_Q_SELECT:
        return queue;
    case VIRTIO_PCI_COMMON_Q_SIZE:
        return queue_size(pci, queue);
    case VIRTIO_PCI_COMMON_Q_MSIX:
        return exists ? atomic_load(&pci->queues[queue].vector) : VIRTIO_MSI_NO_VECTOR;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        return virtio_device_queue_ready(virtio, queue);
    case VIRTIO_PCI_COMMON_Q_NOFF:
        return exists ? queue : 0;
    default:
        part = ring_part(offset, &high);
        return virtio_device_ring(virtio, queue, part, high);
    }
}

/* 4.1.5.1.2: a vector that does not exist reads back as none. */
static uint16_t checked_vector(const struct virtio_pci *pci, uint32_t value)
{
    return value <= pci->queue_count ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
}

/* What the driver chose, back to what it is after reset. */
static void forget_choices(struct virtio_pci *pci)
{
    atomic_store(&pci->config_vector, VIRTIO_MSI_NO_VECTOR);
    for (unsigned i = 0; i < pci->queue_count; i++) {
        atomic_store(&pci->queues[i].vector, VIRTIO_MSI_NO_VECTOR);
        atomic_store(&pci->queues[i].size_written, false);
    }
}

/* What cannot be is kept, and refused when the queue starts. */
static void write_size(struct virtio_pci *pci, unsigned queue, uint32_t value)
{
    if (queue >= pci->queue_count)
        return;
    atomic_store(&pci->queues[queue].size_written, true);
    virtio_device_set_queue_size(pci->virtio, queue, value);
}

static void write_status(struct virtio_pci *pci, uint8_t status)
{
    virtio_device_set_status(pci->virtio, status);
    if (status)
        return;
    forget_choices(pci);
    change_isr(pci, 0, true);
}

/* 4.1.4.3.2: only 1 is ever written; a driver that set no size means all of it. */
static void enable_queue(struct virtio_pci *pci, unsigned queue, uint32_t value)
{
    if (value != 1 || queue >= pci->queue_count)
        return;
    if (!atomic_load(&pci->queues[queue].size_written))
        virtio_device_set_queue_size(pci->virtio, queue,
                                     virtio_device_queue_max(pci->virtio, queue));
    virtio_device_set_queue_ready(pci->virtio, queue, true);
}

static void write_field(struct virtio_pci *pci, uint64_t offset, uint32_t value)
{
    struct virtio_device *virtio = pci->virtio;
    unsigned queue = atomic_load(&pci->queue_select);
    enum virtio_ring_part part;
    bool high;

    switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
        atomic_store(&pci->device_features_select, value);
        break;
    case VIRTIO_PCI_COMMON_GFSELECT:
        atomic_store(&pci->driver_features_select, value);
        break;
    case VIRTIO_PCI_COMMON_GF:
        virtio_device_accept(virtio, atomic_load(&pci->driver_features_select), value);
        break;
    case VIRTIO_PCI_COMMON_MSIX:
        atomic_store(&pci->config_vector, checked_vector(pci, value));
        break;
    case VIRTIO_PCI_COMMON_STATUS:
        write_status(pci, (uint8_t)value);
        break;
    case VIRTIO_PCI_COMMON_Q_SELECT:
        atomic_store(&pci->queue_select, value);
        break;
    case VIRTIO_PCI_COMMON_Q_SIZE:
        write_size(pci, queue, value);
        break;
    case VIRTIO_PCI_COMMON_Q_MSIX:
        if (queue < pci->queue_count)
            atomic_store(&pci->queues[queue].vector, checked_vector(pci, value));
        break;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
        enable_queue(pci, queue, value);
        break;
    case VIRTIO_PCI_COMMON_DF:
    case VIRTIO_PCI_COMMON_NUMQ:
    case VIRTIO_PCI_COMMON_CFGGENERATION:
    case VIRTIO_PCI_COMMON_Q_NOFF:
        break; /* the device's */
    default:
        part = ring_part(offset, &high);
        virtio_device_set_ring(virtio, queue, part, high, value);
        break;
    }
}

/* ---- the BAR ---- */

static void bar_read(struct pci_function *function, unsigned bar, uint64_t offset, void *data,
                     unsigned size)
{
    struct virtio_pci *pci = of_function(function);

    if (offset >= VIRTIO_PCI_BAR_PENDING) {
        msix_pba_read(pci->msix, offset - VIRTIO_PCI_BAR_PENDING, data, size);
    } else if (offset >= VIRTIO_PCI_BAR_MSIX) {
        msix_table_read(pci->msix, offset - VIRTIO_PCI_BAR_MSIX, data, size);
    } else if (offset >= VIRTIO_PCI_BAR_NOTIFY) {
        return; /* doorbells are only written */
    } else if (offset >= VIRTIO_PCI_BAR_DEVICE) {
        virtio_device_config_read(pci->virtio, (uint32_t)(offset - VIRTIO_PCI_BAR_DEVICE), data,
                                  size);
    } else if (offset == VIRTIO_PCI_BAR_ISR && size == 1) {
        *(uint8_t *)data = change_isr(pci, 0, true); /* 4.1.4.5: reading clears it */
    } else if (field_size(offset) == size) {
        put_le_sized(data, size, read_field(pci, offset));
    }
}

/* Usually consumed by the eventfd, before it gets here. */
static void ring_doorbell(struct virtio_pci *pci, uint64_t offset, const void *data, unsigned size)
{
    uint64_t queue = offset / VIRTIO_PCI_NOTIFY_BYTES;

    if (size >= DOORBELL_SIZE && offset % VIRTIO_PCI_NOTIFY_BYTES == 0 &&
        queue < pci->queue_count && get_le16(data) == queue)
        eventfd_signal(pci->queues[queue].kick.fd);
}

static void bar_write(struct pci_function *function, unsigned bar, uint64_t offset,
                      const void *data, unsigned size)
{
    struct virtio_pci *pci = of_function(function);

    if (offset >= VIRTIO_PCI_BAR_PENDING)
        return; /* pending bits are only read */
    if (offset >= VIRTIO_PCI_BAR_MSIX)
        msix_table_write(pci->msix, offset - VIRTIO_PCI_BAR_MSIX, data, size);
    else if (offset >= VIRTIO_PCI_BAR_NOTIFY)
        ring_doorbell(pci, offset - VIRTIO_PCI_BAR_NOTIFY, data, size);
    else if (offset >= VIRTIO_PCI_BAR_DEVICE)
        virtio_device_config_write(pci->virtio, (uint32_t)(offset - VIRTIO_PCI_BAR_DEVICE), data,
                                   size);
    else if (field_size(offset) == size)
        write_field(pci, offset, (uint32_t)get_le_sized(data, size));
}

static uint64_t doorbell(uint64_t bar, unsigned queue)
{
    return bar + VIRTIO_PCI_BAR_NOTIFY + queue * VIRTIO_PCI_NOTIFY_BYTES;
}

static void bar_moved(struct pci_function *function, unsigned bar, uint64_t from, uint64_t to)
{
    struct virtio_pci *pci = of_function(function);

    for (unsigned i = 0; i < pci->queue_count; i++) {
        struct pci_queue *queue = &pci->queues[i];

        if (queue->by_bus)
            bus_detach_eventfd(pci->env.mmio, doorbell(from, i), DOORBELL_SIZE, i, queue->kick.fd);
        /* Without it a kick costs an exit to user space, and works all the same. */
        queue->by_bus =
            to != PCI_NOWHERE && bus_attach_eventfd(pci->env.mmio, doorbell(to, i), DOORBELL_SIZE,
                                                    i, queue->kick.fd) == 0;
    }
}

/* ---- configuration space ---- */

/* 4.1.4.9: a window into the BAR for drivers that cannot map it. False: it leads nowhere. */
static bool access_window(const struct virtio_pci *pci, uint32_t *offset, uint32_t *size)
{
    const uint8_t *capability = pci->function.config + pci->access;

    *offset = get_le32(capability + VIRTIO_PCI_CAP_OFFSET);
    *size = get_le32(capability + VIRTIO_PCI_CAP_LENGTH);
    return capability[VIRTIO_PCI_CAP_BAR] == 0 && (*size == 1 || *size == 2 || *size == 4) &&
           is_aligned(*offset, *size) && *offset < VIRTIO_PCI_BAR_BYTES;
}

/* Whether [offset, offset + size) of configuration space touches the window's data. */
static bool is_access_data(const struct virtio_pci *pci, unsigned offset, unsigned size)
{
    unsigned data = pci->access + sizeof(struct virtio_pci_cap);

    return offset < data + 4 && offset + size > data;
}

static void config_read(struct pci_function *function, unsigned offset, unsigned size)
{
    struct virtio_pci *pci = of_function(function);
    uint8_t *data = function->config + pci->access + sizeof(struct virtio_pci_cap);
    uint32_t at, bytes;

    if (!is_access_data(pci, offset, size) || !access_window(pci, &at, &bytes))
        return;
    memset(data, 0xff, bytes);
    bar_read(function, 0, at, data, bytes);
}

static void set_mastering(void *arg)
{
    struct virtio_pci *pci = arg;

    virtio_device_set_mastering(pci->virtio, pci->masters);
}

/* The I/O thread, which waits for no lock of ours, brings it about; the guest's write waits. */
static void sync_mastering(struct virtio_pci *pci)
{
    bool masters = pci_function_masters(&pci->function);

    if (masters == pci->masters)
        return;
    pci->masters = masters;
    event_loop_call(pci->env.loop, set_mastering, pci);
}

static void config_written(struct pci_function *function, unsigned offset, const void *data,
                           unsigned size)
{
    struct virtio_pci *pci = of_function(function);
    const uint8_t *window = function->config + pci->access + sizeof(struct virtio_pci_cap);
    uint32_t at, bytes;

    msix_config_written(pci->msix, offset, size);
    sync_mastering(pci);
    change_isr(pci, 0, false); /* MSI-X may be on now: it has no use for the pin */
    if (is_access_data(pci, offset, size) && access_window(pci, &at, &bytes))
        bar_write(function, 0, at, window, bytes);
}

static const struct pci_function_ops function_ops = {
    .config_read = config_read,
    .config_written = config_written,
    .bar_read = bar_read,
    .bar_write = bar_write,
    .bar_moved = bar_moved,
};

/* ---- capabilities, 4.1.4 ---- */

/* Returns the capability's offset or -ENOSPC. `more`: bytes behind the common part. */
static int add_capability(struct virtio_pci *pci, uint8_t type, uint32_t offset, uint32_t length,
                          unsigned more)
{
    unsigned size = sizeof(struct virtio_pci_cap) + more;
    int at = pci_function_add_capability(&pci->function, PCI_CAP_ID_VNDR, size);
    uint8_t *capability;

    if (at < 0)
        return at;
    capability = pci->function.config + at;
    capability[VIRTIO_PCI_CAP_LEN] = (uint8_t)size;
    capability[VIRTIO_PCI_CAP_CFG_TYPE] = type;
    put_le32(capability + VIRTIO_PCI_CAP_OFFSET, offset);
    put_le32(capability + VIRTIO_PCI_CAP_LENGTH, length);
    return at;
}

static int add_notify_capability(struct virtio_pci *pci)
{
    int at = add_capability(pci, VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_PCI_BAR_NOTIFY,
                            pci->queue_count * VIRTIO_PCI_NOTIFY_BYTES, 4);

    if (at >= 0)
        put_le32(pci->function.config + at + sizeof(struct virtio_pci_cap),
                 VIRTIO_PCI_NOTIFY_BYTES);
    return at;
}

static int add_access_capability(struct virtio_pci *pci)
{
    int at = add_capability(pci, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 4);

    if (at < 0)
        return at;
    pci->access = (unsigned)at;
    pci->function.writable[at + VIRTIO_PCI_CAP_BAR] = 0xff;
    put_le32(pci->function.writable + at + VIRTIO_PCI_CAP_OFFSET, UINT32_MAX);
    put_le32(pci->function.writable + at + VIRTIO_PCI_CAP_LENGTH, UINT32_MAX);
    put_le32(pci->function.writable + at + sizeof(struct virtio_pci_cap), UINT32_MAX);
    return at;
}

static int add_capabilities(struct virtio_pci *pci, const struct msi_controller *msi)
{
    int at = add_capability(pci, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_BAR_COMMON,
                            sizeof(struct virtio_pci_common_cfg), 0);

    if (at >= 0)
        at = add_notify_capability(pci);
    if (at >= 0)
        at = add_capability(pci, VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_PCI_BAR_ISR, 1, 0);
    if (at >= 0 && pci->virtio->config_size)
        at = add_capability(pci, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_BAR_DEVICE,
                            pci->virtio->config_size, 0);
    if (at >= 0)
        at = add_access_capability(pci);
    if (at >= 0)
        at = pci_function_add_express(&pci->function);
    if (at < 0)
        return at;
    return msix_create(&pci->function, msi, pci->queue_count + 1, 0, VIRTIO_PCI_BAR_MSIX,
                       VIRTIO_PCI_BAR_PENDING, &pci->msix);
}

/* PCI Code and ID Assignment Specification: what a guest without a driver shows of it. */
static uint32_t class_code(uint32_t id)
{
    switch (id) {
    case VIRTIO_ID_NET:
        return 0x020000; /* Ethernet controller */
    case VIRTIO_ID_BLOCK:
        return 0x018000; /* other mass storage controller */
    case VIRTIO_ID_CONSOLE:
        return 0x078000; /* other communication controller */
    default:
        return 0xff0000; /* none of the classes */
    }
}

static void init_function(struct virtio_pci *pci)
{
    const struct pci_identity identity = {
        .vendor = VIRTIO_VENDOR,
        .device = (uint16_t)(MODERN_DEVICE + pci->virtio->id),
        .subsystem_vendor = VIRTIO_VENDOR,
        .subsystem = (uint16_t)(SUBSYSTEM_MIN + pci->virtio->id),
        .class_code = class_code(pci->virtio->id),
        .revision = MODERN_REVISION,
    };

    pci_function_init(&pci->function, &function_ops, pci->virtio->ops->name, &identity);
    pci_function_add_pin(&pci->function);
}

/* ---- life ---- */

static void pci_pause(struct device *device)
{
    virtio_device_pause(((struct virtio_pci *)device)->virtio);
}

static void pci_resume(struct device *device)
{
    virtio_device_resume(((struct virtio_pci *)device)->virtio);
}

/* Undoes what was done, whole or half, before the plug; leaves the virtio device alone. */
static void detach(struct virtio_pci *pci)
{
    for (unsigned i = 0; i < pci->queue_count; i++)
        virtio_kick_close(&pci->queues[i].kick);
    msix_destroy(pci->msix);
    pthread_mutex_destroy(&pci->isr_lock);
}

unsigned virtio_pci_number(const struct device *device)
{
    return ((const struct virtio_pci *)device)->function.number;
}

void virtio_pci_unplug(struct device *device)
{
    struct virtio_pci *pci = (struct virtio_pci *)device;

    pci_host_unplug(pci->host, &pci->function); /* takes the doorbells off the bus */
    /* Back to the state after create, so that a device that lent its kicks gives them back. */
    virtio_device_set_status(pci->virtio, 0);
}

static void pci_destroy(struct device *device)
{
    struct virtio_pci *pci = (struct virtio_pci *)device;
    struct virtio_device *virtio = pci->virtio;

    /* What was unplugged before is not asked for the bus's lock: see virtio_pci_plug(). */
    if (pci->function.number)
        virtio_pci_unplug(device);
    else
        virtio_device_set_status(virtio, 0);
    detach(pci);
    virtio_device_destroy(virtio);
    free(pci);
}

static const struct device_ops pci_device_ops = {
    .name = "virtio-pci",
    .pause = pci_pause,
    .resume = pci_resume,
    .destroy = pci_destroy,
};

/* Everything but the plug. */
static int assemble(struct virtio_pci *pci, const struct msi_controller *msi)
{
    int ret;

    init_function(pci);
    ret = pci_function_add_bar(&pci->function, 0, VIRTIO_PCI_BAR_BYTES, PCI_BAR_64BIT);
    if (!ret)
        ret = add_capabilities(pci, msi);
    for (unsigned i = 0; i < pci->queue_count && !ret; i++)
        ret = virtio_kick_open(&pci->queues[i].kick, pci->env.loop, pci->virtio, i);
    return ret;
}

int virtio_pci_create(const struct device_env *env, struct virtio_device *virtio,
                      struct pci_host *host, const struct msi_controller *msi, struct device **out)
{
    unsigned count = virtio->queue_count;
    struct virtio_pci *pci = calloc(1, sizeof(*pci) + count * sizeof(pci->queues[0]));
    int ret;

    if (!pci)
        return -ENOMEM;
    pci->device.ops = &pci_device_ops;
    pci->env = *env;
    pci->virtio = virtio;
    pci->host = host;
    pci->queue_count = count;
    pthread_mutex_init(&pci->isr_lock, NULL);
    for (unsigned i = 0; i < count; i++)
        pci->queues[i].kick.fd = -1;
    forget_choices(pci);
    ret = assemble(pci, msi);
    if (ret) {
        detach(pci);
        free(pci);
        return ret;
    }
    virtio_device_set_transport(virtio, &transport_ops, pci);
    virtio_device_set_mastering(virtio, false); /* as the command register says */
    *out = &pci->device;
    return 0;
}

int virtio_pci_plug(struct device *device, unsigned number, bool decode)
{
    struct virtio_pci *pci = (struct virtio_pci *)device;

    return pci_host_plug(pci->host, &pci->function, number, decode);
}
