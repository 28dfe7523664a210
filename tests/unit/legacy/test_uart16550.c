// SPDX-License-Identifier: Apache-2.0
/* The uart's registers, with a console backend of our own that can be full or have input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/serial_reg.h>
#include <string.h>

#include "devices/backend/console.h"
#include "tests/harness/legacy_fixture.h"

struct console_backend {
    const struct console_frontend_ops *ops;
    void *device;
    uint8_t output[256];
    size_t output_bytes, output_room;
    size_t dropped_bytes;
    unsigned input_wanted;
};

static struct test {
    struct legacy_fixture fixture;
    struct console_backend console;
    struct device *uart;
} t;

void console_backend_set_frontend(struct console_backend *backend,
                                  const struct console_frontend_ops *ops, void *device)
{
    backend->ops = ops;
    backend->device = device;
}

size_t console_backend_write(struct console_backend *backend, const uint8_t *data, size_t len)
{
    if (len > backend->output_room)
        len = backend->output_room;
    memcpy(backend->output + backend->output_bytes, data, len);
    backend->output_bytes += len;
    backend->output_room -= len;
    return len;
}

void console_backend_count_dropped(struct console_backend *backend, size_t bytes)
{
    backend->dropped_bytes += bytes;
}

void console_backend_input_wanted(struct console_backend *backend)
{
    backend->input_wanted++;
}

static int setup(void **state)
{
    memset(&t, 0, sizeof(t));
    legacy_fixture_init(&t.fixture);
    t.console.output_room = 200;
    assert_int_equal(uart16550_create(&t.fixture.env, &t.fixture.irq, &t.console, &t.uart), 0);
    return 0;
}

static int teardown(void **state)
{
    device_destroy(t.uart);
    assert_null(t.console.ops);
    legacy_fixture_release(&t.fixture);
    return 0;
}

static uint8_t in(unsigned reg)
{
    return port_in8(&t.fixture, (uint16_t)(UART_PORT + reg));
}

static void out(unsigned reg, uint8_t value)
{
    port_out8(&t.fixture, (uint16_t)(UART_PORT + reg), value);
}

static unsigned edges(void)
{
    return irq_edges(&t.fixture);
}

/* As the backend does: only as much as there is room for. Returns how much went in. */
static size_t type(const char *text)
{
    size_t room = t.console.ops->input_room(t.console.device);
    size_t len = strlen(text) < room ? strlen(text) : room;

    if (len > 0)
        t.console.ops->input(t.console.device, (const uint8_t *)text, len);
    return len;
}

/* What a driver without interrupts does while nothing comes. */
static void poll_for_input(void)
{
    for (int i = 0; i < 16; i++)
        in(UART_LSR);
}

static void room_again(size_t bytes)
{
    t.console.output_room = bytes;
    t.console.ops->output_ready(t.console.device);
}

static void assert_output(const char *text)
{
    assert_int_equal(t.console.output_bytes, strlen(text));
    assert_memory_equal(t.console.output, text, strlen(text));
}

