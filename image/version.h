// SPDX-License-Identifier: Apache-2.0
/* Which of two names of kernels or entries is the newer one. */
#ifndef HUSK_IMAGE_VERSION_H
#define HUSK_IMAGE_VERSION_H

/*
 * Less than, equal to or greater than 0 when `a` is older than, the same as or newer than `b`: by
 * the rules of the UAPI group's version format specification, with '~' (before anything), '-' and
 * '^' and '.' as it says.
 */
int version_compare(const char *a, const char *b);

#endif
