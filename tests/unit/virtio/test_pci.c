// SPDX-License-Identifier: Apache-2.0
/* The virtio-pci transport: capabilities, registers and doorbells of virtio 1.2, section 4.1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"
#include "devices/pci/host.h"
#include "devices/virtio/pci.h"
#include "tests/harness/ring_driver.h"

#define ECAM   0xc0000000ull
#define SPACE  (ECAM + (1u << 15)) /* configuration space of device 1 */
#define WINDOW 0xe0000000ull
#define QUEUES 3u
#define ID     63u
#define DATA   0x100000u

static struct test {
    struct virtio_surroundings around;
    struct virtio_device virtio;
    struct pci_host *host;
    struct device *device;
    struct ring_driver rings[QUEUES];
    int fds[QUEUES + 1];
    int pins[PCI_PIN_GSIS];
    unsigned activated, given, taken, notified[QUEUES], resets, destroyed;
    int take_result;
    uint64_t attached[QUEUES]; /* where the accelerator has doorbells */
    uint8_t config[16];
} t;

static int probe_activate(struct virtio_device *device)
{
    t.activated++;
    return 0;
}

static void probe_reset(struct virtio_device *device)
{
    t.resets++;
}

static void probe_notify(struct virtio_device *device, unsigned queue)
{
    static struct virtq_chain chain;

    t.notified[queue]++;
    while (virtqueue_pop(&device->queues[queue], &chain) > 0)
        virtqueue_push(&device->queues[queue], chain.head, 0);
    virtio_device_signal_queue(device, queue);
}

static void probe_config_read(struct virtio_device *device, uint32_t offset, void *data,
                              unsigned size)
{
    memcpy(data, t.config + offset, size);
}

static void probe_config_write(struct virtio_device *device, uint32_t offset, const void *data,
                               unsigned size)
{
    memcpy(t.config + offset, data, size);
}

static void probe_destroy(struct virtio_device *device)
{
    t.destroyed++;
}

static const struct virtio_device_ops probe_ops = {
    .name = "probe",
    .activate = probe_activate,
    .reset = probe_reset,
    .notify = probe_notify,
    .config_read = probe_config_read,
    .config_write = probe_config_write,
    .destroy = probe_destroy,
};

static int take(void *arg, struct irq_line *out)
{
    if (t.take_result)
        return t.take_result;
    t.fds[t.taken] = eventfd_open();
    *out = (struct irq_line){.event_fd = t.fds[t.taken], .gsi = 24 + t.taken};
    t.taken++;
    return 0;
}

static int route(void *arg, const struct irq_line *line, uint64_t address, uint32_t data)
{
    return 0;
}

static void give(void *arg, struct irq_line *line)
{
    t.given += line->event_fd >= 0;
    line->event_fd = -1;
}

static const struct msi_controller controller = {.take = take, .give = give, .route = route};

static void set_level(void *arg, uint32_t gsi, bool asserted)
{
    t.pins[gsi] += asserted ? 1 : -1;
}

static int accelerate(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    assert_int_equal(size, 2);
    assert_int_equal(t.attached[value], 0);
    t.attached[value] = address;
    return 0;
}

static void decelerate(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    assert_int_equal(t.attached[value], address);
    t.attached[value] = 0;
}

static void surround(bool accelerated)
{
    static const struct bus_accelerator accelerator = {.attach = accelerate, .detach = decelerate};
    static const uint16_t sizes[QUEUES] = {8, 16, 256};
    static const struct level_controller levels = {.set = set_level};
    const struct pci_window low = {WINDOW, 1u << 20}, high = {0};
    const struct pci_pins pins = {.levels = &levels};

    memset(&t, 0, sizeof(t));
    surroundings_init(&t.around, accelerated ? &accelerator : NULL);
    assert_int_equal(pci_host_create(&t.around.env, ECAM, &low, &high, &pins, &t.host), 0);
    assert_int_equal(virtio_device_init(&t.virtio, &probe_ops, ID, 0, sizes, QUEUES,
                                        sizeof(t.config), &t.around.env),
                     0);
}

static int create(void)
{
    int ret = virtio_pci_create(&t.around.env, &t.virtio, t.host, &controller, &t.device);

    return ret ? ret : virtio_pci_plug(t.device, PCI_NEXT_FREE, true);
}

/* As a driver does first of all. */
static void master(bool on)
{
    uint8_t command[2] = {PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0), 0};

    bus_write(t.around.mmio, SPACE + PCI_COMMAND, command, 2);
}

static int setup(void **state)
{
    int ret;

    surround(false);
    ret = create();
    master(true);
    return ret;
}

static int setup_accelerated(void **state)
{
    surround(true);
    return create();
}

