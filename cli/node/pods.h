// SPDX-License-Identifier: Apache-2.0
/* What the reconcile loop asks of the library of pods, so that tests can put others in its place.
 */
#ifndef HUSK_CLI_NODE_PODS_H
#define HUSK_CLI_NODE_PODS_H

#include "husk/pod.h"

struct node_pods {
    void *arg;
    /* A PodList; free(). */
    int (*list)(void *arg, char **json, struct husk_error *err);
    int (*create)(void *arg, const struct husk_manifest *manifest, unsigned index,
                  struct husk_error *err);
    int (*start)(void *arg, const char *name, struct husk_error *err);
    /* What was changed, as husk_pod_apply() has it; free(). */
    int (*apply)(void *arg, const struct husk_manifest *manifest, unsigned index, char **changed,
                 struct husk_error *err);
    int (*stop)(void *arg, const char *name, struct husk_error *err);
    int (*remove)(void *arg, const char *name, struct husk_error *err);
};

/* The library, with that handle and those options; both are the caller's and stay. */
struct node_library {
    struct husk_pods *pods;
    const struct husk_pod_create_options *create;
};
void node_pods_library(struct node_library *library, struct node_pods *out);

#endif
