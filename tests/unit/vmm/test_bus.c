// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/io.h"
#include "vmm/bus.h"

/* A device that notes the last access and reads as the low bytes of its offset. */
struct probe {
    uint64_t offset;
    unsigned size;
    uint64_t value;
    unsigned reads, writes;
};

static void probe_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct probe *probe = device;

    for (unsigned i = 0; i < size; i++)
        assert_int_equal(((uint8_t *)data)[i], 0xff); /* bus.h: what a handler finds */
    probe->reads++;
    probe->offset = offset;
    probe->size = size;
    put_le_sized(data, size, offset);
}

static void probe_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    struct probe *probe = device;

    probe->writes++;
    probe->offset = offset;
    probe->size = size;
    probe->value = get_le_sized(data, size);
}

static const struct bus_ops probe_ops = {.read = probe_read, .write = probe_write};

static void ignore_read(void *device, uint64_t offset, void *data, unsigned size)
{
}

static const struct bus_ops silent_ops = {.read = ignore_read, .write = probe_write};

struct fixture {
    struct bus *bus;
    struct probe a, b;
};

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    *state = &f;
    return bus_create(NULL, &f.bus);
}

static int teardown(void **state)
{
    bus_destroy(((struct fixture *)*state)->bus);
    return 0;
}

static uint64_t read_at(struct fixture *f, uint64_t address, unsigned size)
{
    uint8_t data[8] = {0};

    bus_read(f->bus, address, data, size);
    return get_le_sized(data, size);
}

static bool write_at(struct fixture *f, uint64_t address, unsigned size, uint64_t value)
{
    uint8_t data[8];

    put_le64(data, value);
    return bus_write(f->bus, address, data, size);
}

static void accesses_reach_their_device(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(bus_attach(f->bus, 0x1000, 0x100, &probe_ops, &f->a, "a"), 0);
    assert_int_equal(bus_attach(f->bus, 0x1100, 0x100, &probe_ops, &f->b, "b"), 0);
    for (unsigned size = 1; size <= 8; size *= 2) {
        assert_int_equal(read_at(f, 0x1010, size), 0x10);
        assert_int_equal(f->a.size, size);
        assert_true(write_at(f, 0x1120, size, 0x77));
        assert_int_equal(f->b.offset, 0x20);
        assert_int_equal(f->b.size, size);
        assert_int_equal(f->b.value, 0x77);
    }
    assert_int_equal(f->a.reads, 4);
    assert_int_equal(f->a.writes, 0);
    assert_int_equal(f->b.writes, 4);
}

static void accesses_nobody_claims_whole_read_as_ones(void **state)
{
    static const struct {
        uint64_t address;
        unsigned size;
    } cases[] = {
        {0xfff, 1},  {0xfff, 2},  {0xffd, 4},      {0x1100, 1},         {0x10ff, 2},
        {0x10fd, 4}, {0x10f9, 8}, {UINT64_MAX, 1}, {UINT64_MAX - 3, 8}, {0, 8},
    };
    struct fixture *f = *state;
    uint8_t data[8];

    assert_int_equal(read_at(f, 0x1000, 4), UINT32_MAX); /* an empty bus */
    assert_int_equal(bus_attach(f->bus, 0x1000, 0x100, &probe_ops, &f->a, "a"), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        memset(data, 0, sizeof(data));
        assert_false(bus_read(f->bus, cases[i].address, data, cases[i].size));
        for (unsigned j = 0; j < cases[i].size; j++)
            assert_int_equal(data[j], 0xff);
        assert_false(write_at(f, cases[i].address, cases[i].size, 1));
    }
    assert_int_equal(f->a.reads + f->a.writes, 0);
    assert_int_equal(read_at(f, 0x10ff, 1), 0xff);
    assert_int_equal(f->a.reads, 1);
}

static void a_handler_may_leave_the_ones(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(bus_attach(f->bus, 0, 16, &silent_ops, &f->a, "a"), 0);
    assert_int_equal(read_at(f, 0, 8), UINT64_MAX);
}

