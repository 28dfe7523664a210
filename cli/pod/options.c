// SPDX-License-Identifier: Apache-2.0
/* Command lines of husk-pod: see options.h. */
#include "cli/pod/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/parse.h"
#include "cli/cli.h"

int pod_usage(const struct pod_syntax *syntax, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    cli_message("%s: %s (see: husk help %s)", syntax->command, text ? text : "out of memory",
                syntax->command);
    free(text);
    return syntax->own_statuses ? STATUS_MONITOR_ERROR : STATUS_USAGE;
}

static const struct pod_option *find_long(const struct pod_syntax *syntax, const char *name,
                                          size_t len)
{
    for (const struct pod_option *at = syntax->options; at->name; at++) {
        if (strlen(at->name) == len && memcmp(at->name, name, len) == 0)
            return at;
    }
    return NULL;
}

static const struct pod_option *find_letter(const struct pod_syntax *syntax, char letter)
{
    for (const struct pod_option *at = syntax->options; at->name; at++) {
        if (at->letter == letter)
            return at;
    }
    return NULL;
}

/* What the parser knows while it goes through argv. */
struct reading {
    const struct pod_syntax *syntax;
    void *out;
    int argc;
    char **argv;
    int at; /* the word that is read */
};

static int set(const struct reading *reading, const struct pod_option *option, const char *given,
               const char *value)
{
    struct pod_place place = {reading->syntax, given};

    return option->set((char *)reading->out + option->member, &place, value);
}

static int read_long(struct reading *reading)
{
    char *word = reading->argv[reading->at];
    size_t len = strcspn(word, "=");
    const struct pod_option *option = find_long(reading->syntax, word + 2, len - 2);
    const char *value = word[len] ? word + len + 1 : NULL;
    char given[64];

    if (!strcmp(word, "--help")) {
        fputs(reading->syntax->help, stdout);
        return POD_HELP_SHOWN;
    }
    if (!option)
        return pod_usage(reading->syntax, "%.*s: unknown option", (int)len, word);
    snprintf(given, sizeof(given), "--%s", option->name);
    if (option->has_value && !value) {
        if (reading->at + 1 == reading->argc)
            return pod_usage(reading->syntax, "%s: wants a value", given);
        value = reading->argv[++reading->at];
    }
    return set(reading, option, given, value);
}

static int read_letters(struct reading *reading)
{
    const char *letter = reading->argv[reading->at] + 1;

    for (; *letter; letter++) {
        const struct pod_option *option = find_letter(reading->syntax, *letter);
        const char given[] = {'-', *letter, '\0'};
        const char *value = letter + 1;
        int ret;

        if (!option)
            return pod_usage(reading->syntax, "%s: unknown option", given);
        if (!option->has_value) {
            ret = set(reading, option, given, NULL);
            if (ret)
                return ret;
            continue;
        }
        if (*value == '=')
            value++;
        else if (!*value && reading->at + 1 == reading->argc)
            return pod_usage(reading->syntax, "%s: wants a value", given);
        else if (!*value)
            value = reading->argv[++reading->at];
        return set(reading, option, given, value);
    }
    return 0;
}

int pod_options_parse(const struct pod_syntax *syntax, void *out, int argc, char **argv,
                      char ***words, unsigned *count)
{
    struct reading reading = {syntax, out, argc, argv, 1};
    bool ended = false;

    *words = argv + 1;
    *count = 0;
    for (; reading.at < argc; reading.at++) {
        char *word = argv[reading.at];
        int ret = 0;

        if (!ended && !strcmp(word, "--")) {
            ended = true;
        } else if (ended || word[0] != '-' || !word[1]) {
            (*words)[(*count)++] = word; /* never ahead of where we read */
            ended |= syntax->words_before_end && *count >= syntax->words_before_end;
        } else if (word[1] == '-') {
            ret = read_long(&reading);
        } else {
            ret = read_letters(&reading);
        }
        if (ret)
            return ret;
    }
    if (*count > syntax->most)
        return pod_usage(syntax, "%s: unexpected argument", (*words)[syntax->most]);
    if (*count < syntax->least)
        return pod_usage(syntax, "wants %s", syntax->wants);
    return 0;
}

int pod_set_flag(void *member, const struct pod_place *place, const char *value)
{
    bool *out = member;

    if (!value)
        *out = true;
    else if (parse_bool(value, out))
        return pod_usage(place->syntax, "%s: %s: wants true or false", place->option, value);
    return 0;
}

int pod_set_text(void *member, const struct pod_place *place, const char *value)
{
    if (!value[0])
        return pod_usage(place->syntax, "%s: wants a value", place->option);
    return pod_set_any_text(member, place, value);
}

int pod_set_any_text(void *member, const struct pod_place *place, const char *value)
{
    *(const char **)member = value;
    return 0;
}

int pod_add_text(void *member, const struct pod_place *place, const char *value)
{
    struct pod_list *list = member;
    const char **items;

    if (!value[0])
        return pod_usage(place->syntax, "%s: wants a value", place->option);
    if (list->count == POD_LIST_MAX)
        return pod_usage(place->syntax, "%s: at most %u of them", place->option, POD_LIST_MAX);
    items = realloc(list->items, (list->count + 1) * sizeof(*items));
    if (!items) {
        cli_message("%s", error_text(ENOMEM));
        return STATUS_MONITOR_ERROR;
    }
    items[list->count++] = value;
    list->items = items;
    return 0;
}

void pod_list_release(struct pod_list *list)
{
    free(list->items);
    *list = (struct pod_list){NULL, 0};
}
