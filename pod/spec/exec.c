// SPDX-License-Identifier: Apache-2.0
/* The process of `exec`: see spec.h. No state. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pod/spec/capabilities.h"
#include "pod/spec/part.h"
#include "pod/spec/process.h"

/* As in the container's first process, but for what the options say. */
static int make_environment(const json_t *process, const struct spec_exec_options *options,
                            struct environment *environment, struct husk_error *err)
{
    int ret = environment_from_json(environment, json_object_get(process, "env"), err);

    if (!ret && options->tty)
        ret = environment_set(environment, "TERM=xterm", err);
    if (!ret)
        ret = environment_options(environment, &options->env_files, &options->env,
                                  options->environment, err);
    return ret;
}

static int make_parts(const json_t *process, const struct spec_exec_options *options,
                      struct process_parts *parts, struct husk_error *err)
{
    const char *cwd = json_string_value(json_object_get(process, "cwd"));
    int ret;

    parts->directory = options->directory ? options->directory : cwd ? cwd : "/";
    ret = process_check_directory("--workdir", parts->directory, err);
    if (!ret && (!options->command.count || !options->command.words[0][0]))
        ret = spec_refuse(err, EINVAL, "the command", NULL, "is missing");
    if (!ret)
        ret = process_words(&options->command, "the command", &parts->args, err);
    if (ret)
        return ret;
    parts->rlimits = json_incref(json_object_get(process, "rlimits"));
    /* Without, they are those of the container: the agent sees to that. */
    if (options->privileged) {
        parts->capabilities = capabilities_json(capabilities_all);
        if (!parts->capabilities)
            return spec_no_memory(err);
    }
    return 0;
}

/* What every process of the container has: its further groups, unless it is another user's, and
 * its place before the OOM killer. */
static int inherit(const json_t *first, bool same_user, json_t *process, struct husk_error *err)
{
    json_t *groups = json_object_get(json_object_get(first, "user"), "additionalGids");
    json_t *score = json_object_get(first, "oomScoreAdj");
    int ret = score ? spec_put(process, "oomScoreAdj", json_incref(score), err) : 0;

    if (ret == 0 && groups && same_user)
        ret =
            spec_put(json_object_get(process, "user"), "additionalGids", json_incref(groups), err);
    return ret;
}

int spec_exec(const json_t *config, const char *container_user,
              const struct spec_exec_options *options, json_t **out, char user[SPEC_USER_MAX + 1],
              struct husk_error *err)
{
    const json_t *process = json_object_get(config, "process");
    struct process_parts parts = {.tty = options->tty,
                                  .columns = options->columns,
                                  .rows = options->rows,
                                  .no_new_privileges =
                                      json_is_true(json_object_get(process, "noNewPrivileges"))};
    struct environment *environment = environment_new();
    json_t *made = NULL;
    int ret =
        environment ? make_environment(process, options, environment, err) : spec_no_memory(err);

    parts.environment = environment;
    if (!ret)
        ret = process_user("--user", options->user ? options->user : container_user, user, err);
    if (!ret)
        ret = make_parts(process, options, &parts, err);
    if (!ret) {
        ret = process_json(&parts, &made, err);
        if (!ret)
            ret = inherit(process, !options->user, made, err);
    } else {
        json_decref(parts.args);
        json_decref(parts.rlimits);
    }
    environment_free(environment);
    if (ret)
        json_decref(made);
    else
        *out = made;
    return ret;
}
