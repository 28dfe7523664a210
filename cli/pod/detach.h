// SPDX-License-Identifier: Apache-2.0
/*
 * The keys that take a terminal away from a container without ending it: Ctrl-p Ctrl-q, or what
 * --detach-keys says.
 */
#ifndef HUSK_CLI_POD_DETACH_H
#define HUSK_CLI_POD_DETACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DETACH_KEYS_MAX     16u
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct detach_filter {
    uint8_t keys[DETACH_KEYS_MAX];
    unsigned count;   /* 0: nothing detaches */
    unsigned matched; /* keys held back: the beginning of the sequence */
};

/* "a", "ctrl-X" with X a letter or one of @ [ \ ] ^ _, separated by commas; "" is no sequence.
 * 0 or -EINVAL. */
int detach_keys_parse(const char *text, struct detach_filter *out);

/*
 * Input through the filter: `out` has room for len + DETACH_KEYS_MAX bytes and is not `in`. Returns
 * the bytes in `out`; *detached when the sequence was complete, and then the rest is dropped.
 */
size_t detach_filter(struct detach_filter *filter, const uint8_t *in, size_t len, uint8_t *out,
                     bool *detached);

#endif
