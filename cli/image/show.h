// SPDX-License-Identifier: Apache-2.0
/* Images and what was done with them, for people and as JSON, on standard output. */
#ifndef HUSK_CLI_IMAGE_SHOW_H
#define HUSK_CLI_IMAGE_SHOW_H

#include <jansson.h>

#include "pod/image/store.h"

/* One image; a new reference or NULL. */
json_t *show_json(const struct image_record *record);

/* The heading and a line of the table of `ls`. */
void show_heading(void);
void show_line(const struct image_record *record);

/* What its layers take in the store, each counted once. */
uint64_t show_bytes(const struct image_record *record);

#endif
