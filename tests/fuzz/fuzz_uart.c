// SPDX-License-Identifier: Apache-2.0
/*
 * The uart between a hostile guest and a hostile terminal: the input is a list of two-byte steps,
 * register accesses of the guest interleaved with host input and a console that is full or empty.
 *
 * Checked beside memory safety: the uart never has more room than its FIFO; it asks for input only
 * after it had refused some, and has room then; a byte is never sent twice; once told of endless
 * room, the transmitter is empty.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <linux/serial_reg.h>

#include "devices/backend/console.h"
#include "tests/harness/legacy_fixture.h"

#define FIFO_BYTES 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct console_backend {
    const struct console_frontend_ops *ops;
    void *device;
    size_t room, sent;
    bool refused_input;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

void console_backend_set_frontend(struct console_backend *backend,
                                  const struct console_frontend_ops *ops, void *device)
{
    backend->ops = ops;
    backend->device = device;
}

size_t console_backend_write(struct console_backend *backend, const uint8_t *data, size_t len)
{
    len = len < backend->room ? len : backend->room;
    backend->room -= len;
    backend->sent += len;
    return len;
}

void console_backend_count_dropped(struct console_backend *backend, size_t bytes)
{
}

void console_backend_input_wanted(struct console_backend *backend)
{
    require(backend->refused_input);
    backend->refused_input = false;
    require(backend->ops->input_room(backend->device) > 0);
}

static void host_input(struct console_backend *console, uint8_t len)
{
    uint8_t text[FIFO_BYTES + 4] = {0};
    size_t room = console->ops->input_room(console->device);

    require(room <= FIFO_BYTES);
    if (room == 0) {
        console->refused_input = true;
        return;
    }
    /* Now and then more than there is room for, as when the guest took it away meanwhile. */
    console->ops->input(console->device, text, len % (room + 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct console_backend console = {0};
    struct legacy_fixture fixture;
    struct device *uart;
    size_t written = 0;

    legacy_fixture_init(&fixture);
    require(uart16550_create(&fixture.env, &fixture.irq, &console, &uart) == 0);
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint16_t port = (uint16_t)(UART_PORT + data[i] % 8);
        uint8_t value = data[i + 1];

        switch (data[i] >> 4) {
        case 0:
        case 1:
        case 2:
            port_in8(&fixture, port);
            break;
        case 3:
            port_in(&fixture, port, 1u << value % 3);
            break;
        case 4:
            port_out(&fixture, port, value, 1u << value % 3);
            written += port == UART_PORT;
            break;
        case 5:
            host_input(&console, value);
            break;
        case 6:
            console.room = value;
            console.ops->output_ready(console.device);
            break;
        default:
            port_out8(&fixture, port, value);
            written += port == UART_PORT;
            break;
        }
        require(console.sent <= written);
    }
    console.room = SIZE_MAX;
    console.ops->output_ready(console.device);
    port_out8(&fixture, UART_PORT + UART_LCR, 0);
    require(port_in8(&fixture, UART_PORT + UART_LSR) & UART_LSR_TEMT);
    device_destroy(uart);
    legacy_fixture_release(&fixture);
    return 0;
}
