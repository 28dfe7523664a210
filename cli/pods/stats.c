// SPDX-License-Identifier: Apache-2.0
/* husk pod stats and top: what pods and their containers use, and their processes. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/pod/processes.h"
#include "cli/pod/usage.h"
#include "cli/pods/age.h"
#include "cli/pods/pods.h"

#define PERIOD_S 1

struct stats {
    struct pods_scope scope;
    bool no_stream, json, skip_idle;
    char **words;
    unsigned count;
    struct usage_history history;
    struct table table;
};

static int set_format(void *member, const struct pod_place *place, const char *value)
{
    if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
        return pod_usage(place->syntax, "%s: %s: wants table or json", place->option, value);
    *(bool *)member = !strcmp(value, "json");
    return 0;
}

static const struct pod_option stats_options[] = {
    SCOPE_MANY(struct stats),
    {0, "no-stream", false, pod_set_flag, offsetof(struct stats, no_stream)},
    {0, "format", true, set_format, offsetof(struct stats, json)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax stats_syntax = {
    .command = "pod stats",
    .help = "husk pod stats [OPTION...] [POD...]\n"
            "\n"
            "Show every second what the containers of pods use; without names, of all of the\n"
            "namespace that run.\n"
            "\n"
            "      --no-stream    once; the processor's share is then that of its whole life\n"
            "      --format json  a JSON object in a line for each pod, with all that is counted\n"
            "  -n, --namespace NAME, -A, --all-namespaces, -l, --selector LABELS\n" STATUSES_TEXT,
    .wants = "pods",
    .most = USAGE_MAX,
    .options = stats_options,
};

/* When the container was started; 0: it is not known. */
static uint64_t started_ns(const json_t *pod, const char *container)
{
    static const char *const lists[] = {"containerStatuses", "initContainerStatuses"};

    for (unsigned k = 0; k < 2; k++) {
        json_t *one;
        size_t i;

        json_array_foreach(json_object_get(json_object_get(pod, "status"), lists[k]), i, one)
        {
            const char *name = json_string_value(json_object_get(one, "name"));
            const json_t *running = json_object_get(json_object_get(one, "state"), "running");
            int64_t seconds =
                rfc3339_seconds(json_string_value(json_object_get(running, "startedAt")));

            if (name && !strcmp(name, container))
                return seconds > 0 ? (uint64_t)seconds * 1000000000 : 0;
        }
    }
    return 0;
}

static void add_rows(struct stats *stats, const char *name, const json_t *pod, const json_t *answer)
{
    const json_t *containers = json_object_get(answer, "containers");
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)containers, i, one)
    {
        const char *container = json_string_value(json_object_get(one, "name"));
        char key[USAGE_KEY_BYTES];

        if (!container)
            continue;
        snprintf(key, sizeof(key), "%s %s", name, container);
        table_add(&stats->table, "%s", i ? "" : name);
        table_add(&stats->table, "%s", container);
        usage_add_cells(&stats->table, &stats->history, key, started_ns(pod, container),
                        json_object_get(one, "stats"));
        if (i)
            table_add(&stats->table, "%s", "");
        else
            usage_add_machine(&stats->table, json_object_get(answer, "machine"));
    }
}

static int print_json(const char *name, const json_t *answer)
{
    json_t *line = json_pack("{s:s}", "pod", name);
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

static int show(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err)
{
    struct stats *stats = arg;
    json_t *pod = NULL, *answer = NULL;
    char *text = NULL;
    int ret = husk_pod_stats(pods, name, &text, err);

    if (ret == -ESRCH && stats->skip_idle)
        return 0;
    if (!ret)
        ret = pods_get(pods, name, &pod, err);
    if (!ret) {
        answer = json_loads(text, 0, NULL);
        if (!answer || (stats->json && print_json(name, answer)))
            ret = error_set(err, ENOMEM, name, "cannot be shown", NULL);
        else if (!stats->json)
            add_rows(stats, name, pod, answer);
    }
    husk_pod_text_free(text);
    json_decref(answer);
    json_decref(pod);
    return ret;
}

static int show_once(struct stats *stats, struct husk_pods *pods)
{
    static const char *const headings[] = {"POD",          "CONTAINER", "CPU",         "MEMORY",
                                           "READ / WRITE", "PROCESSES", "HOST MEMORY", NULL};
    json_t *names = scope_names(pods, &stats->scope, stats->words, stats->count);
    int status;

    if (!names)
        return STATUS_MONITOR_ERROR;
    if (!stats->json)
        table_begin(&stats->table, headings);
    status = pods_each(pods, names, show, stats);
    if (!stats->json) {
        if (!stats->no_stream && isatty(STDOUT_FILENO))
            fputs("\033[H\033[J", stdout); /* home, and clear to the end (ECMA-48) */
        /* What went wrong with all of them has been said. */
        if (table_print(&stats->table, status && stats->table.rows <= 1 ? NULL : stdout)) {
            cli_message("%s", error_text(ENOMEM));
            status = STATUS_MONITOR_ERROR;
        }
    }
    json_decref(names);
    return status;
}

int verb_stats(int argc, char **argv)
{
    struct stats *stats = calloc(1, sizeof(*stats));
    struct husk_pods *pods = NULL;
    int status;

    if (!stats) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_MONITOR_ERROR;
    }
    status = pod_options_parse(&stats_syntax, stats, argc, argv, &stats->words, &stats->count);
    stats->skip_idle = !stats->count;
    if (!status) {
        pods = pods_open_all();
        status = pods ? STATUS_OK : STATUS_MONITOR_ERROR;
    }
    while (!status) {
        status = show_once(stats, pods);
        if (status || stats->no_stream || fflush(stdout))
            break;
        sleep(PERIOD_S);
    }
    husk_pods_close(pods);
    free(stats);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}

/* ---- top ---- */

struct top {
    struct pods_scope scope;
    const char *container;
};

static const struct pod_option top_options[] = {
    SCOPE_NAMESPACE(struct top),
    {'c', "container", true, pod_set_text, offsetof(struct top, container)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax top_syntax = {
    .command = "pod top",
    .help =
        "husk pod top [-n NAMESPACE] [-c CONTAINER] POD\n"
        "\n"
        "List the processes of a container that runs: their ids in the container, users, states\n"
        "(a letter as in proc(5)), processor time, age, resident memory and "
        "commands.\n" STATUSES_TEXT,
    .wants = "one pod",
    .least = 1,
    .most = 1,
    .options = top_options,
};

static int show_processes(struct husk_pods *pods, const char *name, void *arg,
                          struct husk_error *err)
{
    const struct top *top = arg;
    char *text = NULL;
    json_t *answer;
    int ret = husk_pod_processes(pods, name, top->container, &text, err);

    if (ret)
        return ret;
    answer = json_loads(text, 0, NULL);
    if (!answer || processes_print(name, answer))
        ret = error_set(err, ENOMEM, name, "cannot be shown", NULL);
    json_decref(answer);
    husk_pod_text_free(text);
    return ret;
}

int verb_top(int argc, char **argv)
{
    struct top top = {.container = NULL};
    struct husk_pods *pods;
    json_t *names = NULL;
    char **words;
    unsigned count;
    int status = pod_options_parse(&top_syntax, &top, argc, argv, &words, &count);

    if (status)
        return status == POD_HELP_SHOWN ? STATUS_OK : status;
    pods = pods_open_all();
    if (pods)
        names = scope_names(pods, &top.scope, words, count);
    status = names ? pods_each(pods, names, show_processes, &top) : STATUS_MONITOR_ERROR;
    json_decref(names);
    husk_pods_close(pods);
    return status;
}
