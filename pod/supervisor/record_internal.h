// SPDX-License-Identifier: Apache-2.0
/* What the readers of both records share; see record.h. */
#ifndef HUSK_POD_SUPERVISOR_RECORD_INTERNAL_H
#define HUSK_POD_SUPERVISOR_RECORD_INTERNAL_H

#include "base/error.h"
#include "pod/image/json.h"
#include "pod/supervisor/record.h"

#define RECORD_VERSION 1u

extern const char *const container_status_names[4];

bool container_id_valid(const char *id);

/* -ENOTSUP for another version. */
int record_version(const json_t *document, const char *where, struct husk_error *err);

/* Required members. */
int record_flag(const json_t *document, const char *name, bool *out, const char *where,
                struct husk_error *err);
/* One of the words, whose index is *out. */
int record_choice(const json_t *document, const char *name, const char *const *words,
                  unsigned count, unsigned *out, const char *where, struct husk_error *err);

#endif
