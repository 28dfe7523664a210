// SPDX-License-Identifier: Apache-2.0
/* Reads the time of day as PC kernels do and prints it; the test on the host compares. */
#include "lib/guest.h"

static uint8_t cmos(uint8_t index)
{
    out8(0x70, index);
    return in8(0x71);
}

static unsigned bcd(uint8_t value)
{
    return (value >> 4) * 10u + (value & 0xf);
}

void guest_main(void)
{
    unsigned t[6];
    uint8_t seconds;

    check(!(cmos(0x0a) & 0x80), "no update in progress", "register A 0x%x", cmos(0x0a));
    check(cmos(0x0d) == 0x80, "battery", "register D 0x%x", cmos(0x0d));
    check((cmos(0x0b) & 0x7e) == 0x02, "24 hours, BCD, no interrupts", "register B 0x%x",
          cmos(0x0b));
    do {
        seconds = cmos(0x00);
        t[0] = bcd(cmos(0x32)) * 100 + bcd(cmos(0x09));
        t[1] = bcd(cmos(0x08));
        t[2] = bcd(cmos(0x07));
        t[3] = bcd(cmos(0x04));
        t[4] = bcd(cmos(0x02));
        t[5] = bcd(cmos(0x00));
    } while (seconds != cmos(0x00));
    say("time: %u-%u-%u %u:%u:%u", t[0], t[1], t[2], t[3], t[4], t[5]);
    out8(0x70, 0x8f);
    out8(0x71, 0x0a);
    check(cmos(0x0f) == 0x0a, "shutdown status keeps its value", "0x%x", cmos(0x0f));
}