static int teardown(void **state)
{
    device_destroy(t.device);
    assert_int_equal(t.destroyed, 1);
    for (unsigned i = 0; i < QUEUES; i++)
        assert_int_equal(t.attached[i], 0);
    device_destroy(pci_host_device(t.host));
    surroundings_release(&t.around);
    assert_int_equal(t.given, t.taken);
    for (unsigned i = 0; i < t.taken; i++)
        close_fd(&t.fds[i]);
    return 0;
}

static uint64_t get(uint64_t address, unsigned size)
{
    uint8_t bytes[8];

    bus_read(t.around.mmio, address, bytes, size);
    return get_le_sized(bytes, size);
}

static void set(uint64_t address, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    put_le64(bytes, value);
    bus_write(t.around.mmio, address, bytes, size);
}

/* The capability of a virtio type, or of MSI-X for 0; 0 when there is none. */
static unsigned capability(uint8_t type)
{
    unsigned at = (unsigned)get(SPACE + PCI_CAPABILITY_LIST, 1);

    while (at) {
        uint8_t id = (uint8_t)get(SPACE + at, 1);

        if (type ? id == PCI_CAP_ID_VNDR && get(SPACE + at + 3, 1) == type : id == PCI_CAP_ID_MSIX)
            return at;
        at = (unsigned)get(SPACE + at + 1, 1);
    }
    return 0;
}

static bool interrupted(unsigned vector)
{
    return eventfd_drain(t.fds[vector]) > 0;
}

static void hand_over(unsigned queue, uint16_t size)
{
    struct ring_driver *ring = &t.rings[queue];

    ring_init(ring, t.around.memory, 0x10000 + queue * RING_DRIVER_BYTES, size);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_SELECT, 2, queue);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_MSIX, 2, queue + 1);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_DESCLO, 4, ring->desc);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_DESCHI, 4, 0);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_AVAILLO, 4, ring->avail);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_AVAILHI, 4, 0);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_USEDLO, 4, ring->used);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_USEDHI, 4, 0);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

static void negotiate(void)
{
    set(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1, 0);
    set(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1, 3);
    set(WINDOW + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    set(WINDOW + VIRTIO_PCI_COMMON_GF, 4, 1);
    set(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1, 11);
    set(WINDOW + VIRTIO_PCI_COMMON_MSIX, 2, 0);
}

static void start(void)
{
    negotiate();
    for (unsigned i = 0; i < QUEUES; i++)
        hand_over(i, 8);
    set(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1, 15);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1), 15);
}

static void enable_messages(void)
{
    set(SPACE + capability(0) + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
    for (unsigned i = 0; i <= QUEUES; i++)
        set(WINDOW + VIRTIO_PCI_BAR_MSIX + 16 * i + 12, 4, 0);
}

static void ring_bell(uint64_t bar, unsigned queue)
{
    set(bar + VIRTIO_PCI_BAR_NOTIFY + 4 * queue, 2, queue);
    surroundings_settle(&t.around);
}

static void test_identity(void **state)
{
    assert_int_equal(get(SPACE, 4), (0x1040u + ID) << 16 | 0x1af4);
    assert_int_equal(get(SPACE + PCI_REVISION_ID, 1), 1);
    assert_int_equal(get(SPACE + PCI_INTERRUPT_PIN, 1), 1);
    assert_int_equal(get(SPACE + PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (uint8_t type = VIRTIO_PCI_CAP_COMMON_CFG; type <= VIRTIO_PCI_CAP_PCI_CFG; type++)
        assert_true(capability(type) >= 0x40);
    assert_int_equal(get(SPACE + capability(VIRTIO_PCI_CAP_NOTIFY_CFG) + 16, 4), 4);
    assert_int_equal(get(SPACE + capability(VIRTIO_PCI_CAP_DEVICE_CFG) + 12, 4), sizeof(t.config));
    assert_int_equal(get(SPACE + capability(0) + PCI_MSIX_FLAGS, 2), QUEUES);
}

static void test_registers(void **state)
{
    static const unsigned read_only[] = {VIRTIO_PCI_COMMON_NUMQ, VIRTIO_PCI_COMMON_Q_NOFF};

    negotiate();
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_GF, 4), 1);
    set(WINDOW + VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_DF, 4), 1);
    set(WINDOW + VIRTIO_PCI_COMMON_DFSELECT, 4, 7);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_DF, 4), 0);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_SELECT, 2, 2);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_SIZE, 2), 256);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_NOFF, 2), 2);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_SIZE, 2, 32);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_SIZE, 2), 32);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_USEDHI, 4, 0x12345678);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_USEDHI, 4), 0x12345678);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_MSIX, 2, QUEUES);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_MSIX, 2), QUEUES);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_MSIX, 2, QUEUES + 1);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_SELECT, 2, QUEUES);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_MSIX, 2, 0);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(read_only); i++)
        set(WINDOW + read_only[i], 2, 0xffff);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
    /* Fields are accessed whole. */
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_STATUS, 2), 0xffff);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_NUMQ, 4), 0xffffffff);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_DESCLO, 8), UINT64_MAX);
    set(WINDOW + VIRTIO_PCI_COMMON_STATUS, 4, 0);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1), 11);
    for (unsigned offset = 0; offset < VIRTIO_PCI_BAR_BYTES; offset += 4)
        get(WINDOW + offset, 8);
    memcpy(t.config, "0123456789abcdef", 16);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_BAR_DEVICE + 1, 1), '1');
    assert_int_equal(get(WINDOW + VIRTIO_PCI_BAR_DEVICE + 13, 4), 0xffffffff);
    set(WINDOW + VIRTIO_PCI_BAR_DEVICE, 1, 'x');
    assert_int_equal(t.config[0], 'x');
}

