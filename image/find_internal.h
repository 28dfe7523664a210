// SPDX-License-Identifier: Apache-2.0
/* What the files of the search share: find.c holds the state and copies out, find_ways.c has the
 * ways that find.h lists. */
#ifndef HUSK_IMAGE_FIND_INTERNAL_H
#define HUSK_IMAGE_FIND_INTERNAL_H

#include "image/choice.h"
#include "image/filesystem.h"
#include "image/partitions.h"
#include "image/protocol.h"
#include "image/uki.h"

#define SEARCH_NOTES_MAX 512u
#define SEARCH_LABEL_MAX 80u

struct search {
    struct image_disk disk;
    struct image_filesystem *fs[IMAGE_PARTITIONS_MAX];  /* NULL: not readable */
    char notes[IMAGE_PARTITIONS_MAX][SEARCH_NOTES_MAX]; /* what was seen in each */
    struct image_answer *answer;
    int kernel_fd, initrd_fd; /* what is filled */
};

/* Each tries one way on all partitions: 0 when the answer is complete, -errno. */
int search_ukis(struct search *search);
int search_entries(struct search *search);
int search_grub(struct search *search);
int search_files(struct search *search);

/* Adds to what is told of partition number `at` of the list. */
void search_note(struct search *search, unsigned at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void search_label(const struct search *search, unsigned at, char label[SEARCH_LABEL_MAX]);

/* Completes the answer; -errno, noted, when a file is missing or cannot be read. */
int search_take(struct search *search, unsigned at, const char *how,
                const struct image_choice *choice);
int search_take_uki(struct search *search, unsigned at, const char *path);

#endif
