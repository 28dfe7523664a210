// SPDX-License-Identifier: Apache-2.0
/* husk pod inspect: pods as objects of Kubernetes. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "cli/pod/pod.h"
#include "cli/pods/pods.h"
#include "cli/pods/yaml.h"

struct inspect {
    struct pods_scope scope;
    const char *output; /* NULL: JSON */
    json_t *found;
};

static int set_output(void *member, const struct pod_place *place, const char *value)
{
    if (strcmp(value, "json") != 0 && strcmp(value, "yaml") != 0)
        return pod_usage(place->syntax, "%s: %s: wants json or yaml", place->option, value);
    return pod_set_text(member, place, value);
}

static const struct pod_option options[] = {
    SCOPE_NAMESPACE(struct inspect),
    {'o', "output", true, set_output, offsetof(struct inspect, output)},
    {0, NULL, false, NULL, 0},
};

static const struct pod_syntax syntax = {
    .command = "pod inspect",
    .help = "husk pod inspect [-n NAMESPACE] [-o json|yaml] POD...\n"
            "\n"
            "Print a pod: its description with all defaults, and its status. Several pods are a\n"
            "PodList. docs/pods.md explains the members.\n" STATUSES_TEXT,
    .wants = "the pods to look at",
    .least = 1,
    .most = UINT16_MAX,
    .options = options,
};

static int find(struct husk_pods *pods, const char *name, void *arg, struct husk_error *err)
{
    struct inspect *inspect = arg;
    json_t *pod = NULL;
    int ret = pods_get(pods, name, &pod, err);

    if (!ret && json_array_append_new(inspect->found, pod))
        ret = error_set(err, ENOMEM, name, "cannot be described", NULL);
    return ret;
}

/* One as it is, several as a list. */
static int print(const struct inspect *inspect, unsigned asked)
{
    json_t *all = asked == 1 ? json_incref(json_array_get(inspect->found, 0))
                             : json_pack("{s:s, s:s, s:O}", "apiVersion", "v1", "kind", "PodList",
                                         "items", inspect->found);
    int ret = -ENOMEM;

    if (!all || (inspect->output && !strcmp(inspect->output, "yaml"))) {
        if (!all || yaml_print(all, stdout))
            cli_message("%s", error_text(ENOMEM));
        else
            ret = 0;
    } else {
        ret = pod_print_json(all);
    }
    json_decref(all);
    return ret;
}

int verb_inspect(int argc, char **argv)
{
    struct inspect inspect = {.found = NULL};
    char **words;
    unsigned count;
    int status = pod_options_parse(&syntax, &inspect, argc, argv, &words, &count);

    if (status)
        return status == POD_HELP_SHOWN ? STATUS_OK : status;
    inspect.found = json_array();
    status = scope_each(&inspect.scope, words, count, find, NULL, &inspect);
    if (json_array_size(inspect.found) && print(&inspect, count))
        status = STATUS_MONITOR_ERROR;
    json_decref(inspect.found);
    return status;
}
