// SPDX-License-Identifier: Apache-2.0
/* A Pod object beyond its single fields: see manifest.h. */
#ifndef HUSK_POD_MANIFEST_POD_H
#define HUSK_POD_MANIFEST_POD_H

#include "pod/manifest/schema.h"

/* From what was read to the canonical Pod object, a new reference. */
int pod_read(struct schema_check *check, const json_t *value, json_t **out);

/* What a spec says as a whole: names that are there twice, volumes that are not there, requests
 * beyond limits; sets the defaults that depend on other fields. `spec` is ours alone. The path is
 * that of the spec. */
int pod_complete(struct schema_check *check, json_t *spec);

#endif
