// SPDX-License-Identifier: Apache-2.0
/* Where values of variables and files come from: the pod's own fields, resources, and objects. */
#ifndef HUSK_POD_PLAN_VALUES_H
#define HUSK_POD_PLAN_VALUES_H

#include "pod/plan/part.h"

/* fieldRef.fieldPath: the value as a text that is the caller's. */
int value_of_field(const struct plan *plan, const char *path, const char *where, char **out,
                   struct husk_error *err);

/* resourceFieldRef of the container `own`, unless it names another one. Likewise. */
int value_of_resource(const struct plan *plan, const json_t *reference, const json_t *own,
                      const char *where, char **out, struct husk_error *err);

/* fieldRef or resourceFieldRef, whichever `source` has; NULL in *out when it has neither. */
int value_of_downward(const struct plan *plan, const json_t *source, const json_t *own,
                      const char *where, char **out, struct husk_error *err);

enum value_kind { VALUE_CONFIG_MAP, VALUE_SECRET };

/* The object, borrowed, or NULL. */
const json_t *value_object(const struct plan *plan, enum value_kind kind, const char *name);

/* One value of it, borrowed: text as it is, or *base64. NULL: there is no such key. */
const char *value_of_key(const json_t *object, enum value_kind kind, const char *key, bool *base64);

/* "config map" or "secret". */
const char *value_kind_name(enum value_kind kind);

/* A value for a variable: decoded, and free of NUL. The caller's. */
int value_as_text(const char *value, bool base64, const char *where, char **out,
                  struct husk_error *err);

#endif
