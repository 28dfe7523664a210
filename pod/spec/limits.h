// SPDX-License-Identifier: Apache-2.0
/* Limits: --memory, --cpus, --pids-limit, --ulimit. */
#ifndef HUSK_POD_SPEC_LIMITS_H
#define HUSK_POD_SPEC_LIMITS_H

#include "pod/spec/spec.h"

/* "64m", "1.5g", "4096", with "b" or "ib" behind, in either case: bytes. -EINVAL, -ERANGE. */
int limits_parse_size(const char *text, uint64_t *bytes);

/* --memory and --cpus into out->memory_bytes and cpu_nanos; "linux.resources" with these, the
 * number of processes and the rules of device nodes. */
int limits_resources(const struct spec_options *options, struct spec *out, json_t **resources,
                     struct husk_error *err);

/* "process.rlimits". */
int limits_rlimits(const struct spec_words *ulimits, json_t **out, struct husk_error *err);

#endif
