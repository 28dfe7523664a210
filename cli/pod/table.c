// SPDX-License-Identifier: Apache-2.0
/* Tables for people: see table.h. */
#include "cli/pod/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"

static void add_text(struct table *table, char *text)
{
    size_t count = (size_t)table->rows * table->columns + table->filled;
    char **cells = NULL;

    if (text && !table->failed)
        cells = realloc(table->cells, (count + 1) * sizeof(*cells));
    if (!cells) {
        table->failed = true;
        free(text);
        return;
    }
    make_printable(text);
    table->cells = cells;
    cells[count] = text;
    if (strlen(text) > table->widths[table->filled])
        table->widths[table->filled] = (unsigned)strlen(text);
    if (++table->filled == table->columns) {
        table->filled = 0;
        table->rows++;
    }
}

void table_begin(struct table *table, const char *const headings[])
{
    memset(table, 0, sizeof(*table));
    while (headings[table->columns])
        table->columns++;
    for (unsigned i = 0; i < table->columns; i++)
        add_text(table, strdup(headings[i]));
}

void table_add(struct table *table, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    add_text(table, text);
}

int table_print(struct table *table, FILE *out)
{
    size_t count = (size_t)table->rows * table->columns + table->filled;

    for (size_t i = 0; i < count; i++) {
        unsigned column = (unsigned)(i % table->columns);
        bool last = column + 1 == table->columns;

        if (out && !table->failed)
            fprintf(out, "%-*s%s", last ? 0 : (int)table->widths[column], table->cells[i],
                    last ? "\n" : "   ");
        free(table->cells[i]);
    }
    free(table->cells);
    table->cells = NULL;
    return table->failed ? -ENOMEM : 0;
}

const char *words_of_time(uint64_t seconds, char out[TABLE_WORDS_BYTES])
{
    static const struct {
        const char *name;
        uint64_t seconds, from; /* used from so many seconds on */
    } units[] = {{"year", 365 * 86400, 2 * 365 * 86400},
                 {"month", 30 * 86400, 60 * 86400},
                 {"week", 7 * 86400, 14 * 86400},
                 {"day", 86400, 2 * 86400},
                 {"hour", 3600, 2 * 3600},
                 {"minute", 60, 2 * 60}};

    for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
        if (seconds >= units[i].from) {
            snprintf(out, TABLE_WORDS_BYTES, "%llu %ss",
                     (unsigned long long)(seconds / units[i].seconds), units[i].name);
            return out;
        }
    }
    snprintf(out, TABLE_WORDS_BYTES, "%llu second%s", (unsigned long long)seconds,
             seconds == 1 ? "" : "s");
    return out;
}

const char *words_of_bytes(uint64_t bytes, char out[TABLE_WORDS_BYTES])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    double value = (double)bytes;

    for (; value >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
        value /= 1024;
    snprintf(out, TABLE_WORDS_BYTES, unit && value < 100 ? "%.1f%s" : "%.0f%s", value, units[unit]);
    return out;
}
