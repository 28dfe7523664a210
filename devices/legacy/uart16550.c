// SPDX-License-Identifier: Apache-2.0
/*
 * A NS16550A on COM1 (National Semiconductor PC16550D data sheet, June 1995; sections below are
 * its).
 *
 * The line behind it is the console backend, which is infinitely fast until it says that it is
 * full: a byte written to THR goes out at once, and only what the backend refuses stays in the
 * transmit FIFO, with LSR.THRE clear, until the backend has room again. So a driver that keeps to
 * the rules (write one FIFO's worth after THRE) loses nothing to a slow reader; one that does not
 * loses what does not fit. Input is taken only as far as the receive FIFO has room.
 *
 * Interrupts are edges on the I/O APIC: one is raised whenever an enabled condition becomes
 * pending, and again when the driver removed the condition of the highest priority while another
 * one remains. OUT2, which gates the line on a PC, does not gate the interrupt here.
 *
 * Threads: registers from any vCPU thread, console callbacks on the I/O thread, all under `lock`.
 * console_backend_write() is called with it held (it never calls back),
 * console_backend_input_wanted() is not.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <linux/serial_reg.h>

#include "base/checked.h"
#include "base/log.h"
#include "devices/backend/console.h"
#include "devices/legacy/legacy.h"
#include "vmm/bus.h"

#define UART_PORTS          8u
#define FIFO_BYTES          16u
#define POLLS_OF_A_LISTENER 16u
#define DEFAULT_DIVISOR     12u /* 9600 baud: never 0, by which drivers divide */

#define IER_MASK       (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI)
#define MCR_MASK       0x1fu /* DTR, RTS, OUT1, OUT2, LOOP */
#define IIR_FIFOS      0xc0u /* bits 7 and 6: the FIFOs are enabled */
#define IIR_RX_TIMEOUT 0x0cu
#define MSR_LINES      0xf0u
/* A terminal is always there and ready. */
#define MSR_CONNECTED  (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)

struct byte_fifo {
    uint8_t bytes[FIFO_BYTES];
    unsigned first, count;
};

struct uart16550 {
    struct device device;
    struct bus *ports;
    struct irq_line irq;
    struct console_backend *console; /* or NULL: output is swallowed */
    const struct log *log;

    pthread_mutex_t lock; /* guards everything below */
    struct byte_fifo rx, tx;
    bool fifo_enabled;
    bool overrun;           /* LSR.OE */
    bool transmit_reported; /* the THRE interrupt was read from IIR or never became due */
    unsigned polls;         /* reads of LSR since IER or THR were written, at most a listener's */
    bool input_stalled;     /* the backend was told that there is no room */
    uint8_t rx_trigger;     /* bytes in the receive FIFO that interrupt */
    uint8_t ier, lcr, mcr, msr, scr;
    uint16_t divisor;
    uint8_t pending; /* IER bits of the conditions pending after the last change */
    uint64_t lost_bytes;
    struct log_limit log_limit;
};

static bool fifo_push(struct byte_fifo *fifo, uint8_t byte, unsigned capacity)
{
    if (fifo->count >= capacity)
        return false;
    fifo->bytes[(fifo->first + fifo->count++) % FIFO_BYTES] = byte;
    return true;
}

/* The oldest byte, or 0 when there is none. */
static uint8_t fifo_pop(struct byte_fifo *fifo)
{
    uint8_t byte;

    if (fifo->count == 0)
        return 0;
    byte = fifo->bytes[fifo->first];
    fifo->first = (fifo->first + 1) % FIFO_BYTES;
    fifo->count--;
    return byte;
}

/* Without FIFOs, one holding register each way. */
static unsigned fifo_capacity(const struct uart16550 *uart)
{
    return uart->fifo_enabled ? FIFO_BYTES : 1;
}

static bool is_loopback(const struct uart16550 *uart)
{
    return uart->mcr & UART_MCR_LOOP;
}

/*
 * Whether anybody is there to read: a driver that enabled the receive interrupt and raised OUT2 or
 * RTS (without OUT2 a PC delivers no interrupt; Linux tries IER out with both down), or one that
 * polls LSR over and over with nothing to send. Before that input stays with the host, for a
 * driver's start clears the FIFO and reads RBR for good measure, and what was piped in would lose
 * its beginning.
 */
