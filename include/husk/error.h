// SPDX-License-Identifier: Apache-2.0
/*
 * The error object that every fallible public call of husk fills.
 *
 * A call that takes a `struct husk_error *` returns 0 on success and a negative errno value on
 * failure. On failure it fills the object (when the pointer is not NULL); on success it leaves it
 * alone. The three texts are NUL-terminated, never contain a newline, and are cut when too long.
 */
#ifndef HUSK_ERROR_H
#define HUSK_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

struct husk_error {
    int code;        /* positive errno value, 0 when no error was recorded */
    char where[192]; /* the file, flag or field at fault; may be empty */
    char what[128];  /* what could not be done: "cannot open the kernel" */
    char why[192];   /* the reason, and what to do about it where known; may be empty */
};

#ifdef __cplusplus
}
#endif
#endif
