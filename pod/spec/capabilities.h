// SPDX-License-Identifier: Apache-2.0
/* Sets of capabilities, by the bits of capset(2). */
#ifndef HUSK_POD_SPEC_CAPABILITIES_H
#define HUSK_POD_SPEC_CAPABILITIES_H

#include <jansson.h>
#include <stdint.h>

#include "husk/error.h"
#include "pod/spec/spec.h"

extern const uint64_t capabilities_all;

/* "CAP_CHOWN", "chown": its number, or -EINVAL. */
int capability_number(const char *name);

/* What a container has by default, changed as engines do by --cap-add and --cap-drop, with ALL. */
int capabilities_choose(const struct spec_words *add, const struct spec_words *drop, uint64_t *out,
                        struct husk_error *err);

/* "process.capabilities": bounding, effective and permitted, or NULL. */
json_t *capabilities_json(uint64_t set);

#endif
