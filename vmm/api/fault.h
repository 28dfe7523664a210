// SPDX-License-Identifier: Apache-2.0
/* Why a request is refused: the one printable line that becomes its "fault_message". */
#ifndef HUSK_VMM_API_FAULT_H
#define HUSK_VMM_API_FAULT_H

#include "husk/error.h"

#define API_FAULT_MAX 600u

struct api_fault {
    char text[API_FAULT_MAX];
};

/* Fill it and return -EINVAL, so that a caller can `return api_fault_set(...)`. Bytes that are not
 * printable ASCII come out as '?'; what does not fit is cut. */
int api_fault_set(struct api_fault *fault, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "PREFIX: where: what: why". Returns -EINVAL. */
int api_fault_error(struct api_fault *fault, const char *prefix, const struct husk_error *err);

/* Put "PREFIX: " before what it says already. Returns -EINVAL. */
int api_fault_prefix(struct api_fault *fault, const char *prefix);

#endif
