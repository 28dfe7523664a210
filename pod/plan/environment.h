// SPDX-License-Identifier: Apache-2.0
/* A container's variables: env and envFrom. */
#ifndef HUSK_POD_PLAN_ENVIRONMENT_H
#define HUSK_POD_PLAN_ENVIRONMENT_H

#include "pod/plan/part.h"

/* *out is a new object of texts by name. `field` is the container's path. */
int environment_of(struct plan *plan, const json_t *container, const char *field, json_t **out,
                   struct husk_error *err);

#endif
