// SPDX-License-Identifier: Apache-2.0
/* The PCI host bridge and configuration space: devices/pci/host.c and function.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "devices/pci/host.h"
#include "tests/harness/ring_driver.h"

#define ECAM      0xc0000000ull
#define LOW_BASE  0xe0000000ull
#define LOW_SIZE  0x100000ull
#define HIGH_BASE 0x1000000000ull
#define HIGH_SIZE 0x1000000ull
#define A_BYTES   0x4000u
#define B_BYTES   0x1000u

static const struct pci_identity identity = {
    .vendor = 0x1234, .device = 0x5678, .subsystem = 9, .class_code = 0xff0000, .revision = 3};

struct probe {
    struct pci_function function;
    uint64_t at[PCI_BARS];
    unsigned moves, reads, writes, bar, size;
    uint64_t offset;
    unsigned config_reads, config_writes;
};

static struct test {
    struct virtio_surroundings around;
    struct pci_host *host;
    struct probe a, b;
} t;

static void probe_config_read(struct pci_function *function, unsigned offset, unsigned size)
{
    ((struct probe *)function)->config_reads++;
}

static void probe_config_written(struct pci_function *function, unsigned offset, const void *data,
                                 unsigned size)
{
    ((struct probe *)function)->config_writes++;
}

static void probe_bar_read(struct pci_function *function, unsigned bar, uint64_t offset, void *data,
                           unsigned size)
{
    struct probe *probe = (struct probe *)function;

    probe->reads++;
    probe->bar = bar;
    probe->offset = offset;
    memset(data, 0x11, size);
}

static void probe_bar_write(struct pci_function *function, unsigned bar, uint64_t offset,
                            const void *data, unsigned size)
{
    struct probe *probe = (struct probe *)function;

    probe->writes++;
    probe->bar = bar;
    probe->offset = offset;
}

/* No two BARs of the two ever meet, on the way neither. */
static void probe_bar_moved(struct pci_function *function, unsigned bar, uint64_t from, uint64_t to)
{
    struct probe *probe = (struct probe *)function;
    const struct probe *other = probe == &t.a ? &t.b : &t.a;

    assert_int_equal(probe->at[bar], from);
    probe->at[bar] = to;
    probe->moves++;
    for (unsigned i = 0; i < PCI_BARS && to != PCI_NOWHERE; i++) {
        if (other->function.bars[i].size && other->at[i] != PCI_NOWHERE)
            assert_true(other->at[i] + other->function.bars[i].size <= to ||
                        to + function->bars[bar].size <= other->at[i]);
    }
}

static const struct pci_function_ops probe_ops = {
    .config_read = probe_config_read,
    .config_written = probe_config_written,
    .bar_read = probe_bar_read,
    .bar_write = probe_bar_write,
    .bar_moved = probe_bar_moved,
};

static void init_probe(struct probe *probe)
{
    pci_function_init(&probe->function, &probe_ops, "probe", &identity);
    for (unsigned i = 0; i < PCI_BARS; i++)
        probe->at[i] = PCI_NOWHERE;
}

static int setup(void **state)
{
    const struct pci_window low = {LOW_BASE, LOW_SIZE}, high = {HIGH_BASE, HIGH_SIZE};

    memset(&t, 0, sizeof(t));
    surroundings_init(&t.around, NULL);
    assert_int_equal(pci_host_create(&t.around.env, ECAM, &low, &high, NULL, &t.host), 0);
    init_probe(&t.a);
    init_probe(&t.b);
    assert_int_equal(pci_function_add_bar(&t.a.function, 0, A_BYTES, true), 0);
    assert_int_equal(pci_function_add_bar(&t.b.function, 1, B_BYTES, false), 0);
    assert_int_equal(pci_function_add_bar(&t.b.function, 2, LOW_SIZE, true), 0); /* does not fit */
    assert_int_equal(pci_host_plug(t.host, &t.a.function, PCI_NEXT_FREE, true), 0);
    assert_int_equal(pci_host_plug(t.host, &t.b.function, PCI_NEXT_FREE, true), 0);
    return 0;
}

static int teardown(void **state)
{
    pci_host_unplug(t.host, &t.a.function);
    pci_host_unplug(t.host, &t.b.function);
    assert_int_equal(t.a.at[0], PCI_NOWHERE);
    assert_int_equal(t.b.at[1], PCI_NOWHERE);
    device_destroy(pci_host_device(t.host));
    surroundings_release(&t.around);
    return 0;
}

