// SPDX-License-Identifier: Apache-2.0
/*
 * What differs between two descriptions of a pod, and whether it can be changed while it runs.
 *
 * In place: metadata.labels and metadata.annotations, spec.activeDeadlineSeconds,
 * spec.terminationGracePeriodSeconds, the resources of containers (whether they fit into the
 * machine is the caller's to find out), fields that have no effect, and the contents of config maps
 * and secrets. docs/pods.md has the list, from the same table. All else is of the machine or of a
 * container as it was created.
 */
#ifndef HUSK_POD_MANIFEST_CHANGE_H
#define HUSK_POD_MANIFEST_CHANGE_H

#include <jansson.h>

#include "husk/error.h"

/*
 * Both are canonical Pod objects (manifest.h) of the same name. *changed is a new reference to an
 * array of the paths that differ, [] when nothing does, such as "spec.containers[0].resources" or
 * "metadata.labels[app]".
 * -EEXIST when one of the differences cannot be made in place: err->where is the first such path,
 * and *changed is there all the same. -ENOMEM, with *changed NULL.
 */
int change_of_pod(const json_t *before, const json_t *after, json_t **changed,
                  struct husk_error *err);

/* The same of a pod's objects (manifest.h): "configMaps[NAME]", "secrets[NAME]". All of these can
 * be changed in place. -ENOMEM. */
int change_of_objects(const json_t *before, const json_t *after, json_t **changed,
                      struct husk_error *err);

#endif
