// SPDX-License-Identifier: Apache-2.0
/* husk pod ps: the pods of this host, in the columns that kubectl has. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/error.h"
#include "cli/pod/table.h"
#include "cli/pods/age.h"
#include "cli/pods/pods.h"
#include "cli/pods/status.h"
#include "cli/pods/yaml.h"

#define LOOK_MS 5000 /* --watch looks that often even when nothing seems to change */

struct ps {
    struct pods_scope scope;
    const char *output; /* NULL: the table */
    bool watch, wide;
    struct table table;
};

static const char *const outputs[] = {"wide", "json", "yaml", "name"};

static int set_output(void *member, const struct pod_place *place, const char *value)
{
    for (unsigned i = 0; i < ARRAY_SIZE(outputs); i++) {
        if (!strcmp(value, outputs[i]))
            return pod_set_text(member, place, value);
    }
    return pod_usage(place->syntax, "%s: %s: wants wide, json, yaml or name", place->option, value);
}

#define AT(member) offsetof(struct ps, member)

static const struct pod_option options[] = {
    SCOPE_MANY(struct ps),
    {'o', "output", true, set_output, AT(output)},
    {'w', "watch", false, pod_set_flag, AT(watch)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "pod ps",
    .help = "husk pod ps [-A | -n NAMESPACE] [-l LABELS] [-o FORMAT] [-w]\n"
            "\n"
            "List pods, also those that have ended.\n"
            "\n"
            "  -n, --namespace NAME   default: default\n"
            "  -A, --all-namespaces\n"
            "  -l, --selector LABELS  those with these labels: app=web, tier!=db, env in (a, b),\n"
            "                         env notin (a), canary, !canary; with commas: all of them\n"
            "  -o, --output wide|json|yaml|name\n"
            "  -w, --watch            and again whenever something changes\n" STATUSES_TEXT,
    .options = options,
};

/* ---- the table ---- */

static void begin_table(struct ps *ps)
{
    static const char *const all[] = {"NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS",
                                      "AGE",       "IP",   "UID",   "IMAGES"};
    const char *headings[ARRAY_SIZE(all) + 1];
    unsigned count = 0;

    for (unsigned i = ps->scope.all_spaces ? 0 : 1; i < (ps->wide ? 9u : 7u); i++)
        headings[count++] = all[i];
    headings[count] = NULL;
    table_begin(&ps->table, headings);
}

/* "nginx:1.27,busybox"; the caller's, or NULL. */
static char *images_of(const json_t *pod)
{
    char *text = NULL;
    size_t len = 0, i;
    FILE *out = open_memstream(&text, &len);
    json_t *container;

    if (!out)
        return NULL;
    json_array_foreach(json_object_get(json_object_get(pod, "spec"), "containers"), i, container)
    {
        const char *image = json_string_value(json_object_get(container, "image"));

        fprintf(out, "%s%s", i ? "," : "", image ? image : "?");
    }
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

static void add_wide(struct ps *ps, const json_t *pod)
{
    const char *uid = json_string_value(json_object_get(json_object_get(pod, "metadata"), "uid"));
    char *images = images_of(pod);

    table_add(&ps->table, "%.12s", uid ? uid : "?");
    table_add(&ps->table, "%s", images ? images : "?");
    free(images);
}

static void add_row(struct ps *ps, const json_t *pod)
{
    int64_t now = time(NULL);
    struct pod_summary summary;
    char age[AGE_BYTES];

    pod_summary(pod, &summary);
    if (ps->scope.all_spaces)
        table_add(&ps->table, "%s", summary.space);
    table_add(&ps->table, "%s", summary.name);
    table_add(&ps->table, "%u/%u", summary.ready, summary.containers);
    table_add(&ps->table, "%s", summary.status);
    if (summary.restarted)
        table_add(&ps->table, "%llu (%s ago)", (unsigned long long)summary.restarts,
                  age_since(summary.restarted, now, age));
    else
        table_add(&ps->table, "%llu", (unsigned long long)summary.restarts);
    table_add(&ps->table, "%s", age_since(summary.created, now, age));
    table_add(&ps->table, "%s", summary.ip[0] ? summary.ip : "<none>");
    if (ps->wide)
        add_wide(ps, pod);
}

/* ---- all of them ---- */

/* Leaves those of the namespace in the list. */
static void filter(const struct ps *ps, json_t *items)
{
    for (size_t i = json_array_size(items); i-- > 0;) {
        if (!scope_has(&ps->scope, json_array_get(items, i)))
            json_array_remove(items, i);
    }
}

static int print_json(const json_t *list)
{
    char *text = json_dumps(list, JSON_INDENT(4));

    if (!text)
        return -ENOMEM;
    puts(text);
    free(text);
    return 0;
}

static int print_names(const json_t *items)
{
    json_t *pod;
    size_t i;

    json_array_foreach((json_t *)items, i, pod)
    {
        char *name = pods_name_of(pod);

        if (!name)
            return -ENOMEM;
        printf("pod/%s\n", name);
        free(name);
    }
    return 0;
}

static int print_table(struct ps *ps, const json_t *items)
{
    json_t *pod;
    size_t i;

    begin_table(ps);
    json_array_foreach((json_t *)items, i, pod)
    {
        add_row(ps, pod);
    }
    return table_print(&ps->table, stdout);
}

static int print_list(struct ps *ps, const json_t *list)
{
    const json_t *items = json_object_get(list, "items");

    if (!ps->output || ps->wide)
        return print_table(ps, items);
    if (!strcmp(ps->output, "json"))
        return print_json(list);
    if (!strcmp(ps->output, "yaml"))
        return yaml_print(list, stdout);
    return print_names(items);
}

/* Once; with `before` only when it is not what was shown. */
static int show(struct ps *ps, struct husk_pods *pods, json_t **before)
{
    struct husk_error err = {0};
    json_t *list = NULL;
    int ret = pods_list(pods, ps->scope.selector, &list, &err);

    if (!ret) {
        filter(ps, json_object_get(list, "items"));
        if (!*before || !json_equal(list, *before))
            ret = print_list(ps, list);
        if (ret)
            error_set(&err, -ret, "", "cannot print the pods", NULL);
        json_decref(*before);
        *before = list;
    }
    if (ret)
        cli_error(&err);
    return ret ? STATUS_MONITOR_ERROR : STATUS_OK;
}

int verb_ps(int argc, char **argv)
{
    struct ps ps = {.output = NULL};
    struct husk_pods *pods;
    json_t *before = NULL;
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, &ps, argc, argv, &words, &count);

    if (status)
        return status == POD_HELP_SHOWN ? STATUS_OK : status;
    ps.wide = ps.output && !strcmp(ps.output, "wide");
    pods = pods_open_all();
    if (!pods)
        return STATUS_MONITOR_ERROR;
    (void)husk_pods_watch_fd(pods); /* before the first look */
    do
        status = show(&ps, pods, &before);
    while (!status && ps.watch && !fflush(stdout) && (pods_await(pods, -1, LOOK_MS), true));
    json_decref(before);
    husk_pods_close(pods);
    return status;
}
