// SPDX-License-Identifier: Apache-2.0
/*
 * An NS16550A serial port (National Semiconductor PC16550D data sheet) on COM1.
 *
 * Output goes byte by byte into the console backend's ring. When that is full the transmitter says
 * so (LSR.THRE clear), as a real one does while it shifts: a driver that polls or waits for the
 * interrupt loses nothing, one that writes anyway loses that byte. Input is taken from the backend
 * only while the 16-byte receive FIFO has room.
 *
 * Threads: registers are accessed by vCPU threads, the backend's callbacks come on the I/O thread;
 * `lock` guards everything. The backend is called without it, except for console_backend_write()
 * and _output_room(), which call nothing back.
 *
 * The interrupt is an edge: it is raised when the identification register (IIR) begins to show a
 * cause, and again when a register access removes one cause and another remains.
 */
#include <errno.h>
#include <linux/serial_reg.h>
#include <pthread.h>
#include <stdlib.h>

#include "devices/backend/console.h"
#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define PORTS      8u
#define FIFO_BYTES 16u

/* Bits of MSR that a connected terminal would show: data carrier, data set ready, clear to send. */
#define MSR_CONNECTED (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)

struct uart16550 {
    struct device device;
    struct bus *ports;
    struct irq_line irq;
    struct console_backend *console; /* NULL: output is swallowed */

    pthread_mutex_t lock;
    /* Below: guarded by lock. */
    uint8_t ier, lcr, mcr, scr, fcr;
    uint8_t divisor_low, divisor_high;
    uint8_t lsr_errors; /* overrun, until LSR is read */
    uint8_t fifo[FIFO_BYTES];
    unsigned fifo_start, fifo_used;
    bool thre_pending; /* transmitter-empty interrupt not yet acknowledged */
    uint8_t last_iir;  /* cause at the last update, to find edges */
};

static bool transmitter_ready(const struct uart16550 *uart)
{
    return !uart->console || console_backend_output_room(uart->console) > 0;
}

/* The cause with the highest priority (data sheet, table of interrupt control functions). */
static uint8_t interrupt_cause(const struct uart16550 *uart)
{
    if ((uart->ier & UART_IER_RLSI) && uart->lsr_errors)
        return UART_IIR_RLSI;
    if ((uart->ier & UART_IER_RDI) && uart->fifo_used > 0)
        return UART_IIR_RDI;
    if ((uart->ier & UART_IER_THRI) && uart->thre_pending)
        return UART_IIR_THRI;
    return UART_IIR_NO_INT;
}

/* Lock held, after every change. `again`: a cause was just removed, so what remains is news. */
static void update_interrupt(struct uart16550 *uart, bool again)
{
    uint8_t cause = interrupt_cause(uart);

    if (cause != UART_IIR_NO_INT && (again || cause != uart->last_iir))
        irq_line_raise(&uart->irq);
    uart->last_iir = cause;
}

static void receive(struct uart16550 *uart, uint8_t byte)
{
    if (uart->fifo_used == FIFO_BYTES) {
        uart->lsr_errors |= UART_LSR_OE;
        return;
    }
    uart->fifo[(uart->fifo_start + uart->fifo_used) % FIFO_BYTES] = byte;
    uart->fifo_used++;
}

static void transmit(struct uart16550 *uart, uint8_t byte)
{
    if (uart->mcr & UART_MCR_LOOP)
        receive(uart, byte);
    else if (uart->console)
        console_backend_write(uart->console, &byte, 1);
    /* The byte is gone at once; a full ring announces room by output_ready(). */
    uart->thre_pending = transmitter_ready(uart);
    uart->last_iir = UART_IIR_NO_INT;
}

static uint8_t read_data(struct uart16550 *uart)
{
    uint8_t byte = 0;

    if (uart->fifo_used > 0) {
        byte = uart->fifo[uart->fifo_start];
        uart->fifo_start = (uart->fifo_start + 1) % FIFO_BYTES;
        uart->fifo_used--;
    }
    return byte;
}

static uint8_t read_iir(struct uart16550 *uart)
{
    uint8_t cause = interrupt_cause(uart);

    /* Reading IIR acknowledges the transmitter's interrupt, if that is what it shows. */
    if (cause == UART_IIR_THRI)
        uart->thre_pending = false;
    /* Bits 6 and 7 tell that the FIFOs are on. */
    return cause | (uart->fcr & UART_FCR_ENABLE_FIFO ? 0xc0 : 0);
}

static uint8_t read_lsr(struct uart16550 *uart)
{
    uint8_t lsr = uart->lsr_errors;

    uart->lsr_errors = 0;
    if (uart->fifo_used > 0)
        lsr |= UART_LSR_DR;
    if (transmitter_ready(uart))
        lsr |= UART_LSR_THRE | UART_LSR_TEMT;
    return lsr;
}

