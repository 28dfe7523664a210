// SPDX-License-Identifier: Apache-2.0
/* husk ps: the containers of this host. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "base/error.h"
#include "cli/pod/pod.h"
#include "cli/pod/table.h"

#define COMMAND_WIDTH 24

struct ps {
    bool all, quiet, no_trunc;
    const char *format;
    struct pod_list filters;
    struct table table;
};

/* One container while it is looked at. */
struct row {
    const struct container_spec *spec;
    const struct container_state *state;
    const char *image;
    const json_t *words; /* the command */
};

static int set_format(void *member, const struct pod_place *place, const char *value)
{
    if (strcmp(value, "json") != 0 && strcmp(value, "table") != 0)
        return pod_usage(place->syntax, "%s: %s: wants table or json", place->option, value);
    return pod_set_text(member, place, value);
}

static const char *const filter_names[] = {"id=", "name=", "status=", "image=", "label="};

static int add_filter(void *member, const struct pod_place *place, const char *value)
{
    for (unsigned i = 0; i < ARRAY_SIZE(filter_names); i++) {
        size_t len = strlen(filter_names[i]);

        if (!strncmp(value, filter_names[i], len) && value[len])
            return pod_add_text(member, place, value);
    }
    return pod_usage(place->syntax,
                     "%s: %s: wants id=, name=, status=, image= or label= and a value",
                     place->option, value);
}

#define AT(member) offsetof(struct ps, member)

static const struct pod_option options[] = {
    {'a', "all", false, pod_set_flag, AT(all)},
    {'q', "quiet", false, pod_set_flag, AT(quiet)},
    {0, "no-trunc", false, pod_set_flag, AT(no_trunc)},
    {0, "format", true, set_format, AT(format)},
    {'f', "filter", true, add_filter, AT(filters)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "ps",
    .help = "husk ps [-a] [-q] [--no-trunc] [--format table|json] [-f FILTER]...\n"
            "\n"
            "List the containers that run; with -a also those that have ended.\n"
            "\n"
            "  -a, --all            also those that do not run\n"
            "  -q, --quiet          ids only\n"
            "      --no-trunc       whole ids and commands\n"
            "      --format json    a JSON object in a line for each\n"
            "  -f, --filter id=ID | name=NAME | status=STATUS | image=IMAGE | label=NAME[=TEXT]\n"
            "                       those that have all of that: the beginning of an id, a part\n"
            "                       of a name or image\n" STATUSES_TEXT,
    .options = options,
};

static bool label_matches(const json_t *labels, const char *wanted)
{
    size_t len = strcspn(wanted, "=");
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)labels, key, value)
    {
        if (strlen(key) == len && !strncmp(key, wanted, len))
            return !wanted[len] || !strcmp(json_string_value(value), wanted + len + 1);
    }
    return false;
}

static bool matches(const struct row *row, const char *filter)
{
    const char *wanted = strchr(filter, '=') + 1;

    switch (filter[0]) {
    case 'i':
        return filter[1] == 'd' ? !strncmp(row->spec->id, wanted, strlen(wanted))
                                : strstr(row->image, wanted) != NULL;
    case 'n':
        return strstr(row->spec->name, wanted) != NULL;
    case 's':
        return !strcmp(container_status_name(row->state->status), wanted);
    default:
        return label_matches(row->spec->labels, wanted);
    }
}

static bool wanted(const struct ps *ps, const struct row *row)
{
    bool by_status = false;

    for (unsigned i = 0; i < ps->filters.count; i++) {
        if (!matches(row, ps->filters.items[i]))
            return false;
        by_status |= ps->filters.items[i][0] == 's';
    }
    return ps->all || by_status || row->state->status == CONTAINER_RUNNING ||
           row->state->status == CONTAINER_PAUSED;
}

/* The command in one text, the caller's to free. */
static char *command_text(const json_t *words)
{
    size_t len = 0;
    FILE *stream;
    char *text = NULL;

    stream = open_memstream(&text, &len);
    if (!stream)
        return NULL;
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));

        fprintf(stream, "%s%s", i ? " " : "", word ? word : "");
    }
    if (fclose(stream)) {
        free(text);
        return NULL;
    }
    return text;
}

