// SPDX-License-Identifier: Apache-2.0
/* Entries of the Boot Loader Specification: one text file for each kernel. */
#ifndef HUSK_IMAGE_BLS_H
#define HUSK_IMAGE_BLS_H

#include <stdbool.h>

#include "image/choice.h"
#include "image/environment.h"

struct bls_entry {
    char id[IMAGE_NAME_MAX + 1]; /* the file's name without ".conf" and boot counter */
    char version[128];
    char sort_key[128];
    bool exhausted; /* its boot counter has come to zero: known to be bad */
    bool usable;    /* of this architecture, with a kernel, and nothing in it too long */
    struct image_choice choice;
};

/* `name` is the file's. `env` has the variables that options may name (Fedora's $kernelopts). */
void bls_parse(const char *name, const char *text, const struct environment *env,
               struct bls_entry *entry);

/* Less than 0 when `a` comes before `b` in the menu, and is so the one to boot. */
int bls_compare(const struct bls_entry *a, const struct bls_entry *b);

/* The pattern of "default" in loader.conf, "" when there is none; false when it does not fit. */
bool bls_loader_default(const char *text, char *out, size_t size);

#endif
