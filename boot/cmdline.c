// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel command line. Few words, each for a reason; whatever the machine describes by ACPI or
 * CPUID needs none. (Documentation/admin-guide/kernel-parameters.txt)
 */
#include "boot/cmdline.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/*
 * panic=-1          a panic ends the machine at once, through its reset register, instead of
 *                   leaving a virtual CPU spinning for ever
 * pci=off           there is no PCI bus: saves hundreds of accesses to configuration ports
 * 8250.nr_uarts=1   there is one UART: the default looks for four
 * i8042.noaux       no mouse port to look for
 * i8042.dumbkbd     the keyboard only sends (Ctrl-Alt-Del): asking it questions would time out
 * cryptomgr.notests the kernel need not test all its ciphers at every boot
 */
#define COMMON                                                    \
    "panic=-1 pci=off 8250.nr_uarts=1 i8042.noaux i8042.dumbkbd " \
    "cryptomgr.notests"

const char *cmdline_default(enum cmdline_console console)
{
    switch (console) {
    case CMDLINE_CONSOLE_SERIAL:
        /* The early console shows what goes wrong before the driver of ttyS0 is there. */
        return "console=ttyS0 earlycon=uart8250,io,0x3f8 " COMMON;
    case CMDLINE_CONSOLE_VIRTIO:
        return "console=hvc0 " COMMON;
    case CMDLINE_CONSOLE_NONE:
        break;
    }
    /* Nobody reads it, and each byte would cost exits. (console=null would keep init from opening
     * /dev/console.) */
    return "quiet " COMMON;
}

static bool has_word(const char *line, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = line; (at = strstr(at, word)); at += len) {
        if ((at == line || at[-1] == ' ') && (at[len] == '\0' || at[len] == ' '))
            return true;
    }
    return false;
}

/* Who asks for quiet does not want the early console, which starts before "quiet" takes effect. */
static const char *choose_defaults(enum cmdline_console console, const char *append)
{
    if (console == CMDLINE_CONSOLE_SERIAL && append && has_word(append, "quiet"))
        return "console=ttyS0 " COMMON;
    return cmdline_default(console);
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

int cmdline_build(enum cmdline_console console, const char *append, char *out, size_t size)
{
    return cmdline_join(choose_defaults(console, append), append, out, size);
}
