// SPDX-License-Identifier: Apache-2.0
/* What the readers of both records share; see record.h. */
#ifndef HUSK_POD_PODS_RECORD_INTERNAL_H
#define HUSK_POD_PODS_RECORD_INTERNAL_H

#include "pod/pods/record.h"

#define POD_RECORD_VERSION 1u

/* -ENOTSUP for another version. */
int pod_record_version(const json_t *document, const char *where, struct husk_error *err);

#endif
