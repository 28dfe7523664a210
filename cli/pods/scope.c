// SPDX-License-Identifier: Apache-2.0
/* Which pods are meant: see pods.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/pods/pods.h"

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "";
}

char *pods_name_of(const json_t *pod)
{
    const json_t *metadata = json_object_get(pod, "metadata");
    const char *space = text(metadata, "namespace");
    char *name;

    if (!space[0] || !strcmp(space, "default"))
        return strdup(text(metadata, "name"));
    return asprintf(&name, "%s/%s", space, text(metadata, "name")) < 0 ? NULL : name;
}

char *scope_name(const struct pods_scope *scope, const char *word)
{
    char *name;

    if (!scope->space || strchr(word, '/'))
        name = strdup(word);
    else if (asprintf(&name, "%s/%s", scope->space, word) < 0)
        name = NULL;
    if (!name)
        cli_message("%s", error_text(ENOMEM));
    return name;
}

bool scope_has(const struct pods_scope *scope, const json_t *pod)
{
    const char *space = text(json_object_get(pod, "metadata"), "namespace");

    if (scope->all_spaces)
        return true;
    return !strcmp(space[0] ? space : "default", scope->space ? scope->space : "default");
}

static int add_name(json_t *names, char *name)
{
    int ret = name ? json_array_append_new(names, json_string(name)) : -1;

    free(name);
    return ret;
}

/* Those that the selector means. */
static int add_selected(struct husk_pods *pods, const struct pods_scope *scope, json_t *names,
                        struct husk_error *err)
{
    json_t *list = NULL, *pod;
    size_t i;
    int ret = pods_list(pods, scope->selector, &list, err);

    json_array_foreach(json_object_get(list, "items"), i, pod)
    {
        if (!ret && scope_has(scope, pod) && add_name(names, pods_name_of(pod)))
            ret = error_set(err, ENOMEM, "", "cannot list the pods", NULL);
    }
    json_decref(list);
    return ret;
}

json_t *scope_names(struct husk_pods *pods, const struct pods_scope *scope, char **words,
                    unsigned count)
{
    json_t *names = json_array();
    struct husk_error err = {0};
    int ret = names ? 0 : error_set(&err, ENOMEM, "", "cannot list the pods", NULL);

    for (unsigned i = 0; !ret && i < count; i++) {
        if (add_name(names, scope_name(scope, words[i])))
            ret = error_set(&err, EILSEQ, words[i], "is no name of a pod", NULL);
    }
    if (!ret && !count)
        ret = add_selected(pods, scope, names, &err);
    if (!ret)
        return names;
    cli_error(&err);
    json_decref(names);
    return NULL;
}

/* What is done to each, and those for which it worked. */
struct turn {
    int (*act)(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err);
    void *arg;
    json_t *done;
};

static int act_and_note(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err)
{
    const struct turn *turn = arg;
    int ret = turn->act(pods, name, turn->arg, err);

    if (!ret && add_name(turn->done, strdup(name)))
        ret = error_set(err, ENOMEM, name, "cannot be noted", NULL);
    return ret;
}

int scope_each(const struct pods_scope *scope, char **words, unsigned count,
               int (*act)(struct husk_pods *pods, const char *name, void *arg,
                          struct husk_error *err),
               int (*after)(struct husk_pods *pods, const char *name, void *arg,
                            struct husk_error *err),
               void *arg)
{
    struct turn turn = {.act = act, .arg = arg, .done = json_array()};
    struct husk_pods *pods = turn.done ? pods_open_all() : NULL;
    json_t *names = pods ? scope_names(pods, scope, words, count) : NULL;
    int status = names ? pods_each(pods, names, act_and_note, &turn) : STATUS_MONITOR_ERROR;

    if (names && after && pods_each(pods, turn.done, after, arg))
        status = STATUS_MONITOR_ERROR;
    json_decref(names);
    json_decref(turn.done);
    husk_pods_close(pods);
    return status;
}
