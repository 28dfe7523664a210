// SPDX-License-Identifier: Apache-2.0
/* Processes: see process.h. No state. */
#include "pod/spec/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pod/spec/part.h"
#include "pod/spec/volumes.h"

#define TERMINAL_MAX 65535u

static int append_words(json_t *array, const char *const *words, unsigned count, const char *option,
                        struct husk_error *err)
{
    int ret = 0;

    if (json_array_size(array) + count > SPEC_LIST_MAX)
        return spec_refuse(err, E2BIG, option, NULL, "has more than %u words", SPEC_LIST_MAX);
    for (unsigned i = 0; i < count && !ret; i++)
        ret = spec_append_text(array, option, words[i], err);
    return ret;
}

int process_words(const struct spec_words *words, const char *option, json_t **out,
                  struct husk_error *err)
{
    json_t *array = json_array();
    int ret =
        array ? append_words(array, words->words, words->count, option, err) : spec_no_memory(err);

    if (ret) {
        json_decref(array);
        return ret;
    }
    *out = array;
    return 0;
}

/* Another program than the image's has no use for the image's arguments. */
int process_args(const struct image_config *image, const struct spec_options *options, json_t **out,
                 struct husk_error *err)
{
    const struct spec_words *command = &options->command;
    json_t *args = json_array();
    int ret = args ? 0 : spec_no_memory(err);

    if (!ret && options->entrypoint && options->entrypoint[0])
        ret = spec_append_text(args, "--entrypoint", options->entrypoint, err);
    else if (!ret && !options->entrypoint)
        ret = append_words(args, image->entrypoint.words, image->entrypoint.count,
                           "the image: Entrypoint", err);
    if (!ret && command->count)
        ret = append_words(args, command->words, command->count, "the command", err);
    else if (!ret && !options->entrypoint)
        ret = append_words(args, image->command.words, image->command.count, "the image: Cmd", err);
    if (!ret && !json_array_size(args))
        ret = spec_refuse(err, EINVAL, "the command", NULL,
                          "neither the image nor the command line says what to run");
    if (!ret && !json_string_length(json_array_get(args, 0)))
        ret = spec_refuse(err, EINVAL, "the command", NULL, "the program's name is empty");
    if (ret) {
        json_decref(args);
        return ret;
    }
    *out = args;
    return 0;
}

int process_environment(const struct image_config *image, const struct spec_options *options,
                        const char *hostname, struct environment *environment,
                        struct husk_error *err)
{
    static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char name[96];
    int ret = environment_set(environment, path, err);

    snprintf(name, sizeof(name), "HOSTNAME=%s", hostname);
    if (!ret)
        ret = environment_set(environment, name, err);
    if (!ret && options->tty)
        ret = environment_set(environment, "TERM=xterm", err);
    for (unsigned i = 0; i < image->environment.count && !ret; i++)
        ret = environment_set(environment, image->environment.words[i], err);
    if (!ret)
        ret = environment_options(environment, &options->env_files, &options->env,
                                  options->environment, err);
    return ret;
}

int process_user(const char *option, const char *text, char user[SPEC_USER_MAX + 1],
                 struct husk_error *err)
{
    const char *colon = strchr(text, ':');
    json_t *json;
    int ret;

    if (strlen(text) > SPEC_USER_MAX)
        return spec_refuse(err, EINVAL, option, text, "is longer than %u bytes", SPEC_USER_MAX);
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at <= 0x20 || *at == 0x7f)
            return spec_refuse(err, EINVAL, option, text, "has a blank or control character");
    }
    if (colon && strchr(colon + 1, ':'))
        return spec_refuse(err, EINVAL, option, text, "wants NAME|UID[:GROUP|GID]");
    ret = spec_text(option, text, &json, err);
    if (ret)
        return ret;
    json_decref(json);
    /* Nobody said, or only a group: root, who may be in groups of the image, too. */
    snprintf(user, SPEC_USER_MAX + 1, "%s%s", !*text || *text == ':' ? "0" : "", text);
    if (colon && !colon[1])
        user[strlen(user) - 1] = '\0';
    return 0;
}

int process_check_directory(const char *option, const char *path, struct husk_error *err)
{
    char clean[SPEC_PATH_SIZE];

    if (!spec_is_path(path) || volumes_clean_path(path, clean))
        return spec_refuse(err, EINVAL, option, path, "is not an absolute path");
    return 0;
}

static int put_optional(json_t *object, const char *key, json_t **value, struct husk_error *err)
{
    json_t *given = *value;

    *value = NULL;
    return given ? spec_put(object, key, given, err) : 0;
}

static int put_terminal(const struct process_parts *parts, json_t *object, struct husk_error *err)
{
    if (parts->columns > TERMINAL_MAX || parts->rows > TERMINAL_MAX)
        return spec_refuse(err, ERANGE, "--tty", NULL, "the terminal is %u by %u characters",
                           parts->columns, parts->rows);
    if (!parts->tty || !parts->columns || !parts->rows)
        return spec_put(object, "terminal", json_boolean(parts->tty), err);
    return spec_put(object, "terminal", json_true(), err) ||
                   spec_put(object, "consoleSize",
                            json_pack("{s:i, s:i}", "height", (int)parts->rows, "width",
                                      (int)parts->columns),
                            err)
               ? -ENOMEM
               : 0;
}

static int put_member(const struct spec_member *member, json_t *object, struct husk_error *err)
{
    json_t *groups = json_array();
    int ret = groups ? spec_put(object, "oomScoreAdj", json_integer(member->oom_score_adj), err)
                     : spec_no_memory(err);

    for (unsigned i = 0; i < member->group_count && !ret; i++)
        ret = spec_append(groups, json_integer(member->groups[i]), err);
    if (!ret && member->group_count)
        ret = spec_put(json_object_get(object, "user"), "additionalGids", json_incref(groups), err);
    json_decref(groups);
    return ret;
}

int process_json(const struct process_parts *given, json_t **out, struct husk_error *err)
{
    struct process_parts parts = *given;
    json_t *object = json_pack("{s:{s:i, s:i}, s:b}", "user", "uid", 0, "gid", 0, "noNewPrivileges",
                               parts.no_new_privileges);
    json_t *env = NULL, *directory = NULL;
    int ret = object ? put_terminal(&parts, object, err) : spec_no_memory(err);

    if (!ret && parts.member)
        ret = put_member(parts.member, object, err);
    if (!ret)
        ret = put_optional(object, "args", &parts.args, err);
    if (!ret)
        ret = put_optional(object, "rlimits", &parts.rlimits, err);
    if (!ret)
        ret = put_optional(object, "capabilities", &parts.capabilities, err);
    if (!ret)
        ret = environment_json(parts.environment, &env, err);
    if (!ret)
        ret = spec_put(object, "env", env, err);
    if (!ret)
        ret = spec_text("--workdir", parts.directory, &directory, err);
    if (!ret)
        ret = spec_put(object, "cwd", directory, err);
    if (ret) {
        json_decref(parts.args);
        json_decref(parts.rlimits);
        json_decref(parts.capabilities);
        json_decref(object);
        return ret;
    }
    *out = object;
    return 0;
}
