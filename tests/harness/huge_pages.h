// SPDX-License-Identifier: Apache-2.0
/*
 * 2 MiB pages for a test: reserved by the host while the test runs, and given back. A lock keeps
 * tests that do so at the same time from undoing each other.
 */
#ifndef HUSK_TESTS_HARNESS_HUGE_PAGES_H
#define HUSK_TESTS_HARNESS_HUGE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

struct huge_pages {
    int fd; /* of the counter, locked; -1: nothing to give back */
    uint64_t former;
};

/* Have `count` more pages reserved. False when this host does not let us, with the reason on
 * standard error; nothing is to be given back then. */
bool huge_pages_reserve(struct huge_pages *pages, unsigned count);

/* A second call does nothing. */
void huge_pages_give_back(struct huge_pages *pages);

#endif
