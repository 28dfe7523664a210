// SPDX-License-Identifier: Apache-2.0
/* Ends the machine in the way that the command line asks for: do=WHAT, or do=exit with exit=STATUS.
 */
#include "lib/guest.h"

static void triple_fault(void)
{
    static const uint8_t none[10]; /* limit and base of an empty table */

    __asm__ volatile("lidt %0; ud2" : : "m"(none));
}

static void wait_for_ever(void)
{
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void spin_for_ever(void)
{
    for (;;)
        __asm__ volatile("pause");
}

void guest_main(void)
{
    say("ready");
    if (option_is("do", "keyboard"))
        out8(0x64, 0xfe);
    else if (option_is("do", "reset"))
        out8(0x602, 0x42);
    else if (option_is("do", "poweroff"))
        out8(0x600, 0x34); /* SLP_EN, SLP_TYP 5 */
    else if (option_is("do", "panic"))
        out8(0x505, 0x01);
    else if (option_is("do", "triple"))
        triple_fault();
    else if (option_is("do", "halt"))
        wait_for_ever();
    else if (option_is("do", "spin"))
        spin_for_ever();
    else if (option_is("do", "exit"))
        end_guest((uint8_t)option_number("exit", 0));
    else if (option_is("do", "mark"))
        out8(0xf5, 1);
    else
        give_up("reset", "no do=... on the command line");
    /* Ending the machine is not instant: this processor may run on for a little. */
    if (!option_is("do", "mark"))
        wait_for_ever();
}
