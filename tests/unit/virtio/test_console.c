// SPDX-License-Identifier: Apache-2.0
/* virtio-console over a real backend: input, output, back-pressure, size (virtio 1.2, 5.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/io.h"
#include "devices/backend/console.h"
#include "devices/virtio/devices.h"
#include "tests/harness/ring_driver.h"

#define RECEIVE  0
#define TRANSMIT 1
#define SIZE     64u
#define INPUT    0x100000u /* receive buffers, a page each */
#define OUTPUT   0x200000u
#define WRITE    VRING_DESC_F_WRITE
#define EVENT    (1ull << VIRTIO_RING_F_EVENT_IDX)

static struct {
    struct virtio_surroundings around;
    struct console_backend *backend;
    struct virtio_device *console;
    struct ring_driver rings[2];
    int host; /* our end of the console's socket */
    int guest;
} t;

static void settle(void)
{
    surroundings_settle(&t.around);
}

static void start(uint64_t features)
{
    driver_start(t.console, features, t.rings, 2, SIZE);
    settle();
}

static int setup(void **state)
{
    int ends[2];

    memset(&t, 0, sizeof(t));
    surroundings_init(&t.around, NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    t.host = ends[0];
    t.guest = ends[1];
    assert_int_equal(console_backend_create(t.around.loop, t.guest, t.guest, &t.backend), 0);
    assert_int_equal(virtio_console_create(&t.around.env, t.backend, 80, 25, &t.console), 0);
    surroundings_connect(&t.around, t.console);
    return 0;
}

static int teardown(void **state)
{
    virtio_device_destroy(t.console);
    console_backend_destroy(t.backend, 0);
    surroundings_release(&t.around);
    close_fd(&t.host);
    close_fd(&t.guest);
    return 0;
}

static void kick(unsigned queue)
{
    virtio_device_kick(t.console, queue);
}

static void type(const void *data, size_t len)
{
    assert_int_equal(send(t.host, data, len, MSG_NOSIGNAL), len);
    settle();
}

static void add_input(uint16_t index, uint32_t len)
{
    ring_add(&t.rings[RECEIVE], index, INPUT + index * 0x1000u, len, WRITE);
}

/* The next filled receive buffer is `index` and holds `text`. */
static void assert_received(uint16_t index, const char *text)
{
    uint32_t id, len;

    assert_true(ring_used(&t.rings[RECEIVE], &id, &len));
    assert_int_equal(id, index);
    assert_int_equal(len, strlen(text));
    assert_memory_equal(guest_bytes(t.around.memory, INPUT + index * 0x1000u, 0x1000), text, len);
}

static void print(uint16_t index, const char *text)
{
    uint64_t address = OUTPUT + index * 0x1000u;

    memcpy(guest_bytes(t.around.memory, address, 0x1000), text, strlen(text));
    ring_add(&t.rings[TRANSMIT], index, address, (uint32_t)strlen(text), 0);
}

static void assert_printed(const char *text)
{
    char bytes[256];
    ssize_t n = read(t.host, bytes, sizeof(bytes));

    assert_int_equal(n, strlen(text));
    assert_memory_equal(bytes, text, strlen(text));
}

/* ---- what it is ---- */

static void it_is_a_console_of_one_port(void **state)
{
    uint8_t config[12];

    assert_int_equal(t.console->id, VIRTIO_ID_CONSOLE);
    assert_int_equal(t.console->queue_count, 2);
    assert_true(virtio_device_offered(t.console, 0) & 1u << VIRTIO_CONSOLE_F_SIZE);
    assert_false(virtio_device_offered(t.console, 0) & 1u << VIRTIO_CONSOLE_F_MULTIPORT);
    assert_false(virtio_device_offered(t.console, 0) & 1u << VIRTIO_CONSOLE_F_EMERG_WRITE);
    virtio_device_config_read(t.console, 0, config, 8);
    assert_int_equal(get_le16(config), 80);
    assert_int_equal(get_le16(config + 2), 25);
    assert_int_equal(get_le32(config + 4), 1);
    /* Nothing in it can be written. */
    virtio_device_config_write(t.console, 0, "xxxx", 4);
    virtio_device_config_read(t.console, 0, config, 4);
    assert_int_equal(get_le16(config), 80);
}

static void a_resize_is_told(void **state)
{
    uint8_t config[4];
    uint32_t generation = virtio_device_config_generation(t.console);

    virtio_console_resize(t.console, 100, 30); /* before there is a driver */
    assert_int_equal(t.around.config_interrupts, 0);
    start(1ull << VIRTIO_CONSOLE_F_SIZE);
    virtio_console_resize(t.console, 132, 43);
    assert_int_equal(t.around.config_interrupts, 1);
    assert_int_equal(virtio_device_config_generation(t.console), generation + 2);
    virtio_device_config_read(t.console, 0, config, 4);
    assert_int_equal(get_le16(config), 132);
    assert_int_equal(get_le16(config + 2), 43);
}

/* ---- output ---- */

static void output_reaches_the_host(void **state)
{
    uint32_t id, len;

    start(0);
    print(0, "hello ");
    print(1, "world");
    kick(TRANSMIT);
    settle();
    assert_printed("hello world");
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(ring_used(&t.rings[TRANSMIT], &id, &len));
        assert_int_equal(id, i);
        assert_int_equal(len, 0); /* nothing was written to the guest */
    }
    assert_true(t.around.queue_interrupts[TRANSMIT] > 0);
}

