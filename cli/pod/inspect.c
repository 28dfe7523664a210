// SPDX-License-Identifier: Apache-2.0
/* husk inspect: the records of containers, as one JSON array. */
#include <errno.h>

#include "base/error.h"
#include "cli/pod/pod.h"

static const struct pod_option options[] = {{0, NULL, false, NULL, 0}};

static const struct pod_syntax syntax = {
    .command = "inspect",
    .help = "husk inspect CONTAINER...\n"
            "\n"
            "Print all that is known of containers as a JSON array: what was asked for, \"spec\",\n"
            "and what has become of it, \"state\"; docs/formats/container-state.md explains the\n"
            "members.\n" STATUSES_TEXT,
    .wants = "the containers to look at",
    .least = 1,
    .most = UINT16_MAX,
    .options = options,
};

static int inspect(struct pod_target *target, void *arg, struct husk_error *err)
{
    struct container_spec spec = {.id = ""};
    struct container_state state;
    json_t *entry = NULL;
    int ret = container_load_spec(target->container, &spec, err);

    if (!ret)
        ret = container_load_state(target->container, &state, err);
    if (!ret) {
        entry =
            json_pack("{s:s, s:s, s:s, s:o, s:o}", "id", spec.id, "name", spec.name, "directory",
                      target->container->path, "spec", container_spec_encode(&spec), "state",
                      container_state_encode(&state, spec.created_ns));
        if (!entry || json_array_append_new(arg, entry))
            ret = error_set(err, ENOMEM, spec.name, "cannot be described", NULL);
    }
    container_spec_clear(&spec);
    return ret;
}

int pod_inspect(int argc, char **argv)
{
    json_t *all = json_array();
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, NULL, argc, argv, &words, &count);

    if (!status) {
        status = pod_for_each(words, count, inspect, all);
        if (json_array_size(all) && pod_print_json(all))
            status = STATUS_MONITOR_ERROR;
    }
    json_decref(all);
    return status == POD_HELP_SHOWN ? STATUS_OK : status;
}
