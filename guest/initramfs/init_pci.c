// SPDX-License-Identifier: Apache-2.0
/* Commands about the devices of the PCI bus. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "init.h"

/* One line of /proc/interrupts: number, a count for each CPU, chip, hardware number, names. */
static unsigned long long count_of(const char *line)
{
    const char *colon = strchr(line, ':');
    unsigned long long sum = 0;

    for (const char *at = colon ? colon + 1 : ""; *at;) {
        char *end;
        unsigned long long value = strtoull(at, &end, 10);

        if (end == at)
            break;
        sum += value;
        at = end;
    }
    return sum;
}

/* interrupts:NAME prints how many MSI-X interrupts came to drivers with NAME in their interrupt's,
 * and over how many vectors. */
static int run_interrupts(char **argv)
{
    FILE *file = fopen("/proc/interrupts", "re");
    unsigned long long sum = 0;
    unsigned vectors = 0;
    char line[512];

    if (!file)
        return report_failure(argv[0], errno, "/proc/interrupts");
    while (fgets(line, sizeof(line), file)) {
        unsigned long long count = count_of(line);

        if (strstr(line, "PCI-MSIX") && strstr(line, argv[1]) && count > 0) {
            sum += count;
            vectors++;
        }
    }
    fclose(file);
    report(argv[0], "%s %llu over %u vectors", argv[1], sum, vectors);
    return 0;
}

const struct init_command init_pci_commands[] = {
    {"interrupts", 1, run_interrupts},
    {NULL, 0, NULL},
};