static void status_text(const struct container_state *state, uint64_t now_ns, char out[128])
{
    char words[TABLE_WORDS_BYTES];
    uint64_t since = state->status == CONTAINER_EXITED ? state->finished_ns : state->started_ns;

    words_of_time(since && now_ns > since ? (now_ns - since) / 1000000000 : 0, words);
    switch (state->status) {
    case CONTAINER_RUNNING:
        snprintf(out, 128, "Up %s", words);
        break;
    case CONTAINER_PAUSED:
        snprintf(out, 128, "Up %s (paused)", words);
        break;
    case CONTAINER_EXITED:
        snprintf(out, 128, "Exited (%u) %s ago", state->exit.status, words);
        break;
    default:
        snprintf(out, 128, "Created");
        break;
    }
}

static int show_row(struct ps *ps, const struct row *row)
{
    char words[TABLE_WORDS_BYTES], status[128];
    char *command = command_text(row->words);
    struct timespec now;
    uint64_t now_ns;

    clock_gettime(CLOCK_REALTIME, &now);
    now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    status_text(row->state, now_ns, status);
    if (command && !ps->no_trunc && strlen(command) > COMMAND_WIDTH)
        memcpy(command + COMMAND_WIDTH - 3, "...", 4);
    table_add(&ps->table, "%.*s", ps->no_trunc ? 64 : 12, row->spec->id);
    table_add(&ps->table, "%s", row->spec->name);
    table_add(&ps->table, "%s", row->image);
    table_add(&ps->table, "%s", command ? command : "?");
    table_add(&ps->table, "%s ago",
              words_of_time(now_ns > row->spec->created_ns
                                ? (now_ns - row->spec->created_ns) / 1000000000
                                : 0,
                            words));
    table_add(&ps->table, "%s", status);
    free(command);
    return 0;
}

static int show_json(const struct row *row)
{
    const struct container_state *state = row->state;
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:O, s:O, s:s, s:I, s:I, s:I}", "id", row->spec->id, "name",
                  row->spec->name, "image", row->image, "command", row->words, "labels",
                  row->spec->labels, "status", container_status_name(state->status), "created_ns",
                  (json_int_t)row->spec->created_ns, "started_ns", (json_int_t)state->started_ns,
                  "finished_ns", (json_int_t)state->finished_ns);
    char *text = NULL;

    if (line && state->status == CONTAINER_EXITED)
        json_object_set_new(line, "exit_status", json_integer(state->exit.status));
    if (line)
        text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (!text)
        return -ENOMEM;
    puts(text);
    free(text);
    return 0;
}

static int show(struct ps *ps, const struct row *row)
{
    if (ps->quiet) {
        printf("%.*s\n", ps->no_trunc ? 64 : 12, row->spec->id);
        return 0;
    }
    return ps->format && !strcmp(ps->format, "json") ? show_json(row) : show_row(ps, row);
}

static int look_at(void *arg, struct entry *container)
{
    struct ps *ps = arg;
    struct container_spec spec = {.id = ""};
    struct container_state state;
    struct husk_error err = {0};
    int ret = container_load_spec(container, &spec, &err);

    if (!ret)
        ret = container_load_state(container, &state, &err);
    if (!ret) {
        const char *image = json_string_value(json_object_get(spec.image, "name"));
        struct row row = {&spec, &state, image ? image : "?", pod_command(&spec)};

        if (wanted(ps, &row))
            ret = show(ps, &row);
    } else if (ret != -ENOENT) {
        /* One that cannot be read must not hide the others. */
        cli_error(&err);
        ret = 0;
    } else {
        ret = 0;
    }
    container_spec_clear(&spec);
    return ret;
}

static int list(struct ps *ps)
{
    static const char *const headings[] = {"ID",      "NAME",   "IMAGE", "COMMAND",
                                           "CREATED", "STATUS", NULL};
    struct entry_store *store = NULL;
    struct husk_error err = {0};
    int ret = pod_store(false, &store, &err);
    bool table = !ps->quiet && (!ps->format || !strcmp(ps->format, "table"));

    if (table)
        table_begin(&ps->table, headings);
    if (!ret && store)
        ret = entry_each(store, look_at, ps, &err);
    if (table && table_print(&ps->table, stdout))
        ret = -ENOMEM;
    entry_store_close(store);
    if (!ret)
        return STATUS_OK;
    if (!err.code)
        error_set(&err, -ret, "", "cannot list the containers", NULL);
    cli_error(&err);
    return STATUS_MONITOR_ERROR;
}

int pod_ps(int argc, char **argv)
{
    struct ps ps = {.all = false};
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, &ps, argc, argv, &words, &count);

    if (!status)
        status = list(&ps);
    pod_list_release(&ps.filters);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
