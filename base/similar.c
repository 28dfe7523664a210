// SPDX-License-Identifier: Apache-2.0
#include "base/similar.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define NAME_MAX_BYTES 63u
#define FAR            3u

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The optimal string alignment distance, by rows: rows[i % 3][j] is how far the first i letters of
 * `a` are from the first j of `b`. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][NAME_MAX_BYTES + 1];

    for (unsigned j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            unsigned other = above[j - 1] + !same(a[i - 1], b[j - 1]);

            row[j] = least(other, least(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

void similar_begin(struct similar *similar, const char *word)
{
    *similar = (struct similar){.word = word, .distance = FAR};
}

void similar_offer(struct similar *similar, const char *name)
{
    size_t word_len = strlen(similar->word), name_len = strlen(name);
    unsigned far;

    if (word_len > NAME_MAX_BYTES || name_len > NAME_MAX_BYTES)
        return;
    far = distance(similar->word, word_len, name, name_len);
    if (far < similar->distance && 2 * far < word_len) {
        similar->distance = far;
        similar->best = name;
    }
}
