// SPDX-License-Identifier: Apache-2.0
/*
 * Strict parsing of short texts: the whole text must be consumed, no leading blanks or signs, no
 * silent wrap. All return 0, or -EINVAL (malformed) or -ERANGE (outside [min, max]).
 */
#ifndef HUSK_BASE_PARSE_H
#define HUSK_BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "husk/error.h"

/* Decimal, or hexadecimal with 0x. */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/*
 * A size in bytes: decimal digits and at most one suffix, K, M, G or T (powers of 1024, either
 * case, optionally followed by "iB" or "B"), e.g. "256M", "1GiB", "4096".
 */
int parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out);

/* "on", "true", "yes", "1" / "off", "false", "no", "0". */
int parse_bool(const char *text, bool *out);

/* "aa:bb:cc:dd:ee:ff", unicast and not all zero. */
int parse_mac(const char *text, uint8_t mac[6]);

/*
 * Walks "value,key=value,flag" lists, as in --disk FILE,ro,engine=uring. An element without '='
 * comes as a value with an empty key (so do flags). A comma inside a value is written as two.
 */
struct option_list {
    const char *rest; /* unread part, NULL at the end */
    char key[32];
    char value[4096];
    bool has_value; /* whether "=" was present */
};

void option_list_begin(struct option_list *list, const char *text);

/*
 * Fetch the next element into key/value. Returns 1 when one was read, 0 at the end, -EINVAL for an
 * empty element, -ENAMETOOLONG for a key or value that does not fit.
 */
int option_list_next(struct option_list *list);

/* The same for an element that is one value whatever it holds: a path may have a '=' in it. */
int option_list_next_value(struct option_list *list);

/* Where `word` stands in a line of words separated by spaces, or NULL. */
const char *find_word(const char *line, const char *word);

#endif
