// SPDX-License-Identifier: Apache-2.0
/* The partitions of a disk image, and what is in each, as libblkid tells. */
#ifndef HUSK_IMAGE_PARTITIONS_H
#define HUSK_IMAGE_PARTITIONS_H

#include <stdbool.h>

#include "image/source.h"

#define IMAGE_PARTITIONS_MAX 32u

struct image_partition {
    unsigned number; /* 0: the whole disk, which has no partitions */
    struct image_source bytes;
    char kind[40];       /* GPT: the type's GUID, in lower case; "" elsewhere */
    char id[48];         /* for root=PARTUUID=; "" when there is none */
    char content[32];    /* "ext4", "xfs", …; "" when libblkid knows nothing of it */
    char content_id[48]; /* UUID of the file system, for root=UUID= */
};

struct image_disk {
    char table[16]; /* "gpt", "dos"; "": none */
    unsigned count;
    bool more; /* there are partitions beyond IMAGE_PARTITIONS_MAX, which are not looked at */
    struct image_partition partitions[IMAGE_PARTITIONS_MAX];
};

/* sector_bytes: of a block device; 512 for a file. 0 or -errno; a disk without partitions is one of
 * number 0. */
int image_disk_read(const struct image_source *source, unsigned sector_bytes,
                    struct image_disk *disk);

#endif
