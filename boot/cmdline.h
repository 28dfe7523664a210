// SPDX-License-Identifier: Apache-2.0
/* The kernel command line: husk's defaults for each kind of console, and the user's words. */
#ifndef HUSK_BOOT_CMDLINE_H
#define HUSK_BOOT_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>

/* Where the guest's kernel writes its messages; the order of enum husk_console. */
enum cmdline_console {
    CMDLINE_CONSOLE_SERIAL, /* the UART on COM1 */
    CMDLINE_CONSOLE_VIRTIO, /* the virtio console */
    CMDLINE_CONSOLE_NONE,
};

/* The default words without a PCI bus, in static storage. */
const char *cmdline_default(enum cmdline_console console);

/*
 * The words of `line`, then those of `append` (NULL or "" for nothing). Returns 0 with a
 * NUL-terminated line in out, -EINVAL for a byte that is a control character (a newline, say), or
 * -E2BIG when line and NUL do not fit into size bytes. On failure out is an empty string (when size
 * is not 0).
 */
int cmdline_join(const char *line, const char *append, char *out, size_t size);

/*
 * cmdline_join() of the default words and `append`: the kernel lets the last word win. With the
 * word "quiet" in `append` there is no early console among the defaults; with a PCI bus no
 * "pci=off".
 */
int cmdline_build(enum cmdline_console console, bool has_pci, const char *append, char *out,
                  size_t size);

#endif
