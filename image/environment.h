// SPDX-License-Identifier: Apache-2.0
/* Variables of GRUB: those of its environment block, and those that a grub.cfg sets. */
#ifndef HUSK_IMAGE_ENVIRONMENT_H
#define HUSK_IMAGE_ENVIRONMENT_H

#include <stddef.h>

#define ENVIRONMENT_MAX 128u

struct environment {
    unsigned count;
    struct {
        char name[64];
        char value[1024];
    } variables[ENVIRONMENT_MAX];
};

/* Sets or replaces; what does not fit is left out. */
void environment_set(struct environment *env, const char *name, size_t name_len, const char *value,
                     size_t value_len);

/* "" when there is none. */
const char *environment_get(const struct environment *env, const char *name, size_t name_len);

/* The environment block (GRUB manual 2.12, "The GRUB environment block"): lines "NAME=VALUE", '#'
 * begins a comment; '\' escapes. */
void environment_read(struct environment *env, const char *text);

/* Replaces $NAME and ${NAME}; returns 0, or -1 when the result does not fit. */
int environment_expand(const struct environment *env, const char *text, char *out, size_t size);

/* Appends what the variable behind the '$' at *at holds; *at is then behind its name. As above. */
int environment_expand_one(const struct environment *env, const char **at, char *out, size_t size,
                           size_t *len);

#endif
