// SPDX-License-Identifier: Apache-2.0
/* Parsing the command line of husk-oci: see options.h. */
#include "cli/image/options.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/parse.h"
#include "cli/cli.h"
#include "pod/image/import.h"

#define ALL_ACTIONS ((1u << 6) - 1)

static const struct action {
    const char *name;
    enum image_action action;
    unsigned least, most; /* words after it */
    const char *wants;
} actions[] = {
    {"pull", ACTION_PULL, 1, 1, "one image, such as docker.io/library/nginx:1.22"},
    {"load", ACTION_LOAD, 1, 1, "one directory or archive, or - for standard input"},
    {"ls", ACTION_LS, 0, 0, "no arguments"},
    {"rm", ACTION_RM, 1, UINT16_MAX, "the images to remove"},
    {"inspect", ACTION_INSPECT, 1, 1, "one image"},
    {"prune", ACTION_PRUNE, 0, 0, "no arguments"},
};

static int usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int usage(const char *format, ...)
{
    char text[900];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    cli_message("image: %s (see: husk help image)", text);
    return STATUS_USAGE;
}

static int set_text(struct image_options *out, const char *option, const char *value)
{
    const struct {
        const char *option;
        const char **out;
    } texts[] = {{"--store", &out->store},         {"--ca-file", &out->ca_file},
                 {"--auth-file", &out->auth_file}, {"--user", &out->user},
                 {"--name", &out->name},           {"--only", &out->only}};

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        if (strcmp(texts[i].option, option) != 0)
            continue;
        if (!value[0])
            return usage("%s: wants a value", option);
        *texts[i].out = value;
    }
    return 0;
}

static int set_value(struct image_options *out, const char *option, const char *value)
{
    uint64_t number;

    if (!strcmp(option, "--platform")) {
        if (platform_parse(value, &out->platform))
            return usage("--platform: %s: wants OS/ARCHITECTURE[/VARIANT], such as linux/amd64",
                         value);
        return 0;
    }
    if (!strcmp(option, "--threads")) {
        if (parse_u64(value, 1, IMPORT_THREADS_MAX, &number))
            return usage("--threads: %s: wants 1 to %u", value, IMPORT_THREADS_MAX);
        out->threads = (unsigned)number;
        return 0;
    }
    return set_text(out, option, value);
}

static const struct option {
    const char *name;
    bool has_value;
    unsigned actions; /* that know it */
} options[] = {
    {"--store", true, ALL_ACTIONS},
    {"--json", false, ALL_ACTIONS},
    {"--quiet", false, ALL_ACTIONS},
    {"--platform", true, ACTION_PULL | ACTION_LOAD},
    {"--threads", true, ACTION_PULL | ACTION_LOAD},
    {"--ca-file", true, ACTION_PULL},
    {"--auth-file", true, ACTION_PULL},
    {"--user", true, ACTION_PULL},
    {"--plain-http", false, ACTION_PULL},
    {"--force", false, ACTION_RM},
    {"--name", true, ACTION_LOAD},
    {"--only", true, ACTION_LOAD},
};

static void set_flag(struct image_options *out, const char *option)
{
    out->json |= !strcmp(option, "--json");
    out->quiet |= !strcmp(option, "--quiet");
    out->force |= !strcmp(option, "--force");
    out->plain_http |= !strcmp(option, "--plain-http");
}

/* The option at argv[*i], and its value: in the same word after '=', or in the next. */
static int take_option(struct image_options *out, int argc, char **argv, int *i, unsigned *given)
{
    const char *word = !strcmp(argv[*i], "-q")   ? "--quiet"
                       : !strcmp(argv[*i], "-f") ? "--force"
                                                 : argv[*i];
    size_t len = strcspn(word, "=");

    for (unsigned k = 0; k < ARRAY_SIZE(options); k++) {
        const char *value = NULL;

        if (strlen(options[k].name) != len || memcmp(options[k].name, word, len) != 0)
            continue;
        *given |= 1u << k;
        if (!options[k].has_value) {
            if (word[len])
                return usage("%s: takes no value", options[k].name);
            set_flag(out, options[k].name);
            return 0;
        }
        if (word[len])
            value = word + len + 1;
        else if (*i + 1 < argc)
            value = argv[++*i];
        return value ? set_value(out, options[k].name, value)
                     : usage("%s: wants a value", options[k].name);
    }
    return usage("%s: unknown option", argv[*i]);
}

static int check(const struct image_options *out, const struct action *action, unsigned given)
{
    for (unsigned k = 0; k < ARRAY_SIZE(options); k++) {
        if ((given & 1u << k) && !(options[k].actions & action->action))
            return usage("%s: %s is not for it", action->name, options[k].name);
    }
    if (out->word_count < action->least || out->word_count > action->most)
        return usage("%s: wants %s", action->name, action->wants);
    if (out->user && out->auth_file)
        return usage("%s: --user and --auth-file exclude each other", action->name);
    return 0;
}

int image_options_parse(struct image_options *out, int argc, char **argv)
{
    const struct action *action = NULL;
    unsigned given = 0, words = 0;
    bool options_end = false;

    memset(out, 0, sizeof(*out));
    for (int i = 1; i < argc; i++) {
        if (!options_end && !strcmp(argv[i], "--")) {
            options_end = true;
        } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
            int ret = take_option(out, argc, argv, &i, &given);

            if (ret)
                return ret;
        } else {
            argv[1 + words++] = argv[i]; /* never ahead of where we read */
        }
    }
    if (!words)
        return usage("wants pull, load, ls, rm, inspect or prune");
    for (unsigned i = 0; i < ARRAY_SIZE(actions); i++) {
        if (!strcmp(actions[i].name, argv[1]))
            action = &actions[i];
    }
    if (!action)
        return usage("%s: unknown; there are pull, load, ls, rm, inspect and prune", argv[1]);
    out->action = action->action;
    out->words = argv + 2;
    out->word_count = words - 1;
    return check(out, action, given);
}
