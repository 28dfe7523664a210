// SPDX-License-Identifier: Apache-2.0
/* How metrics look, as pure functions of what was counted. */
#ifndef HUSK_VMM_API_METRICS_FORMAT_H
#define HUSK_VMM_API_METRICS_FORMAT_H

#include "vmm/api/state.h"

/* One line of JSON with its newline: what was counted since `last` (NULL: since ever). Owned by the
 * caller; NULL without memory. */
char *metrics_json(const struct api *api, const struct metrics_values *now,
                   const struct metrics_values *last);

/* Prometheus' text format 0.0.4. Owned by the caller; NULL without memory. */
char *metrics_prometheus(const struct api *api, const struct metrics_values *now);

#endif
