// SPDX-License-Identifier: Apache-2.0
/*
 * JSON writes a character beyond U+FFFF as two escapes, "\ud83d\ude00" (RFC 8259, 7); YAML has
 * "\U0001f600" for it, and refuses halves of pairs (YAML 1.2.2, 5.7). kubectl takes both.
 */
#ifndef HUSK_POD_MANIFEST_SURROGATES_H
#define HUSK_POD_MANIFEST_SURROGATES_H

#include <stddef.h>

/*
 * Makes YAML's escapes of JSON's pairs, in place; the text's lines stay what they are. Returns the
 * new length, which is no larger. Stops where the text is JSON no longer: nothing is touched that
 * could be anything else than an escape. Halves of pairs stay, for YAML's reader to refuse.
 */
size_t surrogates_join(char *text, size_t len);

#endif