static bool is_listening(const struct uart16550 *uart)
{
    if (uart->polls >= POLLS_OF_A_LISTENER)
        return true;
    return (uart->ier & UART_IER_RDI) && (uart->mcr & (UART_MCR_OUT2 | UART_MCR_RTS));
}

static size_t receive_room(const struct uart16550 *uart)
{
    if (is_loopback(uart) || !is_listening(uart))
        return 0;
    return fifo_capacity(uart) - uart->rx.count;
}

/* ---- interrupts (8.5, table 5) ---- */

/*
 * Enabled conditions, as bits of IER. Data below the trigger level counts: it would interrupt after
 * four character times of silence, which are over at once on an infinitely fast line.
 */
static uint8_t conditions(const struct uart16550 *uart)
{
    uint8_t bits = 0;

    if (uart->overrun)
        bits |= UART_IER_RLSI;
    if (uart->rx.count > 0)
        bits |= UART_IER_RDI;
    if (uart->tx.count == 0 && !uart->transmit_reported)
        bits |= UART_IER_THRI;
    if (uart->msr & UART_MSR_ANY_DELTA)
        bits |= UART_IER_MSI;
    return bits & uart->ier;
}

/* After any change. `again`: conditions to raise for although they were pending before. */
static void update_interrupt(struct uart16550 *uart, uint8_t again)
{
    uint8_t now = conditions(uart);

    if (now & (uint8_t)(~uart->pending | again))
        irq_line_raise(&uart->irq);
    uart->pending = now;
}

/* The pending condition of the highest priority. */
static uint8_t interrupt_id(const struct uart16550 *uart)
{
    uint8_t pending = conditions(uart);

    if (pending & UART_IER_RLSI)
        return UART_IIR_RLSI;
    if (pending & UART_IER_RDI)
        return uart->fifo_enabled && uart->rx.count < uart->rx_trigger ? IIR_RX_TIMEOUT
                                                                       : UART_IIR_RDI;
    if (pending & UART_IER_THRI)
        return UART_IIR_THRI;
    if (pending & UART_IER_MSI)
        return UART_IIR_MSI;
    return UART_IIR_NO_INT;
}

/* ---- transmitting ---- */

static void count_lost(struct uart16550 *uart)
{
    uart->lost_bytes++;
    if (uart->console)
        console_backend_count_dropped(uart->console, 1);
    log_limited(uart->log, &uart->log_limit, LOG_LEVEL_WARN, "uart",
                "the guest writes without waiting for the transmitter: %llu bytes lost so far",
                (unsigned long long)uart->lost_bytes);
}

/* Hand the transmit FIFO to the backend, as far as it takes it. */
static void flush_transmitter(struct uart16550 *uart)
{
    while (uart->tx.count > 0) {
        uint8_t byte = uart->tx.bytes[uart->tx.first];

        if (uart->console && console_backend_write(uart->console, &byte, 1) == 0)
            return;
        fifo_pop(&uart->tx);
    }
}

static void transmit(struct uart16550 *uart, uint8_t byte)
{
    /* 8.6.4.1: looped back, what is sent is received. */
    if (is_loopback(uart)) {
        if (!fifo_push(&uart->rx, byte, fifo_capacity(uart)))
            uart->overrun = true;
    } else if (fifo_push(&uart->tx, byte, fifo_capacity(uart))) {
        flush_transmitter(uart);
    } else {
        count_lost(uart);
    }
    uart->polls = 0;
    /* The write takes the THRE interrupt back, the empty transmitter makes it due anew. */
    uart->transmit_reported = false;
    update_interrupt(uart, UART_IER_THRI);
}

/* ---- modem lines (8.7, 8.6) ---- */

static uint8_t line_levels(const struct uart16550 *uart)
{
    uint8_t levels = 0;

    if (!is_loopback(uart))
        return MSR_CONNECTED;
    if (uart->mcr & UART_MCR_RTS)
        levels |= UART_MSR_CTS;
    if (uart->mcr & UART_MCR_DTR)
        levels |= UART_MSR_DSR;
    if (uart->mcr & UART_MCR_OUT1)
        levels |= UART_MSR_RI;
    if (uart->mcr & UART_MCR_OUT2)
        levels |= UART_MSR_DCD;
    return levels;
}

