// SPDX-License-Identifier: Apache-2.0
/* The parsers of /cpu-config, for their tests. */
#ifndef HUSK_VMM_API_CPU_H
#define HUSK_VMM_API_CPU_H

#include <jansson.h>
#include <stdint.h>

#include "vmm/api/fault.h"

struct cpu_settings;

/* "0bx10_01": mask has the bits that are 0 or 1, value those that are 1. -EINVAL, or -ERANGE when
 * there are more digits than bits. */
int bitmap_parse(const char *text, unsigned bits, uint64_t *mask, uint64_t *value);

/* "0x1f" or "0b11111", of 32 bits. */
int register_parse(const char *text, uint32_t *out);

/* A whole body into *out, which cpu_release() frees. */
int cpu_settings_read(const json_t *body, struct cpu_settings *out, struct api_fault *fault);

#endif
