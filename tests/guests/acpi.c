// SPDX-License-Identifier: Apache-2.0
/*
 * The firmware tables, and what they promise: with button=1 the power button's event comes through
 * the generic event device's interrupt, then the machine powers off through the register that the
 * FADT names.
 */
#include "lib/guest.h"

#define FLAG_RESET_REGISTER (1u << 10)
#define FLAG_HW_REDUCED     (1u << 20)
#define EVENT_PIN           9u
#define EVENT_PORT          0x603

static bool is_port_register(const uint8_t *gas)
{
    return gas[0] == 1 && gas[1] == 8 && get64(gas + 4) != 0;
}

static uint16_t fadt(void)
{
    const uint8_t *table = acpi_table("FACP");
    const uint8_t *dsdt;
    uint32_t flags;
    uint8_t sum = 0;

    if (!table)
        give_up("fadt", "none");
    flags = get32(table + 112);
    check(flags & FLAG_HW_REDUCED, "hardware-reduced", "flags 0x%x", flags);
    check((flags & FLAG_RESET_REGISTER) && is_port_register(table + 116), "reset register", "none");
    check(is_port_register(table + 244) && is_port_register(table + 256), "sleep registers",
          "none");
    dsdt = (const uint8_t *)get64(table + 140);
    check(memcmp(dsdt, "DSDT", 4) == 0, "dsdt", "none");
    for (uint32_t i = 0; i < get32(dsdt + 4); i++)
        sum = (uint8_t)(sum + dsdt[i]);
    check(sum == 0, "dsdt checksum", "off by %u", sum);
    return (uint16_t)get64(table + 248);
}

static void madt(void)
{
    const uint8_t *table = acpi_table("APIC");
    unsigned ioapics = 0, cpus = 0;

    if (!table)
        give_up("madt", "none");
    for (uint32_t at = 44; at + 2 <= get32(table + 4) && table[at + 1] >= 2; at += table[at + 1]) {
        if (table[at] == 0 && (get32(table + at + 4) & 1))
            cpus++;
        if (table[at] == 1 && get32(table + at + 4) == 0xfec00000)
            ioapics++;
    }
    check(get32(table + 36) == 0xfee00000, "local APIC", "at 0x%x", get32(table + 36));
    check(ioapics == 1, "one I/O APIC", "%u", ioapics);
    check(cpus == option_number("cpus", 1), "processors", "%u", cpus);
}

static bool pressed(void *arg)
{
    return interrupt_counts[VECTOR_PINS + EVENT_PIN] > 0;
}

static void power_button(void)
{
    interrupts_init();
    check(in8(EVENT_PORT) == 0, "no event yet", "events");
    say("press: button");
    if (!check(wait_until(pressed, NULL, 20000), "power button interrupts", "no interrupt"))
        return;
    check(in8(EVENT_PORT) == 1, "power button event", "not there");
    check(in8(EVENT_PORT) == 0, "event is read once", "still there");
}

static bool has_byte(void *arg)
{
    return in8(0x64) & 1;
}

/* Left Ctrl, left Alt and Delete as the keyboard controller gives them after reset: set 1. */
static void ctrl_alt_del(void)
{
    static const uint8_t expected[] = {0x1d, 0x38, 0xe0, 0x53};

    say("press: ctrl-alt-del");
    for (unsigned i = 0; i < sizeof(expected); i++) {
        uint8_t code;

        if (!check(wait_until(has_byte, NULL, 20000), "scan code", "none"))
            return;
        code = in8(0x60);
        check(code == expected[i], "scan code of ctrl-alt-del", "0x%x", code);
    }
}

void guest_main(void)
{
    uint16_t sleep_control = fadt();

    madt();
    if (option("button")) {
        power_button();
        ctrl_alt_del();
    }
    if (option("poweroff"))
        out8(sleep_control, 0x34);
}
