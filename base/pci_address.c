// SPDX-License-Identifier: Apache-2.0
/* Parsing addresses of PCI functions: see pci_address.h. */
#include "base/pci_address.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* One to `most` hexadecimal digits, and the character after them; steps over both. */
static bool take_hex(const char **at, unsigned most, char after, unsigned *out)
{
    unsigned digits = 0;

    for (*out = 0; digits < most && isxdigit((unsigned char)**at); digits++, (*at)++) {
        unsigned char c = (unsigned char)**at;

        *out = *out * 16 + (unsigned)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
    }
    return digits && *(*at)++ == after;
}

/* domain:bus:device.function, all hexadecimal; PCI Express 6.0, 2.2.6.2. VMD's domains begin at
 * 0x10000. */
int pci_address_parse(const char *text, char out[PCI_ADDRESS_SIZE])
{
    const char *colon = strchr(text, ':');
    unsigned domain = 0, bus, device, function;

    if (colon && strchr(colon + 1, ':') && !take_hex(&text, 8, ':', &domain))
        return -EINVAL;
    if (!take_hex(&text, 2, ':', &bus) || !take_hex(&text, 2, '.', &device) ||
        !take_hex(&text, 1, '\0', &function) || device > 0x1f || function > 7)
        return -EINVAL;
    snprintf(out, PCI_ADDRESS_SIZE, "%04x:%02x:%02x.%x", domain, bus, device, function);
    return 0;
}
