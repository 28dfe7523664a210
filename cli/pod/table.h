// SPDX-License-Identifier: Apache-2.0
/* Tables for people: columns as wide as they need to be, and times and sizes in words. */
#ifndef HUSK_CLI_POD_TABLE_H
#define HUSK_CLI_POD_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 12u
#define TABLE_WORDS_BYTES 64u

struct table {
    unsigned columns, rows, filled; /* filled: cells of the row that is not full yet */
    unsigned widths[TABLE_COLUMNS_MAX];
    char **cells; /* row by row; ours */
    bool failed;  /* memory was short: table_print() says so */
};

/* The first row, the headings; ends with NULL. */
void table_begin(struct table *table, const char *const headings[]);
/* The next cell; every byte that is not printable ASCII becomes '?'. Rows fill from the left. */
void table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints (not to NULL) and releases. 0, or -ENOMEM with nothing printed. */
int table_print(struct table *table, FILE *out);

/* "5 seconds", "3 minutes", "2 hours", "4 days", ... Returns out. */
const char *words_of_time(uint64_t seconds, char out[TABLE_WORDS_BYTES]);
/* "12.3MiB". Returns out. */
const char *words_of_bytes(uint64_t bytes, char out[TABLE_WORDS_BYTES]);

#endif
