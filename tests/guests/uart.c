// SPDX-License-Identifier: Apache-2.0
/*
 * COM1: registers, loopback, and the two ways of using it, by polling and by interrupts. The test
 * on the host types the line that it is asked for.
 */
#include "lib/guest.h"

#define UART 0x3f8
enum { DATA = UART, IER, IIR, LCR, MCR, LSR, MSR, SCR };

#define LSR_DR    0x01
#define LSR_THRE  0x20
#define LSR_TEMT  0x40
#define LCR_DLAB  0x80
#define MCR_LOOP  0x10
#define UART_PIN  4u
#define FIFO_SIZE 16u

static volatile char line[64];
static volatile unsigned line_bytes;
static volatile unsigned sent;
static volatile bool whole_line;

static void registers(void)
{
    uint8_t divisor;

    out8(SCR, 0x5a);
    check(in8(SCR) == 0x5a, "scratch register", "0x%x", in8(SCR));
    check((in8(LSR) & (LSR_THRE | LSR_TEMT)) == (LSR_THRE | LSR_TEMT), "transmitter empty",
          "LSR 0x%x", in8(LSR));
    check((in8(MSR) & 0xf0) == 0xb0, "terminal is there", "MSR 0x%x", in8(MSR));
    out8(LCR, LCR_DLAB | 3);
    out8(DATA, 1);
    divisor = in8(DATA);
    out8(LCR, 3);
    check(divisor == 1, "divisor", "%u", divisor);
    out8(0x3fa, 0xc7);
    check((in8(IIR) & 0xc1) == 0xc1, "FIFOs", "IIR 0x%x", in8(IIR));
}

static void loopback(void)
{
    unsigned received = 0;

    out8(MCR, MCR_LOOP | 0x0a);
    uint8_t lines = in8(MSR) & 0xf0;

    for (unsigned i = 0; i < FIFO_SIZE; i++)
        out8(DATA, (uint8_t)(0xa0 + i));
    while (in8(LSR) & LSR_DR) {
        if (in8(DATA) != 0xa0 + received)
            break;
        received++;
    }
    out8(MCR, 0x0b);
    check(lines == 0x90, "loopback of the modem lines", "MSR 0x%x", lines);
    check(received == FIFO_SIZE, "loopback of a FIFO's worth", "%u came back", received);
}

static void polled_line(void)
{
    char text[64];
    unsigned len = 0;

    say("type: polled");
    while (len < sizeof(text) - 1) {
        while (!(in8(LSR) & LSR_DR))
            ;
        text[len] = (char)in8(DATA);
        if (text[len] == '\n')
            break;
        len++;
    }
    text[len] = '\0';
    say("got: %s", text);
    check(len > 0, "polled input", "an empty line");
}

/* One cause after the other until there is none, as drivers do on an edge. */
static void handler(unsigned vector)
{
    uint8_t iir;

    if (vector != VECTOR_PINS + UART_PIN)
        return;
    while (!((iir = in8(IIR)) & 1)) {
        if ((iir & 0x0f) == 0x02) {
            sent++;
            out8(IER, in8(IER) & ~2u);
            continue;
        }
        while (in8(LSR) & LSR_DR) {
            char c = (char)in8(DATA);

            if (c == '\n')
                whole_line = true;
            else if (!whole_line && line_bytes < sizeof(line) - 1)
                line[line_bytes++] = c;
        }
    }
}

static bool has_line(void *arg)
{
    return whole_line;
}

static bool was_sent(void *arg)
{
    return sent > 0;
}

static void interrupts(void)
{
    char text[64];

    interrupt_hook = handler;
    interrupts_init();
    out8(IER, 2);
    check(wait_until(was_sent, NULL, 5000), "transmitter interrupt", "none came");
    out8(IER, 1);
    say("type: interrupts");
    check(wait_until(has_line, NULL, 10000), "receiver interrupt", "no line, %u bytes", line_bytes);
    out8(IER, 0);
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = line[i];
    say("got: %s", text);
    check(interrupt_counts[VECTOR_PINS + UART_PIN] > 0, "interrupts on pin 4", "none");
}

void guest_main(void)
{
    registers();
    loopback();
    polled_line();
    interrupts();
}