static void test_messages(void **state)
{
    start();
    enable_messages();
    ring_add(&t.rings[1], 0, DATA, 16, VRING_DESC_F_WRITE);
    ring_bell(WINDOW, 1);
    assert_int_equal(t.notified[1], 1);
    assert_true(interrupted(2));
    assert_false(interrupted(1));
    assert_int_equal(get(WINDOW + VIRTIO_PCI_BAR_ISR, 1), 0);
    virtio_device_lock(&t.virtio);
    virtio_device_config_changed(&t.virtio);
    virtio_device_unlock(&t.virtio);
    assert_true(interrupted(0));
    set(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1, 0); /* forgets the vectors */
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
    set(WINDOW + VIRTIO_PCI_BAR_NOTIFY + 4, 2, 0); /* not its own index */
    set(WINDOW + VIRTIO_PCI_BAR_NOTIFY + 4 * QUEUES, 2, QUEUES);
    set(WINDOW + VIRTIO_PCI_BAR_NOTIFY + 1, 2, 0);
    surroundings_settle(&t.around);
    assert_int_equal(t.notified[1], 1);
}

/* 4.1.5.3: the pin is asserted until the ISR status is read. */
static void test_without_messages(void **state)
{
    start();
    ring_add(&t.rings[0], 0, DATA, 16, VRING_DESC_F_WRITE);
    ring_bell(WINDOW, 0);
    assert_int_equal(t.notified[0], 1);
    assert_false(interrupted(1));
    assert_int_equal(t.pins[1], 1);
    assert_true(get(SPACE + PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_BAR_ISR, 1), 1);
    assert_int_equal(t.pins[1], 0);
    assert_false(get(SPACE + PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_BAR_ISR, 1), 0);
}

static void change_config(void)
{
    virtio_device_lock(&t.virtio);
    virtio_device_config_changed(&t.virtio);
    virtio_device_unlock(&t.virtio);
}