static uint8_t read_msr(const struct uart16550 *uart)
{
    uint8_t mcr = uart->mcr;

    if (!(mcr & UART_MCR_LOOP))
        return MSR_CONNECTED;
    /* Loopback: the four outputs are wired to the four inputs. */
    return (mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) | (mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
           (mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) | (mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

static void write_fcr(struct uart16550 *uart, uint8_t value)
{
    if (value & UART_FCR_CLEAR_RCVR || !(value & UART_FCR_ENABLE_FIFO)) {
        uart->fifo_start = 0;
        uart->fifo_used = 0;
    }
    uart->fcr = value & (uint8_t) ~(UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
}

static void write_ier(struct uart16550 *uart, uint8_t value)
{
    /* Enabling the transmitter's interrupt while it is empty raises it at once. */
    if ((value & UART_IER_THRI) && !(uart->ier & UART_IER_THRI))
        uart->thre_pending = transmitter_ready(uart);
    uart->ier = value & 0x0f;
    uart->last_iir = UART_IIR_NO_INT;
}

static uint8_t read_register(struct uart16550 *uart, uint64_t offset)
{
    bool divisor = uart->lcr & UART_LCR_DLAB;

    switch (offset) {
    case UART_RX:
        return divisor ? uart->divisor_low : read_data(uart);
    case UART_IER:
        return divisor ? uart->divisor_high : uart->ier;
    case UART_IIR:
        return read_iir(uart);
    case UART_LCR:
        return uart->lcr;
    case UART_MCR:
        return uart->mcr;
    case UART_LSR:
        return read_lsr(uart);
    case UART_MSR:
        return read_msr(uart);
    default:
        return uart->scr;
    }
}

static void write_register(struct uart16550 *uart, uint64_t offset, uint8_t value)
{
    bool divisor = uart->lcr & UART_LCR_DLAB;

    switch (offset) {
    case UART_TX:
        if (divisor)
            uart->divisor_low = value;
        else
            transmit(uart, value);
        break;
    case UART_IER:
        if (divisor)
            uart->divisor_high = value;
        else
            write_ier(uart, value);
        break;
    case UART_FCR:
        write_fcr(uart, value);
        break;
    case UART_LCR:
        uart->lcr = value;
        break;
    case UART_MCR:
        uart->mcr = value & 0x1f;
        break;
    case UART_SCR:
        uart->scr = value;
        break;
    default:
        break; /* LSR and MSR are read-only */
    }
}

/* Wider accesses touch the first register only, as on the ISA bus of old. */
static void uart_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct uart16550 *uart = device;
    unsigned before;
    bool freed;

    pthread_mutex_lock(&uart->lock);
    before = uart->fifo_used;
    *(uint8_t *)data = read_register(uart, offset);
    freed = uart->fifo_used < before;
    update_interrupt(uart, offset == UART_IIR || offset == UART_LSR || freed);
    /* One wake-up when the FIFO has drained, not one a byte. */
    freed = freed && uart->fifo_used == 0;
    pthread_mutex_unlock(&uart->lock);
    if (freed && uart->console)
        console_backend_input_wanted(uart->console);
}

static void uart_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    struct uart16550 *uart = device;
    bool cleared;

    pthread_mutex_lock(&uart->lock);
    write_register(uart, offset, *(const uint8_t *)data);
    update_interrupt(uart, false);
    cleared = offset == UART_FCR;
    pthread_mutex_unlock(&uart->lock);
    if (cleared && uart->console)
        console_backend_input_wanted(uart->console);
}

static const struct bus_ops uart_bus_ops = {.read = uart_read, .write = uart_write};

static size_t uart_input_room(void *device)
{
    struct uart16550 *uart = device;
    size_t room;

    pthread_mutex_lock(&uart->lock);
    /* In loopback the receiver listens to the transmitter only. */
    room = uart->mcr & UART_MCR_LOOP ? 0 : FIFO_BYTES - uart->fifo_used;
    pthread_mutex_unlock(&uart->lock);
    return room;
}

static void uart_input(void *device, const uint8_t *data, size_t len)
{
    struct uart16550 *uart = device;

    pthread_mutex_lock(&uart->lock);
    for (size_t i = 0; i < len; i++)
        receive(uart, data[i]);
    update_interrupt(uart, false);
    pthread_mutex_unlock(&uart->lock);
}

/* A serial line has no end of file: the guest sees a silent line. */
static void uart_input_closed(void *device)
{
}

static void uart_output_ready(void *device)
{
    struct uart16550 *uart = device;

    pthread_mutex_lock(&uart->lock);
    uart->thre_pending = true;
    update_interrupt(uart, false);
    pthread_mutex_unlock(&uart->lock);
}

static const struct console_frontend_ops frontend_ops = {
    .input_room = uart_input_room,
    .input = uart_input,
    .input_closed = uart_input_closed,
    .output_ready = uart_output_ready,
};

static void uart_pause(struct device *device)
{
}

static void uart_describe(const struct device *device, struct device_description *out)
{
    const struct uart16550 *uart = (const struct uart16550 *)device;

    *out = (struct device_description){
        .kind = DEVICE_UART16550,
        .is_port = true,
        .base = UART_PORT,
        .size = PORTS,
        .gsi = uart->irq.gsi,
        .has_gsi = true,
    };
}

static void uart_destroy(struct device *device)
{
    struct uart16550 *uart = (struct uart16550 *)device;

    if (uart->console)
        console_backend_set_frontend(uart->console, NULL, NULL);
    bus_detach(uart->ports, UART_PORT);
    pthread_mutex_destroy(&uart->lock);
    free(uart);
}

static const struct device_ops uart_ops = {
    .name = "uart16550",
    .pause = uart_pause,
    .resume = uart_pause,
    .describe = uart_describe,
    .destroy = uart_destroy,
};

int uart16550_create(const struct device_env *env, const struct irq_line *irq,
                     struct console_backend *console, struct device **out)
{
    struct uart16550 *uart = calloc(1, sizeof(*uart));
    int ret;

    if (!uart)
        return -ENOMEM;
    uart->device.ops = &uart_ops;
    uart->ports = env->ports;
    uart->irq = *irq;
    uart->console = console;
    uart->last_iir = UART_IIR_NO_INT;
    pthread_mutex_init(&uart->lock, NULL);
    ret = bus_attach(env->ports, UART_PORT, PORTS, &uart_bus_ops, uart, uart_ops.name);
    if (ret) {
        pthread_mutex_destroy(&uart->lock);
        free(uart);
        return ret;
    }
    if (console)
        console_backend_set_frontend(console, &frontend_ops, uart);
    *out = &uart->device;
    return 0;
}
