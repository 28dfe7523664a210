// SPDX-License-Identifier: Apache-2.0
/*
 * What pod/spec makes of an image's configuration and options: prints spec_save() of it, for tests
 * that run it.
 *
 *   config IMAGE-CONFIG [OPTION]... [-- COMMAND...]
 *   config --exec SPEC [OPTION]... -- COMMAND...       the process for "exec", and its user
 *
 * Options are spelled as `husk run` has them, with "=" before the value.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "pod/spec/spec.h"

#define WORDS_MAX 64

static struct spec_options options;
static struct spec_exec_options exec_options;

static const struct {
    const char *name;
    const char **text;
    struct spec_words *list;
    bool *flag;
} table[] = {
    {"--id", .text = &options.id},
    {"--hostname", .text = &options.hostname},
    {"--entrypoint", .text = &options.entrypoint},
    {"--tty", .flag = &options.tty},
    {"--env", .list = &options.env},
    {"--env-file", .list = &options.env_files},
    {"--workdir", .text = &options.directory},
    {"--user", .text = &options.user},
    {"--volume", .list = &options.volumes},
    {"--tmpfs", .list = &options.tmpfs},
    {"--shm-size", .text = &options.shm_size},
    {"--read-only", .flag = &options.read_only},
    {"--cap-add", .list = &options.cap_add},
    {"--cap-drop", .list = &options.cap_drop},
    {"--security-opt", .list = &options.security},
    {"--memory", .text = &options.memory},
    {"--cpus", .text = &options.cpus},
    {"--pids-limit", .text = &options.pids_limit},
    {"--ulimit", .list = &options.ulimits},
    {"--sysctl", .list = &options.sysctls},
    {"--stop-signal", .text = &options.stop_signal},
    {"--privileged", .flag = &exec_options.privileged},
};

static bool parse_option(char *word)
{
    char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (strlen(table[i].name) != len || strncmp(table[i].name, word, len) != 0)
            continue;
        if (table[i].flag) {
            *table[i].flag = true;
        } else if (!equals) {
            return false;
        } else if (table[i].text) {
            *table[i].text = equals + 1;
        } else {
            struct spec_words *list = table[i].list;

            if (!list->words)
                list->words = calloc(WORDS_MAX, sizeof(*list->words));
            if (!list->words || list->count == WORDS_MAX)
                return false;
            ((const char **)list->words)[list->count++] = equals + 1;
        }
        return true;
    }
    return false;
}

static int print(json_t *json)
{
    int ret = json ? json_dumpf(json, stdout, JSON_COMPACT | JSON_SORT_KEYS) : -1;

    json_decref(json);
    return ret ? 1 : 0;
}

static int run(const char *text, struct husk_error *err)
{
    struct image_config image;
    struct spec spec;
    int ret = image_config_parse(text, strlen(text), "the image", &image, err);

    if (ret)
        return ret;
    ret = spec_build(&image, &options, &spec, err);
    if (!ret) {
        ret = print(spec_save(&spec));
        spec_clear(&spec);
    }
    image_config_clear(&image);
    return ret;
}

static int exec(const char *text, struct husk_error *err)
{
    json_t *record = json_loads(text, 0, NULL), *process;
    char user[SPEC_USER_MAX + 1];
    struct spec spec;
    int ret = spec_load(record, "the record", &spec, err);

    json_decref(record);
    if (ret)
        return ret;
    exec_options.command = options.command;
    exec_options.tty = options.tty;
    exec_options.env = options.env;
    exec_options.env_files = options.env_files;
    exec_options.environment = environ;
    exec_options.directory = options.directory;
    exec_options.user = options.user;
    ret = spec_exec(spec.config, spec.user, &exec_options, &process, user, err);
    if (!ret)
        ret = print(json_pack("{s:o, s:s}", "process", process, "user", user));
    spec_clear(&spec);
    return ret;
}

int main(int argc, char **argv)
{
    bool is_exec = argc > 2 && !strcmp(argv[1], "--exec");
    struct husk_error err = {.code = 0};
    int i = is_exec ? 3 : 2;
    char line[512];

    options.environment = environ;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (!parse_option(argv[i])) {
            fprintf(stderr, "%s is no option\n", argv[i]);
            return 2;
        }
    }
    if (i < argc)
        options.command =
            (struct spec_words){(const char *const *)argv + i + 1, (unsigned)(argc - i - 1)};
    if (i < 2 || i > argc)
        return 2;
    if (is_exec ? exec(argv[2], &err) : run(argv[1], &err)) {
        fprintf(stderr, "%s\n", error_format(&err, line, sizeof(line)));
        return 1;
    }
    return 0;
}
