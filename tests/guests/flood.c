// SPDX-License-Identifier: Apache-2.0
/* Says lines=N lines on COM1, a FIFO's worth after each look at the transmitter, as drivers do. */
#include "lib/guest.h"

#define UART_LSR 0x3fd
#define UART_FCR 0x3fa

static char text[64];

static unsigned make_line(unsigned number)
{
    static const char head[] = "line ", tail[] = " of a guest that has much to say\n";
    char digits[10];
    unsigned len = 0, count = 0;

    memcpy(text, head, sizeof(head) - 1);
    len = sizeof(head) - 1;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count > 0)
        text[len++] = digits[--count];
    memcpy(text + len, tail, sizeof(tail) - 1);
    return len + sizeof(tail) - 1;
}

void guest_main(void)
{
    unsigned lines = option_number("lines", 1000), burst = 0;

    out8(UART_FCR, 0x07);
    for (unsigned n = 0; n < lines; n++) {
        unsigned len = make_line(n);

        for (unsigned i = 0; i < len; i++) {
            if (burst == 0) {
                while (!(in8(UART_LSR) & 0x20))
                    ;
                burst = 16;
            }
            burst--;
            out8(0x3f8, (uint8_t)text[i]);
        }
    }
    say("end of the flood");
    end_guest((uint8_t)option_number("status", 0));
}
