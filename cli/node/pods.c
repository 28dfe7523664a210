// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/node/pods.h"

/* The library's text as one for free(). */
static int take(int ret, char *from, char **to)
{
    *to = ret ? NULL : strdup(from ? from : "");
    husk_pod_text_free(from);
    return !ret && !*to ? -ENOMEM : ret;
}

static int list(void *arg, char **json, struct husk_error *err)
{
    struct node_library *library = arg;
    char *text = NULL;
    int ret = husk_pods_list(library->pods, NULL, &text, err);

    return take(ret, text, json);
}

static int create(void *arg, const struct husk_manifest *manifest, unsigned index,
                  struct husk_error *err)
{
    struct node_library *library = arg;

    return husk_pod_create(library->pods, manifest, index, library->create, err);
}

static int start(void *arg, const char *name, struct husk_error *err)
{
    struct node_library *library = arg;

    return husk_pod_start(library->pods, name, NULL, err);
}

static int apply(void *arg, const struct husk_manifest *manifest, unsigned index, char **changed,
                 struct husk_error *err)
{
    struct node_library *library = arg;
    char *text = NULL;
    int ret = husk_pod_apply(library->pods, manifest, index, &text, err);

    return take(ret, text, changed);
}

static int stop(void *arg, const char *name, struct husk_error *err)
{
    struct node_library *library = arg;

    return husk_pod_stop(library->pods, name, -1, err);
}

static int remove_pod(void *arg, const char *name, struct husk_error *err)
{
    struct node_library *library = arg;

    return husk_pod_remove(library->pods, name, false, err);
}

void node_pods_library(struct node_library *library, struct node_pods *out)
{
    *out = (struct node_pods){
        .arg = library,
        .list = list,
        .create = create,
        .start = start,
        .apply = apply,
        .stop = stop,
        .remove = remove_pod,
    };
}