static void output_may_come_in_pieces_and_be_empty(void **state)
{
    struct ring_driver *ring = &t.rings[TRANSMIT];

    start(0);
    memcpy(guest_bytes(t.around.memory, OUTPUT, 8), "abcdefgh", 8);
    ring_descriptor(ring, 0, OUTPUT, 3, VRING_DESC_F_NEXT, 1);
    ring_descriptor(ring, 1, OUTPUT, 0, VRING_DESC_F_NEXT, 2);
    ring_descriptor(ring, 2, OUTPUT + 3, 5, VRING_DESC_F_NEXT, 3);
    ring_descriptor(ring, 3, OUTPUT, 100, WRITE, 0); /* not ours to send */
    ring_expose(ring, 0);
    ring_add(ring, 4, OUTPUT, 0, 0);
    kick(TRANSMIT);
    settle();
    assert_printed("abcdefgh");
    assert_int_equal(ring_used_idx(ring), 2);
}

/* A host that does not read: chains wait in the queue, and go on when it does. */
static void assert_output_pushes_back(uint64_t features)
{
    struct ring_driver *ring = &t.rings[TRANSMIT];
    static uint8_t bytes[1 << 16];
    size_t added = 0, got = 0;
    uint16_t used;

    start(features);
    memset(guest_bytes(t.around.memory, OUTPUT, 0x1000), 'x', 0x1000);
    do {
        used = ring_used_idx(ring);
        while ((uint16_t)(ring->next_avail - used) < SIZE) {
            ring_add(ring, ring->next_avail % SIZE, OUTPUT, 0x1000, 0);
            added += 0x1000;
        }
        kick(TRANSMIT);
        settle();
    } while (ring_used_idx(ring) != used);
    assert_false(virtio_device_status(t.console) & VIRTIO_CONFIG_S_NEEDS_RESET);
    for (;;) {
        ssize_t n = read(t.host, bytes, sizeof(bytes));

        if (n <= 0)
            break;
        got += (size_t)n;
        settle();
    }
    assert_int_equal(got, added);
    assert_int_equal(ring_used_idx(ring), ring->next_avail);
}

static void output_pushes_back(void **state)
{
    assert_output_pushes_back(0);
    assert_output_pushes_back(EVENT);
}