static void touching_ranges_do_not_merge(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(bus_attach(f->bus, 0x10, 0x10, &probe_ops, &f->a, "a"), 0);
    assert_int_equal(bus_attach(f->bus, 0x20, 0x10, &probe_ops, &f->b, "b"), 0);
    assert_false(write_at(f, 0x1f, 2, 0));
    assert_true(write_at(f, 0x1e, 2, 0));
    assert_true(write_at(f, 0x20, 2, 0));
    assert_int_equal(f->a.writes, 1);
    assert_int_equal(f->b.writes, 1);
}

static void overlaps_and_impossible_ranges_are_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(bus_attach(f->bus, 0x1000, 0x100, &probe_ops, &f->a, "a"), 0);
    assert_int_equal(bus_attach(f->bus, 0x1000, 0x100, &probe_ops, &f->b, "b"), -EEXIST);
    assert_int_equal(bus_attach(f->bus, 0xfff, 2, &probe_ops, &f->b, "b"), -EEXIST);
    assert_int_equal(bus_attach(f->bus, 0x10ff, 1, &probe_ops, &f->b, "b"), -EEXIST);
    assert_int_equal(bus_attach(f->bus, 0x10ff, 0x1000, &probe_ops, &f->b, "b"), -EEXIST);
    assert_int_equal(bus_attach(f->bus, 0, UINT64_MAX, &probe_ops, &f->b, "b"), -EEXIST);
    assert_int_equal(bus_attach(f->bus, 0x2000, 0, &probe_ops, &f->b, "b"), -EINVAL);
    assert_int_equal(bus_attach(f->bus, UINT64_MAX, 2, &probe_ops, &f->b, "b"), -EINVAL);
    assert_int_equal(bus_attach(f->bus, 0x1100, UINT64_MAX, &probe_ops, &f->b, "b"), -EINVAL);
    assert_int_equal(bus_attach(f->bus, UINT64_MAX - 7, 8, &probe_ops, &f->b, "b"), 0);
    assert_true(write_at(f, UINT64_MAX - 7, 8, 1)); /* up to the last address */
    assert_false(write_at(f, UINT64_MAX - 3, 8, 1));
    assert_int_equal(f->b.writes, 1);
}

static void many_ranges_are_found_in_any_order_of_attaching(void **state)
{
    struct fixture *f = *state;
    struct probe probes[128] = {0};

    for (unsigned i = 0; i < 128; i++) {
        unsigned slot = i * 37 % 128;

        assert_int_equal(bus_attach(f->bus, slot * 0x20, 0x10, &probe_ops, &probes[slot], "probe"),
                         0);
    }
    assert_int_equal(bus_attach(f->bus, 0x10000, 1, &probe_ops, &f->a, "one more"), -ENOSPC);
    for (unsigned slot = 0; slot < 128; slot++) {
        assert_true(write_at(f, slot * 0x20 + 0xf, 1, slot));
        assert_int_equal(probes[slot].value, slot);
        assert_false(write_at(f, slot * 0x20 + 0x10, 1, 0));
    }
    /* Every second one goes. */
    for (unsigned slot = 0; slot < 128; slot += 2)
        bus_detach(f->bus, slot * 0x20);
    for (unsigned slot = 0; slot < 128; slot++)
        assert_int_equal(write_at(f, slot * 0x20, 1, 0), slot % 2);
    bus_detach(f->bus, 0x21); /* inside a range, but not its start */
    bus_detach(f->bus, 0x100000);
    assert_true(write_at(f, 0x20, 1, 0));
    assert_int_equal(bus_attach(f->bus, 0, 0x20, &probe_ops, &f->a, "again"), 0);
}

/* ---- eventfds ---- */

