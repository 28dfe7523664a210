// SPDX-License-Identifier: Apache-2.0
/* A container's probes and lifecycle beyond their single fields. */
#ifndef HUSK_POD_MANIFEST_HANDLERS_H
#define HUSK_POD_MANIFEST_HANDLERS_H

#include "pod/manifest/schema.h"

/* The path is that of the container, `spec` its pod's. Rules are those of Kubernetes' validation
 * (core/v1). 0, -EINVAL or -ENOMEM. */
int handlers_check(struct schema_check *check, const json_t *spec, const json_t *container);

#endif