static uint64_t get(unsigned slot, unsigned offset, unsigned size)
{
    uint8_t bytes[8];

    bus_read(t.around.mmio, ECAM + (slot << 15) + offset, bytes, size);
    return get_le_sized(bytes, size);
}

static void set(unsigned slot, unsigned offset, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    put_le64(bytes, value);
    bus_write(t.around.mmio, ECAM + (slot << 15) + offset, bytes, size);
}

static uint32_t port(unsigned number, unsigned size, bool write, uint32_t value)
{
    uint8_t bytes[4];

    put_le32(bytes, value);
    if (write)
        bus_write(t.around.ports, number, bytes, size);
    else
        bus_read(t.around.ports, number, bytes, size);
    return (uint32_t)get_le_sized(bytes, size);
}

static void set_bar(unsigned slot, unsigned bar, uint64_t address)
{
    set(slot, PCI_BASE_ADDRESS_0 + 4 * bar, 4, (uint32_t)address);
    set(slot, PCI_BASE_ADDRESS_0 + 4 * bar + 4, 4, address >> 32);
}

static bool answers(uint64_t address, unsigned size)
{
    uint8_t bytes[8];

    bus_read(t.around.mmio, address, bytes, size);
    return bytes[0] == 0x11;
}

static void test_header(void **state)
{
    assert_int_equal(get(1, 0, 4), 0x56781234);
    assert_int_equal(get(1, PCI_CLASS_REVISION, 4), 0xff000003);
    assert_int_equal(get(0, PCI_CLASS_REVISION + 1, 1), 0); /* unaligned size 1 is fine */
    assert_int_equal(get(3, 0, 4), 0xffffffff);
    assert_int_equal(get(1, 0x1000, 4), 0xffffffff); /* function 1 */
    assert_int_equal(get(1, 0x100, 4), 0);
    assert_int_equal(get(1, 1, 2), 0xffff);
    assert_int_equal(get(1, 2, 4), 0xffffffff);
    assert_int_equal(get(1, 0, 8), UINT64_MAX);
    set(1, 0, 4, 0);
    set(1, PCI_STATUS, 2, 0xffff);
    set(1, PCI_INTERRUPT_PIN, 1, 1);
    set(1, PCI_ROM_ADDRESS, 4, 0xffffffff);
    assert_int_equal(get(1, 0, 4), 0x56781234);
    assert_int_equal(get(1, PCI_STATUS, 2), 0);
    assert_int_equal(get(1, PCI_INTERRUPT_PIN, 1), 0);
    assert_int_equal(get(1, PCI_ROM_ADDRESS, 4), 0);
    set(1, PCI_COMMAND, 2, 0xffff);
    assert_int_equal(get(1, PCI_COMMAND, 2),
                     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
    set(0x1f, 0, 4, 0); /* nobody */
}

static void test_ports(void **state)
{
    port(0xcf8, 4, true, 0x80000800);
    assert_int_equal(port(0xcf8, 4, false, 0), 0x80000800);
    assert_int_equal(port(0xcfc, 4, false, 0), 0x56781234);
    assert_int_equal(port(0xcfd, 1, false, 0), 0x12);
    assert_int_equal(port(0xcfe, 2, false, 0), 0x5678);
    assert_int_equal(port(0xcfd, 2, false, 0), 0xffff);
    port(0xcf8, 1, true, 0);
    port(0xcfb, 1, true, 0);
    assert_int_equal(port(0xcf8, 4, false, 0), 0x80000800);
    port(0xcf8, 4, true, 0x80000804);
    port(0xcfc, 2, true, 0);
    assert_int_equal(get(1, PCI_COMMAND, 2), 0);
    assert_int_equal(t.a.at[0], PCI_NOWHERE);
    port(0xcf8, 4, true, 0x00000800); /* not enabled */
    assert_int_equal(port(0xcfc, 4, false, 0), 0xffffffff);
    port(0xcf8, 4, true, 0x80010800); /* bus 1 */
    assert_int_equal(port(0xcfc, 4, false, 0), 0xffffffff);
    port(0xcfc, 4, true, 2);
    port(0xcf8, 4, true, 0xffffffff);
    assert_int_equal(port(0xcf8, 4, false, 0), 0x80fffffc);
}

static void test_assigned(void **state)
{
    assert_int_equal(t.a.at[0], LOW_BASE);
    assert_int_equal(t.b.at[1], LOW_BASE + A_BYTES);
    assert_int_equal(t.b.at[2], HIGH_BASE);
    assert_true(answers(LOW_BASE + 8, 4));
    assert_int_equal(t.a.offset, 8);
    assert_true(answers(LOW_BASE + A_BYTES + 4, 1));
    assert_int_equal(t.b.bar, 1);
    assert_true(answers(HIGH_BASE, 8));
    assert_int_equal(t.b.bar, 2);
    assert_false(answers(LOW_BASE + A_BYTES - 4, 8)); /* in both, whole in none */
    assert_false(answers(LOW_BASE + A_BYTES + B_BYTES, 4));
}

static void test_sizing(void **state)
{
    set_bar(1, 0, UINT64_MAX);
    assert_int_equal(get(1, PCI_BASE_ADDRESS_0, 4), (uint32_t) ~(A_BYTES - 1) | 4);
    assert_int_equal(get(1, PCI_BASE_ADDRESS_1, 4), 0xffffffff);
    assert_int_equal(t.a.at[0], PCI_NOWHERE);
    assert_int_equal(get(1, PCI_BASE_ADDRESS_2, 4), 0);
    set_bar(1, 0, HIGH_BASE + HIGH_SIZE / 2 + 0x123);
    assert_int_equal(t.a.at[0], HIGH_BASE + HIGH_SIZE / 2);
    assert_true(answers(HIGH_BASE + HIGH_SIZE / 2, 4));
    assert_false(answers(LOW_BASE, 4));
    set(2, PCI_BASE_ADDRESS_1, 4, 0xffffffff);
    assert_int_equal(get(2, PCI_BASE_ADDRESS_1, 4), 0xfffff000);
}

/* The edges of the windows, and far outside. */
static void test_outside(void **state)
{
    static const uint64_t outside[] = {
        0,    LOW_BASE - A_BYTES, LOW_BASE + LOW_SIZE, HIGH_BASE - A_BYTES, HIGH_BASE + HIGH_SIZE,
        ECAM, 1ull << 63,         UINT64_MAX};

    for (unsigned i = 0; i < ARRAY_SIZE(outside); i++) {
        set_bar(1, 0, outside[i]);
        assert_int_equal(t.a.at[0], PCI_NOWHERE);
    }
    set_bar(1, 0, LOW_BASE + LOW_SIZE - A_BYTES);
    assert_int_equal(t.a.at[0], LOW_BASE + LOW_SIZE - A_BYTES);
}

static void test_overlap(void **state)
{
    set_bar(1, 0, LOW_BASE + A_BYTES); /* over b's BAR 1, which is smaller */
    assert_int_equal(t.a.at[0], PCI_NOWHERE);
    assert_int_equal(t.b.at[1], PCI_NOWHERE);
    assert_int_equal(t.b.at[2], HIGH_BASE);
    assert_false(answers(LOW_BASE + A_BYTES, 4));
    set(1, PCI_COMMAND, 2, 0); /* the other is alone now */
    assert_int_equal(t.b.at[1], LOW_BASE + A_BYTES);
    set(1, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(t.b.at[1], PCI_NOWHERE);
    set(2, PCI_BASE_ADDRESS_1, 4, LOW_BASE); /* changing places */
    assert_int_equal(t.a.at[0], LOW_BASE + A_BYTES);
    assert_int_equal(t.b.at[1], LOW_BASE);
    assert_true(answers(LOW_BASE, 4));
    assert_int_equal(t.b.bar, 1);
    set_bar(2, 2, HIGH_BASE + LOW_SIZE); /* of one function, apart from its own */
    assert_int_equal(t.b.at[2], HIGH_BASE + LOW_SIZE);
}

static void test_full(void **state)
{
    static struct probe many[PCI_DEVICES_MAX];
    unsigned plugged = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(many); i++) {
        init_probe(&many[i]);
        if (pci_host_plug(t.host, &many[i].function, PCI_NEXT_FREE, true) == 0)
            plugged++;
    }
    assert_int_equal(plugged, PCI_DEVICES_MAX - 3);
    for (unsigned i = 0; i < plugged; i++)
        pci_host_unplug(t.host, &many[i].function);
    assert_int_equal(get(31, 0, 4), 0xffffffff);
}

/* Numbers and addresses of what left are given again, and those of others are not. */
static void test_come_and_go(void **state)
{
    struct probe probe;

    pci_host_unplug(t.host, &t.a.function);
    assert_int_equal(t.a.at[0], PCI_NOWHERE);
    assert_int_equal(get(1, 0, 4), 0xffffffff);
    pci_host_unplug(t.host, &t.a.function);
    init_probe(&probe);
    assert_int_equal(pci_function_add_bar(&probe.function, 0, A_BYTES / 2, PCI_BAR_PREFETCHABLE),
                     0);
    assert_int_equal(pci_host_plug(t.host, &probe.function, 2, false), -EBUSY);
    assert_int_equal(pci_host_plug(t.host, &probe.function, PCI_DEVICES_MAX, false), -EINVAL);
    assert_int_equal(pci_host_plug(t.host, &probe.function, 7, false), 0);
    assert_int_equal(probe.function.number, 7);
    assert_int_equal(get(7, PCI_BASE_ADDRESS_0, 4), LOW_BASE | PCI_BASE_ADDRESS_MEM_PREFETCH);
    assert_int_equal(get(7, PCI_COMMAND, 2), 0); /* as after reset */
    assert_int_equal(probe.at[0], PCI_NOWHERE);
    set(7, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(probe.at[0], LOW_BASE);
    assert_int_equal(pci_host_plug(t.host, &t.a.function, PCI_NEXT_FREE, true), 0);
    assert_int_equal(t.a.function.number, 1);
    assert_int_equal(t.a.at[0], LOW_BASE + 2 * A_BYTES); /* B's is in between */
    pci_host_unplug(t.host, &probe.function);
}

/* PCI Express has 4096 bytes, which the ports do not reach. */
static void test_extended_space(void **state)
{
    uint8_t bytes[4];

    put_le32(t.a.function.config + 0x100, 0x12345678);
    put_le32(t.a.function.writable + 0xffc, 0xffff);
    assert_int_equal(get(1, 0x100, 4), 0x12345678);
    set(1, 0xffc, 4, 0xabcdabcd);
    assert_int_equal(get(1, 0xffc, 4), 0xabcd);
    put_le32(bytes, 0x80000000u | 1u << 11 | 0x100 | 0xfc);
    bus_write(t.around.ports, PCI_ADDRESS_PORT, bytes, 4);
    bus_read(t.around.ports, PCI_ADDRESS_PORT + 4, bytes, 4);
    assert_int_equal(get_le32(bytes), 0xffffffff); /* that was device 1, function 1 */
}

static void test_impossible_functions(void **state)
{
    struct probe probe;

    init_probe(&probe);
    assert_int_equal(pci_function_add_bar(&probe.function, 5, 4096, true), -EINVAL);
    assert_int_equal(pci_function_add_bar(&probe.function, 6, 4096, false), -EINVAL);
    assert_int_equal(pci_function_add_bar(&probe.function, 0, 2048, false), -EINVAL);
    assert_int_equal(pci_function_add_bar(&probe.function, 0, 4096 + 2048, false), -EINVAL);
    assert_int_equal(pci_function_add_bar(&probe.function, 0, 1ull << 32, false), -EINVAL);
    assert_int_equal(pci_function_add_bar(&probe.function, 1, 4096, true), 0);
    assert_int_equal(pci_function_add_bar(&probe.function, 2, 4096, false), -EINVAL);
    assert_int_equal(pci_function_add_bar(&probe.function, 0, 4096, true), -EINVAL);
    assert_int_equal(pci_function_add_bar(&probe.function, 0, LOW_SIZE * 2, false), 0);
    assert_int_equal(pci_host_plug(t.host, &probe.function, PCI_NEXT_FREE, true), -ENOSPC);
    assert_int_equal(pci_function_add_capability(&probe.function, 9, 0x40), 0x40);
    assert_int_equal(pci_function_add_capability(&probe.function, 9, 0x81), -ENOSPC);
    assert_int_equal(pci_function_add_capability(&probe.function, 9, 0x80), 0x80);
    assert_int_equal(pci_function_add_capability(&probe.function, 9, 2), -ENOSPC);
    assert_int_equal(probe.function.config[PCI_CAPABILITY_LIST], 0x40);
    assert_int_equal(probe.function.config[0x41], 0x80);
    assert_int_equal(probe.function.config[0x81], 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_header),      TEST(test_ports),
        TEST(test_assigned),    TEST(test_sizing),
        TEST(test_outside),     TEST(test_overlap),
        TEST(test_come_and_go), TEST(test_extended_space),
        TEST(test_full),        TEST(test_impossible_functions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
