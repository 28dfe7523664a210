// SPDX-License-Identifier: Apache-2.0
/* What the commands of husk-pod share: see pod.h. */
#include "cli/pod/pod.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

int pod_store(bool create, struct entry_store **out, struct husk_error *err)
{
    char path[PATH_MAX];
    int ret = container_store_default(path, sizeof(path), err);

    *out = NULL;
    if (ret)
        return ret;
    ret = container_store_open(path, create, out, err);
    if (ret == -ENOENT && !create)
        return 0;
    if (ret)
        return ret;
    ret = container_store_tidy(*out, err);
    if (ret) {
        entry_store_close(*out);
        *out = NULL;
    }
    return ret;
}

int pod_find(const char *text, struct entry_store **store, struct entry **container,
             struct husk_error *err)
{
    int ret = pod_store(false, store, err);

    *container = NULL;
    if (ret)
        return ret;
    if (!*store)
        return error_set(err, ENOENT, text, "is no container",
                         "there is none with this name or id");
    ret = entry_find(*store, text, container, err);
    if (ret) {
        entry_store_close(*store);
        *store = NULL;
    }
    return ret;
}

int pod_does_not_run(const struct entry *container, struct husk_error *err)
{
    struct container_state state;
    bool created =
        !container_load_state(container, &state, NULL) && state.status == CONTAINER_CREATED;

    return error_set(err, ESRCH, container->name, "does not run", "%s",
                     created ? "it was not started: `husk start` does that" : "it has ended");
}

int pod_connect(const struct entry *container, struct control_client **out, struct husk_error *err)
{
    int fd = entry_connect(container, err);

    if (fd == -ECONNREFUSED)
        return pod_does_not_run(container, err);
    return fd < 0 ? fd : control_client_open(fd, out, err);
}

static int act_on(const char *word, int (*act)(struct pod_target *, void *, struct husk_error *),
                  void *arg, struct husk_error *err)
{
    struct pod_target target = {.word = word};
    int ret = pod_find(word, &target.store, &target.container, err);

    if (ret)
        return ret;
    if (entry_alive(target.container)) {
        ret = pod_connect(target.container, &target.client, err);
        if (ret && entry_has_ended(target.container, ret))
            ret = 0;
    }
    if (!ret)
        ret = act(&target, arg, err);
    control_client_close(target.client);
    entry_close(target.container);
    entry_store_close(target.store);
    return ret;
}

int pod_for_each(char **words, unsigned count,
                 int (*act)(struct pod_target *target, void *arg, struct husk_error *err),
                 void *arg)
{
    int status = STATUS_OK;

    for (unsigned i = 0; i < count; i++) {
        struct husk_error err = {0};

        if (act_on(words[i], act, arg, &err)) {
            cli_error(&err);
            status = STATUS_MONITOR_ERROR;
        }
    }
    return status;
}

static const json_t *process_of(const struct container_spec *record)
{
    return json_object_get(json_object_get(record->spec, "config"), "process");
}

const json_t *pod_command(const struct container_spec *record)
{
    return json_object_get(process_of(record), "args");
}

bool pod_has_terminal(const struct container_spec *record)
{
    return json_is_true(json_object_get(process_of(record), "terminal"));
}

int pod_exit_status(const json_t *exit, int *status, struct husk_error *err)
{
    const json_t *number = json_object_get(exit, "status");
    json_int_t value = json_integer_value(number);

    if (!json_is_integer(number) || value < 0 || value > 255)
        return error_set(err, EPROTO, "the supervisor", "cannot be understood",
                         "it does not say how the process ended");
    *status = (int)value;
    return 0;
}

int pod_print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(4));

    if (!text) {
        cli_message("%s", error_text(ENOMEM));
        return -ENOMEM;
    }
    puts(text);
    free(text);
    return 0;
}
