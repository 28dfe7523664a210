// SPDX-License-Identifier: Apache-2.0
/* Says what it was booted with: command line, initial RAM disk, and whether there is a PCI bus. */
#include "lib/guest.h"

void guest_main(void)
{
    uint64_t len;
    const uint8_t *bytes = initrd(&len);
    unsigned sum = 0;

    for (uint64_t i = 0; i < len; i++)
        sum = sum * 31 + bytes[i];
    say("command line: %s", command_line());
    say("initrd: %U bytes, sum 0x%x", len, sum);
    say("bus: %s", acpi_table("MCFG") ? "pci" : "mmio");
    check(true, "brought", "");
}
