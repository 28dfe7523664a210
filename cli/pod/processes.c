// SPDX-License-Identifier: Apache-2.0
/* The processes of a container: see processes.h. */
#include "cli/pod/processes.h"

#include <stdint.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/pod/table.h"

static uint64_t number(const json_t *process, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(process, name));

    return value > 0 ? (uint64_t)value : 0;
}

static const char *text(const json_t *process, const char *name)
{
    const char *value = json_string_value(json_object_get(process, name));

    return value ? value : "?";
}

static int print_table(const json_t *answer)
{
    static const char *const headings[] = {"PID", "USER",   "STATE",   "CPU",
                                           "AGE", "MEMORY", "COMMAND", NULL};
    json_t *process;
    struct table table;
    size_t i;

    table_begin(&table, headings);
    json_array_foreach(json_object_get(answer, "processes"), i, process)
    {
        char age[TABLE_WORDS_BYTES], memory[TABLE_WORDS_BYTES];
        uint64_t cpu_ms = number(process, "cpu_usec") / 1000;

        table_add(&table, "%llu", (unsigned long long)number(process, "pid_inside"));
        table_add(&table, "%llu", (unsigned long long)number(process, "uid"));
        table_add(&table, "%.8s", text(process, "state"));
        table_add(&table, "%llu.%02llu s", (unsigned long long)(cpu_ms / 1000),
                  (unsigned long long)(cpu_ms % 1000 / 10));
        table_add(&table, "%s", words_of_time(number(process, "age_usec") / 1000000, age));
        table_add(&table, "%s", words_of_bytes(number(process, "memory_bytes"), memory));
        table_add(&table, "%s", text(process, "command"));
    }
    return table_print(&table, stdout);
}

int processes_print(const char *name, const json_t *answer)
{
    uint64_t left_out = number(answer, "left_out");
    int ret = print_table(answer);

    if (left_out)
        cli_message("%s: %llu more processes are left out", name, (unsigned long long)left_out);
    return ret;
}
