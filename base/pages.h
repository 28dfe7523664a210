// SPDX-License-Identifier: Apache-2.0
/*
 * Memory in whole pages, for buffers that are large and seldom full: a page costs nothing until it
 * is touched, and all go back to the kernel at the end. From malloc() such a buffer costs what was
 * there before it, and in a program that starts and ends many VMs that is soon all of it.
 *
 * Threads: any.
 */
#ifndef HUSK_BASE_PAGES_H
#define HUSK_BASE_PAGES_H

#include <stddef.h>

/* Zeroed, at a page boundary, never in huge pages. bytes: more than 0. NULL where there is no
 * memory. The caller owns it. */
void *pages_alloc(size_t bytes);

/* The same number of bytes. NULL is ignored. Preserves errno. */
void pages_free(void *pages, size_t bytes);

#endif