static void test_output(void **state)
{
    assert_int_equal(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    out(UART_TX, 'h');
    out(UART_TX, 'i');
    assert_output("hi");
    assert_int_equal(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(edges(), 0);
}

static void test_registers_keep_what_they_should(void **state)
{
    out(UART_SCR, 0xa5);
    assert_int_equal(in(UART_SCR), 0xa5);
    out(UART_IER, 0xff);
    assert_int_equal(in(UART_IER), 0x0f);
    out(UART_IER, 0);
    out(UART_MCR, 0xe3);
    assert_int_equal(in(UART_MCR), 0x03);
    assert_int_equal(in(UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
    out(UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
    assert_int_not_equal(in(UART_DLL) | in(UART_DLM), 0);
    out(UART_DLL, 0x12);
    out(UART_DLM, 0x34);
    assert_int_equal(in(UART_DLL), 0x12);
    assert_int_equal(in(UART_DLM), 0x34);
    out(UART_LCR, UART_LCR_WLEN8);
    assert_int_equal(in(UART_IER), 0);
    assert_int_equal(in(UART_LCR), UART_LCR_WLEN8);
    assert_output("");
}

static void test_wide_accesses_find_nobody(void **state)
{
    port_out(&t.fixture, UART_PORT, 0x4141, 2);
    assert_output("");
    assert_int_equal(port_in(&t.fixture, UART_PORT, 4), 0xffffffff);
}

static void test_full_console_loses_nothing(void **state)
{
    t.console.output_room = 3;
    out(UART_FCR, UART_FCR_ENABLE_FIFO);
    out(UART_IER, UART_IER_THRI);
    assert_int_equal(in(UART_IIR)&0x0f, UART_IIR_THRI);
    edges();
    /* What a driver writes after one THRE. */
    for (int i = 0; i < 16; i++)
        out(UART_TX, (uint8_t)('a' + i));
    assert_output("abc");
    assert_int_equal(in(UART_LSR), 0);
    assert_int_equal(in(UART_IIR)&0x0f, UART_IIR_NO_INT);
    edges();
    room_again(4);
    assert_int_equal(edges(), 0);
    room_again(100);
    assert_output("abcdefghijklmnop");
    assert_int_equal(edges(), 1);
    assert_int_equal(in(UART_IIR)&0x0f, UART_IIR_THRI);
    assert_int_equal(in(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    assert_int_equal(t.fixture.log_lines, 0);
}

static void test_careless_guest_loses_what_does_not_fit(void **state)
{
    t.console.output_room = 0;
    for (int i = 0; i < 1000; i++)
        out(UART_TX, (uint8_t)('a' + i % 26));
    assert_in_range(t.fixture.log_lines, 1, 20);
    assert_int_equal(t.console.dropped_bytes, 999);
    room_again(100);
    assert_output("a"); /* without FIFOs, one byte waits */
}

static void test_transmit_interrupt(void **state)
{
    out(UART_IER, UART_IER_THRI);
    assert_int_equal(edges(), 1); /* the transmitter is empty */
    assert_int_equal(in(UART_IIR), UART_IIR_THRI);
    assert_int_equal(in(UART_IIR), UART_IIR_NO_INT); /* reading took it back */
    assert_int_equal(edges(), 0);
    out(UART_TX, 'x');
    assert_int_equal(edges(), 1);
    /* A handler that answers with the next byte and never reads IIR goes on, too. */
    out(UART_TX, 'y');
    assert_int_equal(edges(), 1);
    /* Off and on again, as drivers do to start. */
    in(UART_IIR);
    out(UART_IER, 0);
    assert_int_equal(edges(), 0);
    out(UART_IER, UART_IER_THRI);
    assert_int_equal(edges(), 1);
}

static void test_input_and_its_interrupt(void **state)
{
    out(UART_MCR, UART_MCR_DTR | UART_MCR_OUT2);
    poll_for_input();
    out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_4);
    assert_int_equal(type("abc"), 3);
    assert_int_equal(edges(), 0);
    out(UART_IER, UART_IER_RDI);
    assert_int_equal(edges(), 1);
    assert_int_equal(in(UART_IIR), 0xc0 | 0x0c); /* below the trigger: a timeout */
    assert_int_equal(type("de"), 2);
    assert_int_equal(in(UART_IIR), 0xc0 | UART_IIR_RDI);
    assert_int_equal(in(UART_LSR)&UART_LSR_DR, UART_LSR_DR);
    for (int i = 0; i < 5; i++)
        assert_int_equal(in(UART_RX), 'a' + i);
    assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
    assert_int_equal(in(UART_IIR), 0xc0 | UART_IIR_NO_INT);
    assert_int_equal(in(UART_RX), 0);
    assert_int_equal(edges(), 0);
    type("f");
    assert_int_equal(edges(), 1);
}

static void test_input_waits_for_room(void **state)
{
    poll_for_input();
    out(UART_FCR, UART_FCR_ENABLE_FIFO);
    assert_int_equal(type("0123456789abcdefghijk"), 16);
    assert_int_equal(type("ghijk"), 0);
    assert_int_equal(t.console.input_wanted, 0);
    for (int i = 0; i < 15; i++)
        in(UART_RX);
    assert_int_equal(t.console.input_wanted, 0);
    assert_int_equal(in(UART_RX), 'f');
    assert_int_equal(t.console.input_wanted, 1);
    assert_int_equal(type("ghijk"), 5);
    assert_int_equal(in(UART_RX), 'g');
    /* Nobody was turned away: nobody is called. */
    out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
    assert_int_equal(t.console.input_wanted, 1);
    assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
}

static void test_switching_the_fifo_makes_room(void **state)
{
    poll_for_input();
    assert_int_equal(type("abc"), 1); /* no FIFO: one byte */
    assert_int_equal(type("bc"), 0);
    out(UART_FCR, UART_FCR_ENABLE_FIFO); /* the byte stays */
    assert_int_equal(in(UART_RX), 'a');
    assert_int_equal(t.console.input_wanted, 1);
    assert_int_equal(type("bc"), 2);
    out(UART_FCR, 0); /* off: they go */
    assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
    assert_int_equal(type("d"), 1);
    out(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
    assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
}

static void test_causes_have_priorities(void **state)
{
    out(UART_MCR, UART_MCR_DTR | UART_MCR_OUT2);
    out(UART_IER, UART_IER_THRI | UART_IER_RDI);
    type("a");
    edges();
    assert_int_equal(in(UART_IIR), UART_IIR_RDI);
    assert_int_equal(edges(), 0);
    /* The data is gone, the transmitter remains: that needs an edge of its own. */
    in(UART_RX);
    assert_int_equal(edges(), 1);
    assert_int_equal(in(UART_IIR), UART_IIR_THRI);
    assert_int_equal(in(UART_IIR), UART_IIR_NO_INT);
}

static void test_loopback(void **state)
{
    /* What Linux checks first: RTS and OUT2 come back as CTS and DCD. */
    out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
    assert_int_equal(in(UART_MSR)&0xf0, UART_MSR_DCD | UART_MSR_CTS);
    out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_DTR);
    assert_int_equal(in(UART_MSR)&0xf0, UART_MSR_RI | UART_MSR_DSR);
    out(UART_TX, 'x');
    assert_output("");
    assert_int_equal(type("outside"), 0);
    assert_int_equal(in(UART_RX), 'x');
    out(UART_MCR, 0);
    assert_int_equal(t.console.input_wanted, 0);
    poll_for_input();
    assert_int_equal(t.console.input_wanted, 1);
}

static void test_input_waits_for_a_listener(void **state)
{
    assert_int_equal(type("early"), 0);
    out(UART_FCR, UART_FCR_ENABLE_FIFO);
    assert_int_equal(type("early"), 0);
    out(UART_MCR, UART_MCR_DTR);
    out(UART_IER, 0x0f); /* as Linux tries out what is there */
    assert_int_equal(type("early"), 0);
    out(UART_IER, 0);
    out(UART_MCR, UART_MCR_DTR | UART_MCR_OUT2);
    assert_int_equal(t.console.input_wanted, 0);
    out(UART_IER, UART_IER_RDI);
    assert_int_equal(t.console.input_wanted, 1);
    assert_int_equal(type("early"), 5);
    out(UART_IER, 0);
    assert_int_equal(type("late"), 0);
    /* One that sends looks at LSR, too, but not so often. */
    for (int i = 0; i < 100; i++) {
        in(UART_LSR);
        out(UART_TX, 'x');
    }
    assert_int_equal(type("late"), 0);
    poll_for_input();
    assert_int_equal(in(UART_RX), 'e');
    assert_int_equal(type("late"), 4);
}

static void test_overrun(void **state)
{
    out(UART_MCR, UART_MCR_LOOP);
    out(UART_IER, UART_IER_RLSI);
    out(UART_TX, 'x');
    assert_int_equal(edges(), 0);
    out(UART_TX, 'y');
    assert_int_equal(edges(), 1);
    assert_int_equal(in(UART_IIR), UART_IIR_RLSI);
    assert_int_equal(in(UART_LSR)&UART_LSR_OE, UART_LSR_OE);
    assert_int_equal(in(UART_LSR)&UART_LSR_OE, 0);
    assert_int_equal(in(UART_IIR), UART_IIR_NO_INT);
    assert_int_equal(in(UART_RX), 'x');
}

static void test_modem_status_changes(void **state)
{
    assert_int_equal(in(UART_MSR)&0x0f, 0);
    out(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1); /* DCD, DSR, CTS fall; RI rises, untold */
    assert_int_equal(in(UART_MSR), UART_MSR_RI | UART_MSR_DDCD | UART_MSR_DDSR | UART_MSR_DCTS);
    assert_int_equal(in(UART_MSR), UART_MSR_RI);
    out(UART_IER, UART_IER_MSI);
    assert_int_equal(edges(), 0);
    out(UART_MCR, UART_MCR_LOOP);
    assert_int_equal(edges(), 1);
    assert_int_equal(in(UART_IIR), UART_IIR_MSI);
    assert_int_equal(in(UART_MSR), UART_MSR_TERI);
    assert_int_equal(in(UART_IIR), UART_IIR_NO_INT);
}

static void test_without_console(void **state)
{
    struct device *uart;
    struct legacy_fixture fixture;

    legacy_fixture_init(&fixture);
    assert_int_equal(uart16550_create(&fixture.env, &fixture.irq, NULL, &uart), 0);
    for (int i = 0; i < 100; i++)
        port_out8(&fixture, UART_PORT, 'x');
    assert_int_equal(port_in8(&fixture, UART_PORT + UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
    device_destroy(uart);
    assert_int_equal(port_in8(&fixture, UART_PORT + UART_LSR), 0xff);
    legacy_fixture_release(&fixture);
}

static void test_describes_itself(void **state)
{
    struct device_description description;
    struct device *second;

    t.uart->ops->describe(t.uart, &description);
    assert_int_equal(description.kind, DEVICE_UART16550);
    assert_int_equal(description.base, UART_PORT);
    assert_int_equal(description.size, 8);
    assert_int_equal(description.gsi, t.fixture.irq.gsi);
    /* The ports are taken: the second one fails and leaves nothing. */
    assert_true(uart16550_create(&t.fixture.env, &t.fixture.irq, NULL, &second) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_output, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registers_keep_what_they_should, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wide_accesses_find_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_console_loses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_careless_guest_loses_what_does_not_fit, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_transmit_interrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input_and_its_interrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input_waits_for_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_input_waits_for_a_listener, setup, teardown),
        cmocka_unit_test_setup_teardown(test_switching_the_fifo_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_causes_have_priorities, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overrun, setup, teardown),
        cmocka_unit_test_setup_teardown(test_modem_status_changes, setup, teardown),
        cmocka_unit_test(test_without_console),
        cmocka_unit_test_setup_teardown(test_describes_itself, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
