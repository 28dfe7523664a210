// SPDX-License-Identifier: Apache-2.0
/* What containers use: see usage.h. */
#include "cli/pod/usage.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/io.h"

uint64_t usage_number(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));

    return value > 0 ? (uint64_t)value : 0;
}

/* In tenths of a percent of one processor, since the last look or, at the first, since the start.
 */
static unsigned share(struct usage_history *history, const char *key, uint64_t started_ns,
                      uint64_t cpu_us)
{
    uint64_t now = monotonic_ns(), since = 0, was = 0;
    unsigned i = 0;

    while (i < history->count && strcmp(history->before[i].key, key) != 0)
        i++;
    if (i < history->count) {
        since = now - history->before[i].at_ns;
        was = history->before[i].cpu_us;
    } else {
        struct timespec real;

        clock_gettime(CLOCK_REALTIME, &real);
        since = (uint64_t)real.tv_sec * 1000000000 + (uint64_t)real.tv_nsec - started_ns;
    }
    if (i < USAGE_MAX) {
        snprintf(history->before[i].key, USAGE_KEY_BYTES, "%s", key);
        history->before[i].at_ns = now;
        history->before[i].cpu_us = cpu_us;
        if (i == history->count)
            history->count++;
    }
    return since && cpu_us > was ? (unsigned)((double)(cpu_us - was) * 1e6 / (double)since) : 0;
}

void usage_add_cells(struct table *table, struct usage_history *history, const char *key,
                     uint64_t started_ns, const json_t *stats)
{
    char words[TABLE_WORDS_BYTES], more[TABLE_WORDS_BYTES];
    unsigned tenths = share(history, key, started_ns, usage_number(stats, "cpu_usec"));

    table_add(table, "%u.%u%%", tenths / 10, tenths % 10);
    table_add(table, "%s", words_of_bytes(usage_number(stats, "memory_bytes"), words));
    table_add(table, "%s / %s", words_of_bytes(usage_number(stats, "io_read_bytes"), words),
              words_of_bytes(usage_number(stats, "io_write_bytes"), more));
    table_add(table, "%llu", (unsigned long long)usage_number(stats, "processes"));
}

void usage_add_machine(struct table *table, const json_t *machine)
{
    char words[TABLE_WORDS_BYTES];

    table_add(table, "%s", words_of_bytes(usage_number(machine, "memory_resident_bytes"), words));
}