static void test_pin(void **state)
{
    start();
    change_config();
    assert_int_equal(t.pins[1], 1);
    set(SPACE + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
    assert_int_equal(t.pins[1], 0);
    assert_true(get(SPACE + PCI_STATUS, 2) & PCI_STATUS_INTERRUPT); /* 6.2.3: all the same */
    master(true);
    assert_int_equal(t.pins[1], 1);
    enable_messages(); /* 6.8.3.3: then the pin is not used */
    assert_int_equal(t.pins[1], 0);
    set(SPACE + capability(0) + PCI_MSIX_FLAGS, 2, 0);
    assert_int_equal(t.pins[1], 1);
    set(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1, 0); /* a reset forgets */
    assert_int_equal(t.pins[1], 0);
    start();
    change_config();
    assert_int_equal(t.pins[1], 1);
    virtio_pci_unplug(t.device);
    assert_int_equal(t.pins[1], 0);
    assert_int_equal(virtio_pci_number(t.device), 0);
    change_config();
    assert_int_equal(t.pins[1], 0);
}

/* 6.2.2: without bus mastering the device touches no memory, and sends no message. */
static void test_mastering(void **state)
{
    start();
    enable_messages();
    master(false);
    ring_add(&t.rings[1], 0, DATA, 16, VRING_DESC_F_WRITE);
    ring_bell(WINDOW, 1);
    assert_int_equal(t.notified[1], 0);
    change_config();
    assert_false(interrupted(0));
    assert_int_equal(get(WINDOW + VIRTIO_PCI_BAR_PENDING, 8), 1);
    master(true);
    surroundings_settle(&t.around);
    assert_true(interrupted(0));
    assert_true(t.notified[1] > 0);
    assert_true(interrupted(2));
}

static void test_late_mastering(void **state)
{
    unsigned activated = t.activated;

    master(false);
    start();
    assert_int_equal(t.activated, activated);
    master(true);
    assert_int_equal(t.activated, activated + 1);
    master(false);
    start();
    set(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1, 0); /* not wanted any more */
    master(true);
    assert_int_equal(t.activated, activated + 1);
}

static void test_express(void **state)
{
    unsigned at = (unsigned)get(SPACE + PCI_CAPABILITY_LIST, 1);

    while (at && get(SPACE + at, 1) != PCI_CAP_ID_EXP)
        at = (unsigned)get(SPACE + at + 1, 1);
    assert_true(at);
    assert_int_equal(get(SPACE + at + PCI_EXP_FLAGS, 2), 2 | PCI_EXP_TYPE_RC_END << 4);
    set(SPACE + at + PCI_EXP_DEVCTL, 2, 0xffff);
    assert_int_equal(get(SPACE + at + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
    assert_int_equal(get(SPACE + 0x100, 4), 0); /* no extended capabilities */
    assert_int_equal(get(SPACE + 0xffc, 4), 0);
}

/* A driver that sets no size gets all of it; one that sets an impossible size gets nothing. */
static void test_sizes(void **state)
{
    negotiate();
    set(WINDOW + VIRTIO_PCI_COMMON_Q_SELECT, 2, 1);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
    assert_int_equal(t.virtio.queues[1].size, 16);
    negotiate();
    set(WINDOW + VIRTIO_PCI_COMMON_Q_SIZE, 2, 512);
    set(WINDOW + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    set(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1, 15);
    assert_true(get(WINDOW + VIRTIO_PCI_COMMON_STATUS, 1) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* 4.1.4.9. */
static void test_window(void **state)
{
    unsigned at = capability(VIRTIO_PCI_CAP_PCI_CFG);

    set(SPACE + at + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_COMMON_NUMQ);
    set(SPACE + at + VIRTIO_PCI_CAP_LENGTH, 4, 2);
    assert_int_equal(get(SPACE + at + 16, 2), QUEUES);
    set(SPACE + at + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_BAR_MSIX);
    set(SPACE + at + VIRTIO_PCI_CAP_LENGTH, 4, 4);
    set(SPACE + at + 16, 4, 0xfee01000);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_BAR_MSIX, 4), 0xfee01000);
    set(SPACE + at + VIRTIO_PCI_CAP_BAR, 1, 1); /* leads nowhere, as do all of these */
    set(SPACE + at + 16, 4, 0);
    set(SPACE + at + VIRTIO_PCI_CAP_BAR, 1, 0);
    set(SPACE + at + VIRTIO_PCI_CAP_LENGTH, 4, 3);
    set(SPACE + at + 16, 4, 0);
    set(SPACE + at + VIRTIO_PCI_CAP_LENGTH, 4, 4);
    set(SPACE + at + VIRTIO_PCI_CAP_OFFSET, 4, VIRTIO_PCI_BAR_BYTES);
    set(SPACE + at + 16, 4, 0);
    set(SPACE + at + VIRTIO_PCI_CAP_OFFSET, 4, 0xfffffffc);
    set(SPACE + at + 16, 4, 0);
    get(SPACE + at + 16, 4);
    assert_int_equal(get(WINDOW + VIRTIO_PCI_BAR_MSIX, 4), 0xfee01000);
}

static void test_doorbells_move(void **state)
{
    assert_int_equal(t.attached[2], WINDOW + VIRTIO_PCI_BAR_NOTIFY + 8);
    set(SPACE + PCI_BASE_ADDRESS_0, 4, WINDOW + 0x10000);
    assert_int_equal(t.attached[2], WINDOW + 0x10000 + VIRTIO_PCI_BAR_NOTIFY + 8);
    set(SPACE + PCI_COMMAND, 2, 0);
    assert_int_equal(t.attached[0], 0);
    set(SPACE + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(t.attached[0], WINDOW + 0x10000 + VIRTIO_PCI_BAR_NOTIFY);
}

static void test_no_vectors(void **state)
{
    surround(false);
    t.take_result = -ENOSPC;
    assert_int_equal(create(), -ENOSPC);
    t.take_result = 0;
    assert_int_equal(create(), 0);
    assert_int_equal(teardown(NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_registers),
        TEST(test_messages),
        TEST(test_without_messages),
        TEST(test_sizes),
        TEST(test_pin),
        TEST(test_mastering),
        TEST(test_late_mastering),
        TEST(test_express),
        TEST(test_window),
        cmocka_unit_test_setup_teardown(test_doorbells_move, setup_accelerated, teardown),
        cmocka_unit_test(test_no_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
