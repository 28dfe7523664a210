// SPDX-License-Identifier: Apache-2.0
/*
 * The search for a kernel on a disk image.
 *
 * Each way is tried on all partitions before the next, the most explicit first:
 *
 *   1. unified kernel images       /EFI/Linux/ *.efi                     (UAPI.5, UAPI.1 type 2)
 *   2. boot loader entries         /loader/entries/ *.conf, also below /boot     (UAPI.1 type 1)
 *   3. GRUB's configuration        /grub/grub.cfg, /grub2/grub.cfg, also below /boot
 *   4. a kernel that lies about    /vmlinuz*, /boot/vmlinuz*, with the initrd of the same version
 */
#ifndef HUSK_IMAGE_FIND_H
#define HUSK_IMAGE_FIND_H

#include "image/protocol.h"
#include "image/source.h"

/*
 * Fills *answer and the two files, which are open for writing; the one of the initrd stays empty
 * when there is none. On failure both are empty. Returns 0 or -errno, as answer->error says.
 */
int image_find_kernel(const struct image_source *disk, unsigned sector_bytes, int kernel_fd,
                      int initrd_fd, struct image_answer *answer);

#endif
