// SPDX-License-Identifier: Apache-2.0
/* Unified kernel images: kernel, initrd and command line as sections of one EFI program. */
#ifndef HUSK_IMAGE_UKI_H
#define HUSK_IMAGE_UKI_H

#include "image/choice.h"
#include "image/source.h"

struct uki {
    struct image_source kernel; /* size 0: none */
    struct image_source initrd;
    char options[IMAGE_OPTIONS_MAX];
};

/* Finds the sections of a file. 0, -EINVAL when it is no EFI program, -ENOENT when it holds no
 * kernel, -EIO when a section lies outside the file, -EFBIG. */
int uki_parse(const struct image_source *file, struct uki *uki);

#endif