/* Bits 3 to 0 of MSR tell which of the lines in bits 7 to 4 changed; RI only when it ends. */
static void update_lines(struct uart16550 *uart)
{
    uint8_t before = uart->msr & MSR_LINES;
    uint8_t now = line_levels(uart);
    uint8_t changed = before ^ now;

    if (now & UART_MSR_RI)
        changed &= (uint8_t)~UART_MSR_RI;
    uart->msr = (uint8_t)(now | (uart->msr & UART_MSR_ANY_DELTA) | changed >> 4);
}

/* ---- registers ---- */

static void write_fcr(struct uart16550 *uart, uint8_t value)
{
    static const uint8_t triggers[] = {1, 4, 8, 14};
    bool enable = value & UART_FCR_ENABLE_FIFO;

    /*
     * 8.4: switching the FIFOs on or off empties them; the other bits need bit 0. One exception:
     * the byte that was received without FIFO stays when it is switched on. Linux does that after
     * it has enabled the receive interrupt, and would lose the beginning of a pipe.
     */
    if ((!enable && uart->fifo_enabled) || (enable && (value & UART_FCR_CLEAR_RCVR)))
        uart->rx.count = 0;
    if (enable != uart->fifo_enabled || (enable && (value & UART_FCR_CLEAR_XMIT)))
        uart->tx.count = 0;
    uart->fifo_enabled = enable;
    if (enable)
        uart->rx_trigger = triggers[value >> 6];
    update_interrupt(uart, 0);
}

static void write_ier(struct uart16550 *uart, uint8_t value)
{
    /* Enabling the THRE interrupt while the transmitter is empty makes it due (8.8). */
    if ((value & UART_IER_THRI) && !(uart->ier & UART_IER_THRI))
        uart->transmit_reported = false;
    uart->ier = value & IER_MASK;
    uart->polls = 0;
    update_interrupt(uart, IER_MASK);
}

static void write_register(struct uart16550 *uart, unsigned reg, uint8_t value)
{
    bool divisor = uart->lcr & UART_LCR_DLAB;

    switch (reg) {
    case UART_TX: /* or DLL */
        if (divisor)
            uart->divisor = (uint16_t)((uart->divisor & 0xff00) | value);
        else
            transmit(uart, value);
        break;
    case UART_IER: /* or DLM */
        if (divisor)
            uart->divisor = (uint16_t)((uart->divisor & 0x00ff) | value << 8);
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
        uart->mcr = value & MCR_MASK;
        update_lines(uart);
        update_interrupt(uart, 0);
        break;
    case UART_SCR:
        uart->scr = value;
        break;
    default: /* LSR and MSR: factory tests only */
        break;
    }
}

static uint8_t read_receiver(struct uart16550 *uart)
{
    uint8_t byte = fifo_pop(&uart->rx);

    update_interrupt(uart, (uint8_t)~UART_IER_RDI);
    return byte;
}

static uint8_t read_iir(struct uart16550 *uart)
{
    uint8_t id = interrupt_id(uart);

    if (id == UART_IIR_THRI)
        uart->transmit_reported = true;
    update_interrupt(uart, id == UART_IIR_THRI ? IER_MASK : 0);
    return (uint8_t)(id | (uart->fifo_enabled ? IIR_FIFOS : 0));
}

static uint8_t read_lsr(struct uart16550 *uart)
{
    uint8_t lsr = 0;

    if (uart->polls < POLLS_OF_A_LISTENER)
        uart->polls++;
    if (uart->rx.count > 0)
        lsr |= UART_LSR_DR;
    if (uart->overrun)
        lsr |= UART_LSR_OE;
    if (uart->tx.count == 0)
        lsr |= UART_LSR_THRE | UART_LSR_TEMT;
    if (uart->overrun) {
        uart->overrun = false;
        update_interrupt(uart, IER_MASK);
    }
    return lsr;
}

static uint8_t read_msr(struct uart16550 *uart)
{
    uint8_t msr = uart->msr;

    if (msr & UART_MSR_ANY_DELTA) {
        uart->msr &= MSR_LINES;
        update_interrupt(uart, IER_MASK);
    }
    return msr;
}

