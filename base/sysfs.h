// SPDX-License-Identifier: Apache-2.0
/*
 * Reading sysfs: one attribute or link at a time, named by a format below `root` ("/sys"; tests
 * have trees of their own). Everything is read anew at each call.
 */
#ifndef HUSK_BASE_SYSFS_H
#define HUSK_BASE_SYSFS_H

#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* root/format as a path; 0 or -ENAMETOOLONG. */
int sysfs_path(const char *root, char path[PATH_MAX], const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

/* An attribute's first line without its newline, cut to size; 0 or -errno, which leaves out as it
 * was. */
int sysfs_read(const char *root, char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The last component of what a link points to; 0 or -errno. */
int sysfs_link(const char *root, char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

bool sysfs_exists(const char *root, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