static void a_turn_of_output_ends(void **state)
{
    struct ring_driver *ring = &t.rings[TRANSMIT];

    /* Empty chains never fill the backend: the budget alone ends the turn, and what is left follows
     * without a kick. */
    start(EVENT);
    for (uint16_t i = 0; i < SIZE; i++)
        ring_add(ring, i, OUTPUT, 0, 0);
    kick(TRANSMIT);
    assert_int_equal(ring_used_idx(ring), SIZE);
    ring_add(ring, 0, OUTPUT, 0, 0); /* no kick is asked for yet */
    while (ring_used_idx(ring) == SIZE && event_loop_run_once(t.around.loop, 1000) > 0)
        ;
    assert_int_equal(ring_used_idx(ring), SIZE + 1);
    ring_add(ring, 1, OUTPUT, 0, 0);
    assert_true(ring_wants_kick(ring, true, SIZE + 1));
}

static void a_held_chain_does_not_survive_a_reset(void **state)
{
    struct ring_driver *ring = &t.rings[TRANSMIT];
    static uint8_t bytes[1 << 16];

    assert_int_equal(t.around.queue_interrupts[TRANSMIT], 0);
    start(0);
    for (uint16_t used = 1; used != ring_used_idx(ring);) {
        used = ring_used_idx(ring);
        while ((uint16_t)(ring->next_avail - used) < SIZE)
            ring_add(ring, ring->next_avail % SIZE, OUTPUT, 0x1000, 0);
        kick(TRANSMIT);
        settle();
        if (ring_used_idx(ring) == used)
            break;
    }
    virtio_device_set_status(t.console, 0);
    while (read(t.host, bytes, sizeof(bytes)) > 0)
        settle();
    start(0);
    assert_int_equal(ring_used_idx(ring), 0);
    print(3, "new");
    kick(TRANSMIT);
    settle();
    assert_printed("new");
    assert_int_equal(ring_used_idx(ring), 1);
}

/* ---- input ---- */

static void input_reaches_the_driver(void **state)
{
    start(0);
    add_input(0, 0x1000);
    add_input(1, 0x1000);
    kick(RECEIVE);
    settle();
    type("root\n", 5);
    assert_received(0, "root\n");
    assert_int_equal(t.around.queue_interrupts[RECEIVE], 1);
    type("pw\n", 3);
    assert_received(1, "pw\n");
}

static void input_waits_for_a_driver_and_its_buffers(void **state)
{
    type("early", 5); /* before the driver */
    start(0);
    type("er", 2); /* before its buffers */
    add_input(0, 4);
    kick(RECEIVE);
    settle();
    assert_received(0, "earl");
    add_input(1, 4);
    kick(RECEIVE);
    settle();
    assert_received(1, "yer");
}

/*
 * A driver that refills each buffer as it comes back and kicks when it is asked to. After more
 * input than all buffers hold, everything must have arrived: a kick that the device forgot to ask
 * for would end it.
 */
static void assert_input_flows(uint64_t features)
{
    struct ring_driver *ring = &t.rings[RECEIVE];
    bool event_idx = features & EVENT;
    size_t sent = 0, got = 0;
    uint32_t id, len;
    uint16_t old = 0;

    start(features);
    for (uint16_t i = 0; i < SIZE; i++)
        add_input(i, 7);
    kick(RECEIVE);
    settle();
    for (unsigned round = 0; round < 200; round++) {
        static const uint8_t text[1000];

        sent += sizeof(text);
        type(text, sizeof(text));
        while (got < sent) {
            bool moved = false;

            old = ring->next_avail;
            while (ring_used(ring, &id, &len)) {
                got += len;
                add_input((uint16_t)id, 7);
                moved = true;
            }
            if (moved && ring_wants_kick(ring, event_idx, old))
                kick(RECEIVE);
            settle();
            if (!moved)
                fail_msg("input stopped after %zu of %zu bytes", got, sent);
        }
    }
    assert_int_equal(got, sent);
}

static void input_flows_on_after_a_burst(void **state)
{
    assert_input_flows(0);
    virtio_device_set_status(t.console, 0);
    assert_input_flows(EVENT);
}

