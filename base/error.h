// SPDX-License-Identifier: Apache-2.0
/*
 * Filling and printing struct husk_error.
 *
 * Convention of the whole tree: internal functions return 0 or -errno; functions at a boundary
 * (anything that parses input, opens a file, or talks to the kernel on the user's behalf) also take
 * a `struct husk_error *err`, which may be NULL, and end their failure paths with
 * `return error_set(err, ...)`.
 */
#ifndef HUSK_BASE_ERROR_H
#define HUSK_BASE_ERROR_H

#include <stddef.h>

#include "husk/error.h"

/*
 * Record an error and return -code, so that a caller can `return error_set(...)`.
 *
 * code:  positive errno value (0 is recorded as EINVAL: an error always fails).
 * where: the file, flag or field at fault, NULL or "" when there is none. Bytes that are not
 *        printable ASCII are replaced by '?', so that hostile names cannot forge log lines; what
 *        does not fit is cut at the front, behind "...".
 * what:  what could not be done, a short fixed text.
 * why_format: printf format of the reason; NULL uses error_text(code); "" gives no reason.
 *
 * Does nothing but return -code when err is NULL. Preserves errno.
 */
int error_set(struct husk_error *err, int code, const char *where, const char *what,
              const char *why_format, ...) __attribute__((format(printf, 5, 6)));

/*
 * Render "where: what: why" (empty parts left out) into buf, always NUL-terminated.
 * Returns buf.
 */
const char *error_format(const struct husk_error *err, char *buf, size_t size);

/* What an errno value (positive) means, in English; any thread. strerror() would look for a
 * translation, in files that a confined thread may not open. */
const char *error_text(int code);

/* Replace every byte that is not printable ASCII by '?': a name that a stranger chose must neither
 * make a second line nor command a terminal. */
void make_printable(char *text);

#endif
