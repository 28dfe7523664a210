// SPDX-License-Identifier: Apache-2.0
/* The default entry of a grub.cfg, as far as it can be told without running the script. */
#ifndef HUSK_IMAGE_GRUB_H
#define HUSK_IMAGE_GRUB_H

#include <stdbool.h>

#include "image/choice.h"
#include "image/environment.h"

/*
 * `env` has the variables of the environment block, and gets those that the file sets. Fills
 * *choice with the files and options of the entry that would be booted. False when there is none.
 */
bool grub_parse(const char *text, struct environment *env, struct image_choice *choice);

#endif
