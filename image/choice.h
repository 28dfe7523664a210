// SPDX-License-Identifier: Apache-2.0
/* What one of the ways to describe a kernel on a disk says: which files, which command line. */
#ifndef HUSK_IMAGE_CHOICE_H
#define HUSK_IMAGE_CHOICE_H

#include <stdbool.h>
#include <stddef.h>

#include "image/filesystem.h"

#define IMAGE_OPTIONS_MAX 2048u /* COMMAND_LINE_SIZE of x86 Linux */
#define IMAGE_INITRDS_MAX 8u

struct image_choice {
    char linux_path[IMAGE_PATH_MAX]; /* "": none */
    char initrds[IMAGE_INITRDS_MAX][IMAGE_PATH_MAX];
    unsigned initrd_count;
    char options[IMAGE_OPTIONS_MAX];
};

/* Append to a text with its end, after a space unless it is empty; false when that does not fit,
 * with the text as it was. */
bool text_append_word(char *text, size_t size, const char *word);

/* Copy; false when it does not fit. */
bool text_copy(char *out, size_t size, const char *text, size_t len);

/* The next line of *text without its end, which may be "\n" or "\r\n"; false when there is none. */
bool text_line(const char **text, const char **line, size_t *len);

#endif
