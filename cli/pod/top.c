// SPDX-License-Identifier: Apache-2.0
/* husk top: the processes of a container. */
#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/pod/pod.h"
#include "cli/pod/table.h"

static const struct pod_option options[] = {{0, NULL, false, NULL, 0}};

static const struct pod_syntax syntax = {
    .command = "top",
    .help =
        "husk top CONTAINER\n"
        "\n"
        "List the processes of a container that runs: their ids in the container, users, states\n"
        "(a letter as in proc(5)), processor time, age, resident memory and commands.\n"
        "\n"
        "Exit status: 0 done; 119 usage error; 125 failure.\n",
    .wants = "one container",
    .least = 1,
    .most = 1,
    .options = options,
};

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

static int show(const json_t *answer)
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

static int top(struct pod_target *target, void *arg, struct husk_error *err)
{
    struct control_message answer;
    uint64_t left_out;
    int ret;

    if (!target->client)
        return error_set(err, ESRCH, target->container->name, "does not run", "it has ended");
    ret = control_client_call(target->client, "agent", json_pack("{s:s}", "method", "processes"),
                              &answer, err);
    if (ret)
        return ret;
    left_out = number(answer.body, "left_out");
    if (show(answer.body))
        ret = error_set(err, ENOMEM, target->container->name, "cannot be shown", NULL);
    control_message_clear(&answer);
    if (left_out)
        cli_message("%s: %llu more processes are left out", target->container->name,
                    (unsigned long long)left_out);
    return ret;
}

int pod_top(int argc, char **argv)
{
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, NULL, argc, argv, &words, &count);

    if (!status)
        status = pod_for_each(words, count, top, NULL);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