static void an_eventfd_takes_its_writes(void **state)
{
    struct fixture *f = *state;
    int zero = eventfd_open(), one = eventfd_open();

    assert_int_equal(bus_attach(f->bus, 0x1000, 0x100, &probe_ops, &f->a, "a"), 0);
    assert_int_equal(bus_attach_eventfd(f->bus, 0x1050, 4, 0, zero), 0);
    assert_int_equal(bus_attach_eventfd(f->bus, 0x1050, 4, 1, one), 0);
    assert_true(write_at(f, 0x1050, 4, 1));
    assert_int_equal(eventfd_drain(zero), 0);
    assert_int_equal(eventfd_drain(one), 1);
    assert_int_equal(f->a.writes, 0);
    /* Another value, size or address is the device's. */
    assert_true(write_at(f, 0x1050, 4, 2));
    assert_true(write_at(f, 0x1050, 2, 1));
    assert_true(write_at(f, 0x1050, 8, 1));
    assert_true(write_at(f, 0x1054, 4, 1));
    assert_int_equal(f->a.writes, 4);
    assert_int_equal(eventfd_drain(zero) + eventfd_drain(one), 0);
    /* The high bits of the value do not count for a narrow write. */
    assert_true(write_at(f, 0x1050, 4, 0xffffffff00000001ull));
    assert_int_equal(eventfd_drain(one), 1);

    bus_detach_eventfd(f->bus, 0x1050, 4, 0, one); /* not this pair */
    bus_detach_eventfd(f->bus, 0x1050, 4, 1, one);
    assert_true(write_at(f, 0x1050, 4, 1));
    assert_true(write_at(f, 0x1050, 4, 0));
    assert_int_equal(f->a.writes, 5);
    assert_int_equal(eventfd_drain(zero), 1);
    close_fd(&zero);
    close_fd(&one);
}

static void an_eventfd_lies_inside_a_range(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(bus_attach_eventfd(f->bus, 0x1000, 4, 0, 0), -EINVAL);
    assert_int_equal(bus_attach(f->bus, 0x1000, 8, &probe_ops, &f->a, "a"), 0);
    assert_int_equal(bus_attach_eventfd(f->bus, 0x1006, 4, 0, 0), -EINVAL);
}

struct accelerator {
    unsigned attached, detached;
    int result;
    uint64_t address, value;
    unsigned size;
    int fd;
};

static int accelerate(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    struct accelerator *acc = arg;

    acc->attached++;
    acc->address = address;
    acc->size = size;
    acc->value = value;
    acc->fd = fd;
    return acc->result;
}

static void decelerate(void *arg, uint64_t address, unsigned size, uint64_t value, int fd)
{
    struct accelerator *acc = arg;

    assert_int_equal(address, acc->address);
    assert_int_equal(size, acc->size);
    assert_int_equal(value, acc->value);
    assert_int_equal(fd, acc->fd);
    acc->detached++;
}

static void an_accelerator_matches_instead_of_the_bus(void **state)
{
    struct accelerator acc = {0};
    const struct bus_accelerator table = {.attach = accelerate, .detach = decelerate, .arg = &acc};
    struct fixture f = {0};

    assert_int_equal(bus_create(&table, &f.bus), 0);
    assert_int_equal(bus_attach_eventfd(f.bus, 0x1000, 4, 3, 77), -EINVAL);
    assert_int_equal(acc.attached, 0);
    assert_int_equal(bus_attach(f.bus, 0x1000, 8, &probe_ops, &f.a, "a"), 0);
    assert_int_equal(bus_attach_eventfd(f.bus, 0x1000, 4, 3, 77), 0);
    assert_int_equal(acc.attached, 1);
    /* A write that arrives all the same is an ordinary one. */
    assert_true(write_at(&f, 0x1000, 4, 3));
    assert_int_equal(f.a.writes, 1);
    bus_detach_eventfd(f.bus, 0x1000, 4, 3, 77);
    assert_int_equal(acc.detached, 1);
    acc.result = -ENOSPC;
    assert_int_equal(bus_attach_eventfd(f.bus, 0x1000, 4, 3, 77), -ENOSPC);
    bus_destroy(f.bus);
    bus_destroy(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(accesses_reach_their_device),
        TEST(accesses_nobody_claims_whole_read_as_ones),
        TEST(a_handler_may_leave_the_ones),
        TEST(touching_ranges_do_not_merge),
        TEST(overlaps_and_impossible_ranges_are_refused),
        TEST(many_ranges_are_found_in_any_order_of_attaching),
        TEST(an_eventfd_takes_its_writes),
        TEST(an_eventfd_lies_inside_a_range),
        cmocka_unit_test(an_accelerator_matches_instead_of_the_bus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
