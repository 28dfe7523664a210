// SPDX-License-Identifier: Apache-2.0
/* Which of some names was probably meant by a word that is none of them. */
#ifndef HUSK_BASE_SIMILAR_H
#define HUSK_BASE_SIMILAR_H

struct similar {
    const char *word;
    const char *best;  /* the nearest name so far, the offerer's; NULL: none is near enough */
    unsigned distance; /* its; what comes later has to be nearer */
};

/* Words of more than 63 bytes are near to nothing. */
void similar_begin(struct similar *similar, const char *word);

/* A name counts when the word becomes it by at most 2 changes, and by fewer than half as many as
 * the word has letters: a letter more, less, other, or two neighbours swapped. ASCII letters are
 * compared without regard to case. */
void similar_offer(struct similar *similar, const char *name);

#endif
