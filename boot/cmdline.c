// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel command line. Few words, each for a reason; whatever the machine describes by ACPI or
 * CPUID needs none. (Documentation/admin-guide/kernel-parameters.txt)
 */
#include "boot/cmdline.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/parse.h"

/*
 * panic=-1          a panic ends the machine at once, through its reset register, instead of
 *                   leaving a virtual CPU spinning for ever
 * reboot=a          restarts through the reset register: with hardware-reduced ACPI a kernel that
 *                   knows EFI tries that instead, then a BIOS, and there is neither
 * pci=off           where there is no PCI bus: saves hundreds of accesses to configuration ports
 * 8250.nr_uarts=1   there is one UART: the default looks for four
 * i8042.noaux       no mouse port to look for
 * i8042.dumbkbd     the keyboard only sends (Ctrl-Alt-Del): asking it questions would time out
 * cryptomgr.notests the kernel need not test all its ciphers at every boot
 */
#define NO_PCI "pci=off "
#define COMMON(pci)                                                       \
    "panic=-1 reboot=a " pci "8250.nr_uarts=1 i8042.noaux i8042.dumbkbd " \
    "cryptomgr.notests"
#define SERIAL       "console=ttyS0 "
#define EARLY_SERIAL SERIAL "earlycon=uart8250,io,0x3f8 "

/* What comes before the common words. */
static const char *const consoles[] = {
    /* The early console shows what goes wrong before the driver of ttyS0 is there. */
    [CMDLINE_CONSOLE_SERIAL] = EARLY_SERIAL COMMON(NO_PCI),
    [CMDLINE_CONSOLE_VIRTIO] = "console=hvc0 " COMMON(NO_PCI),
    /* Nobody reads it, and each byte would cost exits. (console=null would keep init from opening
     * /dev/console.) */
    [CMDLINE_CONSOLE_NONE] = "quiet " COMMON(NO_PCI),
};

static const char *const pci_consoles[] = {
    [CMDLINE_CONSOLE_SERIAL] = EARLY_SERIAL COMMON(""),
    [CMDLINE_CONSOLE_VIRTIO] = "console=hvc0 " COMMON(""),
    [CMDLINE_CONSOLE_NONE] = "quiet " COMMON(""),
};

const char *cmdline_default(enum cmdline_console console)
{
    return consoles[console];
}

/* Who asks for quiet does not want the early console, which starts before "quiet" takes effect. */
static const char *choose_defaults(enum cmdline_console console, bool has_pci, const char *append)
{
    if (console == CMDLINE_CONSOLE_SERIAL && append && find_word(append, "quiet"))
        return has_pci ? SERIAL COMMON("") : SERIAL COMMON(NO_PCI);
    return has_pci ? pci_consoles[console] : consoles[console];
}

static bool has_control_character(const char *line)
{
    for (; *line; line++) {
        unsigned char byte = (unsigned char)*line;

        if (byte < 0x20 || byte == 0x7f)
            return true;
    }
    return false;
}

int cmdline_join(const char *line, const char *append, char *out, size_t size)
{
    size_t head = strlen(line);
    size_t tail = append ? strlen(append) : 0;
    size_t space = head > 0 && tail > 0;

    if (size > 0)
        *out = '\0';
    if (has_control_character(line) || (append && has_control_character(append)))
        return -EINVAL;
    if (head >= size || tail + space >= size - head)
        return -E2BIG;
    memcpy(out, line, head + 1);
    if (space)
        out[head] = ' ';
    if (tail > 0)
        memcpy(out + head + space, append, tail + 1);
    return 0;
}

int cmdline_build(enum cmdline_console console, bool has_pci, const char *append, char *out,
                  size_t size)
{
    return cmdline_join(choose_defaults(console, has_pci, append), append, out, size);
}
