// SPDX-License-Identifier: Apache-2.0
/*
 * Volumes whose contents are the Pod object's or its objects': configMap, secret, downwardAPI, and
 * projected, which is any of them. They are laid out as by the kubelet, so that all of a volume
 * changes in one step: the files are in a directory "..DIGEST", to which the link "..data" points,
 * and each name at the top is a link to "..data/NAME".
 */
#ifndef HUSK_POD_PLAN_PAYLOAD_H
#define HUSK_POD_PLAN_PAYLOAD_H

#include "pod/plan/part.h"

#define PAYLOAD_FILES_MAX   1024u
#define PAYLOAD_TMPFS_BYTES (16u << 20) /* room for what there is, and for what takes its place */

/* Whether `source` (an element of spec.volumes) is one of these. */
bool payload_is(const json_t *source);

/*
 * {"volume": NAME, "directory": "..DIGEST", "names": [TOP, …], "requests": [writes of the files]},
 * a new reference. `volume` is the agent's name, `field` the path of the element.
 */
int payload_build(struct plan *plan, const json_t *source, const char *volume, const char *field,
                  json_t **out, struct husk_error *err);

/* Appends the requests that fill a new volume. */
int payload_fill(const json_t *payload, json_t *requests, struct husk_error *err);

/* Those that make `now` of `old`, of the same volume; none when they are alike. */
int payload_change(const json_t *old, const json_t *now, json_t *requests, struct husk_error *err);

/* Appends volume.write requests for a file of any length; `owner` has members for each of them. */
int payload_write(json_t *requests, const char *volume, const char *path, const char *base64,
                  const json_t *owner, struct husk_error *err);

#endif
