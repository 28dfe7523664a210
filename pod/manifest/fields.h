// SPDX-License-Identifier: Apache-2.0
/* The tables of fields: every field that a manifest may have, with its type, range and default. */
#ifndef HUSK_POD_MANIFEST_FIELDS_H
#define HUSK_POD_MANIFEST_FIELDS_H

#include "pod/manifest/schema.h"

extern const struct schema_object pod_fields;        /* Pod */
extern const struct schema_object config_map_fields; /* ConfigMap */
extern const struct schema_object secret_fields;     /* Secret */
extern const struct schema_object deployment_fields; /* Deployment, with its template */

#endif
