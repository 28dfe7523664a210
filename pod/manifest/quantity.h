// SPDX-License-Identifier: Apache-2.0
/*
 * Kubernetes' quantities: "500m", "1.5", "128Mi", "2G", "1e3". A decimal number, and one of the
 * suffixes n u m k M G T P E (powers of 1000), Ki Mi Gi Ti Pi Ei (powers of 1024), e or E and an
 * exponent. At most 30 characters. Pure functions.
 */
#ifndef HUSK_POD_MANIFEST_QUANTITY_H
#define HUSK_POD_MANIFEST_QUANTITY_H

#include <stddef.h>
#include <stdint.h>

#define QUANTITY_BYTES 32u /* of the canonical form, its NUL included */

/* Whole bytes, 0 to 2^63-1. -EINVAL: not a quantity, negative, or a fraction of a byte; -ERANGE. */
int quantity_bytes(const char *text, uint64_t *bytes);

/* Thousandths, rounded up, 0 to 2^63-1: "0.5" and "500m" are 500. -EINVAL, -ERANGE. */
int quantity_milli(const char *text, uint64_t *milli);

/* The one form of what is equal, as Kubernetes writes it: no fraction, and the largest suffix that
 * allows that; powers of 1024 stay such. "0.5" is "500m", "1024Mi" "1Gi", "1e3" "1k". -EINVAL,
 * -ERANGE. */
int quantity_canonical(const char *text, char out[QUANTITY_BYTES]);

#endif