static uint8_t read_register(struct uart16550 *uart, unsigned reg)
{
    bool divisor = uart->lcr & UART_LCR_DLAB;

    switch (reg) {
    case UART_RX:
        return divisor ? (uint8_t)uart->divisor : read_receiver(uart);
    case UART_IER:
        return divisor ? (uint8_t)(uart->divisor >> 8) : uart->ier;
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

/* ---- the bus ---- */

/* Whether the backend has to be told that there is room again: when all that was there is read. */
static bool take_input_wanted(struct uart16550 *uart)
{
    if (!uart->input_stalled || uart->rx.count > 0 || receive_room(uart) == 0)
        return false;
    uart->input_stalled = false;
    return true;
}

static void unlock_and_ask_for_input(struct uart16550 *uart)
{
    bool wanted = take_input_wanted(uart);

    pthread_mutex_unlock(&uart->lock);
    if (wanted)
        console_backend_input_wanted(uart->console);
}

/* The registers are bytes: wider accesses find nobody. */
static void uart_read(void *device, uint64_t offset, void *data, unsigned size)
{
    struct uart16550 *uart = device;

    if (size != 1)
        return;
    pthread_mutex_lock(&uart->lock);
    *(uint8_t *)data = read_register(uart, (unsigned)offset);
    unlock_and_ask_for_input(uart);
}

static void uart_write(void *device, uint64_t offset, const void *data, unsigned size)
{
    struct uart16550 *uart = device;

    if (size != 1)
        return;
    pthread_mutex_lock(&uart->lock);
    write_register(uart, (unsigned)offset, *(const uint8_t *)data);
    unlock_and_ask_for_input(uart);
}

static const struct bus_ops uart_bus_ops = {.read = uart_read, .write = uart_write};

/* ---- the console's side ---- */

static size_t uart_input_room(void *device)
{
    struct uart16550 *uart = device;
    size_t room;

    pthread_mutex_lock(&uart->lock);
    room = receive_room(uart);
    if (room == 0)
        uart->input_stalled = true;
    pthread_mutex_unlock(&uart->lock);
    return room;
}

static void uart_input(void *device, const uint8_t *data, size_t len)
{
    struct uart16550 *uart = device;

    pthread_mutex_lock(&uart->lock);
    /* The guest may have shrunk the room (FCR, loopback) since the backend asked for it. */
    for (size_t i = 0; i < len; i++) {
        if (!fifo_push(&uart->rx, data[i], fifo_capacity(uart)))
            uart->overrun = true;
    }
    update_interrupt(uart, 0);
    pthread_mutex_unlock(&uart->lock);
}

static void uart_input_closed(void *device)
{
    /* The line falls silent: there is no carrier to drop that a console would care for. */
}

static void uart_output_ready(void *device)
{
    struct uart16550 *uart = device;

    pthread_mutex_lock(&uart->lock);
    flush_transmitter(uart);
    update_interrupt(uart, 0);
    pthread_mutex_unlock(&uart->lock);
}

static const struct console_frontend_ops uart_console_ops = {
    .input_room = uart_input_room,
    .input = uart_input,
    .input_closed = uart_input_closed,
    .output_ready = uart_output_ready,
};

/* ---- life ---- */

static void uart_describe(const struct device *device, struct device_description *out)
{
    const struct uart16550 *uart = container_of(device, struct uart16550, device);

    *out = (struct device_description){
        .kind = DEVICE_UART16550,
        .is_port = true,
        .base = UART_PORT,
        .size = UART_PORTS,
        .gsi = uart->irq.gsi,
        .has_gsi = true,
    };
}

static void uart_destroy(struct device *device)
{
    struct uart16550 *uart = container_of(device, struct uart16550, device);

    if (uart->console)
        console_backend_set_frontend(uart->console, NULL, NULL);
    bus_detach(uart->ports, UART_PORT);
    pthread_mutex_destroy(&uart->lock);
    free(uart);
}

static const struct device_ops uart_device_ops = {
    .name = "uart",
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
    uart->device.ops = &uart_device_ops;
    uart->ports = env->ports;
    uart->irq = *irq;
    uart->console = console;
    uart->log = env->log;
    uart->rx_trigger = 1;
    uart->transmit_reported = true;
    uart->msr = MSR_CONNECTED;
    uart->divisor = DEFAULT_DIVISOR;
    pthread_mutex_init(&uart->lock, NULL);
    ret = bus_attach(env->ports, UART_PORT, UART_PORTS, &uart_bus_ops, uart, "uart");
    if (ret) {
        pthread_mutex_destroy(&uart->lock);
        free(uart);
        return ret;
    }
    if (console)
        console_backend_set_frontend(console, &uart_console_ops, uart);
    *out = &uart->device;
    return 0;
}
