// SPDX-License-Identifier: Apache-2.0
/* husk stats: what containers use, once or again and again. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pod/pod.h"
#include "cli/pod/table.h"
#include "cli/pod/usage.h"

#define PERIOD_S 1

struct stats {
    bool no_stream;
    const char *format;
    char **words;
    unsigned count;
    struct usage_history history;
    struct table table;
    bool json;
};

static int set_format(void *member, const struct pod_place *place, const char *value)
{
    if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
        return pod_usage(place->syntax, "%s: %s: wants table or json", place->option, value);
    return pod_set_text(member, place, value);
}

#define AT(member) offsetof(struct stats, member)

static const struct pod_option options[] = {
    {0, "no-stream", false, pod_set_flag, AT(no_stream)},
    {0, "format", true, set_format, AT(format)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "stats",
    .help = "husk stats [--no-stream] [--format table|json] [CONTAINER...]\n"
            "\n"
            "Print what containers use, every second: processor time in hundredths of one\n"
            "processor, memory, what they read from and wrote to disks, how many processes they\n"
            "have, and what the machine around the container takes of this host's memory. Without\n"
            "names, of all that run.\n"
            "\n"
            "      --no-stream    once; the processor's share is then that of its whole life\n"
            "      --format json  a JSON object in a line for each, with all that is "
            "counted\n" STATUSES_TEXT,
    .wants = "containers",
    .most = USAGE_MAX,
    .options = options,
};

static void add_row(struct stats *stats, const struct container_spec *spec, uint64_t started_ns,
                    const json_t *answer)
{
    table_add(&stats->table, "%.12s", spec->id);
    table_add(&stats->table, "%s", spec->name);
    usage_add_cells(&stats->table, &stats->history, spec->id, started_ns, answer);
    usage_add_machine(&stats->table, json_object_get(answer, "machine"));
}

static int print_json(const struct container_spec *spec, const json_t *answer)
{
    json_t *line = json_pack("{s:s, s:s}", "id", spec->id, "name", spec->name);
    char *text = NULL;

    if (line && !json_object_update_missing(line, (json_t *)answer))
        text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (!text)
        return -ENOMEM;
    puts(text);
    free(text);
    return 0;
}

static int show(struct stats *stats, struct entry *container, struct control_client *client,
                struct husk_error *err)
{
    struct container_spec spec = {.id = ""};
    struct container_state state = {.started_ns = 0};
    struct control_message answer;
    int ret = container_load_spec(container, &spec, err);

    if (!ret)
        ret = container_load_state(container, &state, err);
    if (!ret)
        ret = control_client_call(client, "stats", NULL, &answer, err);
    if (!ret) {
        if (stats->json)
            ret = print_json(&spec, answer.body);
        else
            add_row(stats, &spec, state.started_ns, answer.body);
        control_message_clear(&answer);
    }
    container_spec_clear(&spec);
    return ret;
}

static int show_target(struct pod_target *target, void *arg, struct husk_error *err)
{
    if (!target->client)
        return pod_does_not_run(target->container, err);
    return show(arg, target->container, target->client, err);
}

/* One of all: those that do not run, or end just now, are left out. */
static int show_any(void *arg, struct entry *container)
{
    struct control_client *client;
    struct container_state state;

    if (container_load_state(container, &state, NULL) || state.status == CONTAINER_CREATED ||
        state.status == CONTAINER_EXITED || pod_connect(container, &client, NULL))
        return 0;
    show(arg, container, client, NULL);
    control_client_close(client);
    return 0;
}

static int show_all(struct stats *stats)
{
    struct entry_store *store;
    struct husk_error err = {0};
    int ret = pod_store(false, &store, &err);

    if (!ret && store)
        ret = entry_each(store, show_any, stats, &err);
    entry_store_close(store);
    if (ret)
        cli_error(&err);
    return ret ? STATUS_MONITOR_ERROR : STATUS_OK;
}

static int show_once(struct stats *stats)
{
    static const char *const headings[] = {"ID",           "NAME",      "CPU",         "MEMORY",
                                           "READ / WRITE", "PROCESSES", "HOST MEMORY", NULL};
    int status;

    if (!stats->json)
        table_begin(&stats->table, headings);
    status = stats->count ? pod_for_each(stats->words, stats->count, show_target, stats)
                          : show_all(stats);
    if (!stats->json) {
        if (!stats->no_stream && isatty(STDOUT_FILENO))
            fputs("\033[H\033[J", stdout); /* home, and clear to the end (ECMA-48) */
        if (table_print(&stats->table, stdout)) {
            cli_message("%s", error_text(ENOMEM));
            status = STATUS_MONITOR_ERROR;
        }
    }
    return status;
}

int pod_stats(int argc, char **argv)
{
    struct stats *stats = calloc(1, sizeof(*stats));
    int status;

    if (!stats) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_MONITOR_ERROR;
    }
    status = pod_options_parse(&syntax, stats, argc, argv, &stats->words, &stats->count);
    stats->json = stats->format && !strcmp(stats->format, "json");
    while (!status) {
        status = show_once(stats);
        if (status || stats->no_stream || fflush(stdout))
            break;
        sleep(PERIOD_S);
    }
    free(stats);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
