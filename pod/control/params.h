// SPDX-License-Identifier: Apache-2.0
/* Reading what clients ask: types and ranges of a request's members. */
#ifndef HUSK_POD_CONTROL_PARAMS_H
#define HUSK_POD_CONTROL_PARAMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "husk/error.h"

/* Each returns 0, or -EINVAL with err naming the member; one that is absent leaves *out alone. */
int params_integer(const json_t *params, const char *name, int64_t min, int64_t max, int64_t *out,
                   struct husk_error *err);
int params_flag(const json_t *params, const char *name, bool *out, struct husk_error *err);
/* Borrowed. */
int params_text(const json_t *params, const char *name, const char **out, struct husk_error *err);

/* Refuses members that are not in `known`, of at most `max` names and ended by NULL before. */
int params_only(const json_t *params, const char *method, const char *const *known, unsigned max,
                struct husk_error *err);

#endif
