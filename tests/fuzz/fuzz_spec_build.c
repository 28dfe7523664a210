// SPDX-License-Identifier: Apache-2.0
/*
 * A whole configuration, of an image's and of options. The input is the image's JSON, a NUL, and
 * lines whose first letter says which option the rest is. What is made fits into a request, goes
 * through its record unchanged, and its paths are absolute. No option opens a file here.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pod/spec/spec.h"

#define LINES_MAX 16u

static void demand(bool holds)
{
    if (!holds)
        abort();
}

struct lists {
    const char *words[10][LINES_MAX];
};

static void add(struct spec_words *list, const char **words, const char *text)
{
    list->words = words;
    if (list->count < LINES_MAX)
        words[list->count++] = text;
}

static void read_option(const char *line, struct spec_options *out, struct lists *lists)
{
    const struct {
        char letter;
        const char **text;
        struct spec_words *list;
    } table[] = {
        {'h', .text = &out->hostname},    {'E', .text = &out->entrypoint},
        {'w', .text = &out->directory},   {'u', .text = &out->user},
        {'s', .text = &out->shm_size},    {'m', .text = &out->memory},
        {'c', .text = &out->cpus},        {'p', .text = &out->pids_limit},
        {'S', .text = &out->stop_signal}, {'a', .text = &out->address},
        {'e', .list = &out->env},         {'t', .list = &out->tmpfs},
        {'+', .list = &out->cap_add},     {'-', .list = &out->cap_drop},
        {'l', .list = &out->ulimits},     {'y', .list = &out->sysctls},
        {'n', .list = &out->nameservers}, {'C', .list = &out->command},
        {'v', .list = &out->volumes},
    };
    size_t list = 0;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (table[i].letter == line[0] && table[i].text)
            *table[i].text = line + 1;
        else if (table[i].letter == line[0] && (line[0] != 'v' || !strchr(line, ':')))
            add(table[i].list, lists->words[list], line + 1);
        list += table[i].list != NULL;
    }
    out->read_only |= line[0] == 'r';
    out->tty |= line[0] == 'T';
}

static void check(const struct spec *spec)
{
    const json_t *mounts = json_object_get(spec->config, "mounts");
    json_t *record = spec_save(spec), *again;
    struct spec loaded;

    demand(record != NULL);
    demand(json_dumpb(spec->config, NULL, 0, JSON_COMPACT) < HUSK_AGENT_FRAME_MAX);
    demand(spec->user[0] && spec->stop_signal > 0 && spec->stop_signal <= 64);
    for (size_t i = 0; i < json_array_size(mounts); i++) {
        const char *destination =
            json_string_value(json_object_get(json_array_get(mounts, i), "destination"));

        demand(destination[0] == '/' && destination[1] && !strstr(destination, "/../"));
    }
    demand(spec_load(record, "fuzz", &loaded, NULL) == 0);
    again = spec_save(&loaded);
    demand(json_equal(record, again));
    json_decref(again);
    json_decref(record);
    spec_clear(&loaded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = memchr(data, 0, size);
    size_t len = nul ? (size_t)(nul - data) : size;
    struct spec_options options = {.id = "0123456789abcdef"};
    static struct lists lists;
    struct image_config image;
    struct spec spec;
    char *text, *rest;

    if (image_config_parse(data, len, "fuzz", &image, NULL))
        return 0;
    text = strndup(nul ? (const char *)nul + 1 : "", nul ? size - len - 1 : 0);
    demand(text != NULL);
    rest = text;
    for (const char *line; (line = strsep(&rest, "\n"));)
        read_option(line, &options, &lists);
    if (spec_build(&image, &options, &spec, NULL) == 0) {
        check(&spec);
        spec_clear(&spec);
    }
    free(text);
    image_config_clear(&image);
    return 0;
}
