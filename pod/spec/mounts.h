// SPDX-License-Identifier: Apache-2.0
/* "mounts" of a config.json. */
#ifndef HUSK_POD_SPEC_MOUNTS_H
#define HUSK_POD_SPEC_MOUNTS_H

#include "pod/spec/spec.h"

/* The system's, then those of --tmpfs, of out->volumes and of out->files, parents first. What the
 * user mounts takes the place of the system's. */
int mounts_json(const struct spec_options *options, const struct spec *spec, json_t **out,
                struct husk_error *err);

#endif