static void input_is_spread_over_buffers(void **state)
{
    uint32_t id, len;

    start(0);
    ring_descriptor(&t.rings[RECEIVE], 0, INPUT, 2, WRITE | VRING_DESC_F_NEXT, 1);
    ring_descriptor(&t.rings[RECEIVE], 1, INPUT + 0x100, 10, WRITE, 0);
    ring_expose(&t.rings[RECEIVE], 0);
    kick(RECEIVE);
    settle();
    type("abcdef", 6);
    assert_true(ring_used(&t.rings[RECEIVE], &id, &len));
    assert_int_equal(len, 6);
    assert_memory_equal(guest_bytes(t.around.memory, INPUT, 2), "ab", 2);
    assert_memory_equal(guest_bytes(t.around.memory, INPUT + 0x100, 4), "cdef", 4);
}

static void a_pause_holds_input_and_output(void **state)
{
    start(0);
    add_input(0, 0x1000);
    kick(RECEIVE);
    settle();
    virtio_device_pause(t.console);
    type("typed", 5);
    print(0, "printed");
    kick(TRANSMIT);
    settle();
    assert_int_equal(ring_used_idx(&t.rings[RECEIVE]), 0);
    assert_int_equal(ring_used_idx(&t.rings[TRANSMIT]), 0);
    virtio_device_resume(t.console);
    settle();
    assert_received(0, "typed");
    assert_printed("printed");
}

static void the_end_of_input_leaves_output(void **state)
{
    start(0);
    add_input(0, 0x1000);
    kick(RECEIVE);
    settle();
    assert_int_equal(shutdown(t.host, SHUT_WR), 0);
    settle();
    print(0, "still here");
    kick(TRANSMIT);
    settle();
    assert_printed("still here");
    assert_int_equal(ring_used_idx(&t.rings[RECEIVE]), 0);
}

/* ---- hostile drivers ---- */

static void assert_needs_reset(void)
{
    assert_true(virtio_device_status(t.console) & VIRTIO_CONFIG_S_NEEDS_RESET);
    assert_int_equal(t.around.config_interrupts, 1);
    type("ignored", 7); /* nor does the host's input wake it */
    assert_int_equal(t.around.config_interrupts, 1);
    start(0);
    add_input(0, 0x1000);
    kick(RECEIVE);
    settle();
    assert_received(0, "ignored");
}

static void a_broken_transmit_queue_needs_a_reset(void **state)
{
    start(0);
    ring_add(&t.rings[TRANSMIT], 0, LOW_BYTES - 1, 2, 0);
    kick(TRANSMIT);
    settle();
    assert_needs_reset();
}

static void a_broken_receive_queue_needs_a_reset(void **state)
{
    start(0);
    ring_expose(&t.rings[RECEIVE], SIZE);
    kick(RECEIVE);
    settle();
    assert_needs_reset();
}

static void receive_buffers_that_hold_nothing_are_the_drivers_loss(void **state)
{
    start(0);
    ring_add(&t.rings[RECEIVE], 0, INPUT, 16, 0); /* device-readable */
    add_input(1, 0);
    kick(RECEIVE);
    settle();
    type("x", 1);
    assert_false(virtio_device_status(t.console) & VIRTIO_CONFIG_S_NEEDS_RESET);
    print(0, "output goes on");
    kick(TRANSMIT);
    settle();
    assert_printed("output goes on");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(it_is_a_console_of_one_port),
        TEST(a_resize_is_told),
        TEST(output_reaches_the_host),
        TEST(output_may_come_in_pieces_and_be_empty),
        TEST(output_pushes_back),
        TEST(a_turn_of_output_ends),
        TEST(a_held_chain_does_not_survive_a_reset),
        TEST(input_reaches_the_driver),
        TEST(input_waits_for_a_driver_and_its_buffers),
        TEST(input_flows_on_after_a_burst),
        TEST(input_is_spread_over_buffers),
        TEST(a_pause_holds_input_and_output),
        TEST(the_end_of_input_leaves_output),
        TEST(a_broken_transmit_queue_needs_a_reset),
        TEST(a_broken_receive_queue_needs_a_reset),
        TEST(receive_buffers_that_hold_nothing_are_the_drivers_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
