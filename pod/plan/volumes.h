// SPDX-License-Identifier: Apache-2.0
/* The pod's volumes, for those who mount them. */
#ifndef HUSK_POD_PLAN_VOLUMES_H
#define HUSK_POD_PLAN_VOLUMES_H

#include "pod/plan/part.h"

#define VOLUME_NAME_BYTES 32u
#define PLAN_VOLUMES_MAX  64u

/* What the agent calls the volume spec.volumes[index]; returns `name`. */
const char *volume_name(size_t index, char name[VOLUME_NAME_BYTES]);

/* By the name in the Pod object; -ENOENT. */
int volume_find(const struct plan *plan, const char *name, size_t *index);
const json_t *volume_at(const struct plan *plan, size_t index);

/* The one file that is in it (of a hostPath that was copied), which is what is mounted; or NULL. */
const char *volume_file(const struct plan *plan, const char *name);

#endif
