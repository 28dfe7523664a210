// SPDX-License-Identifier: Apache-2.0
/*
 * What the library and husk-image say to each other: one request and one answer, over a unix socket
 * of type SOCK_SEQPACKET. The two programs are of one version, so the messages are plain structs.
 *
 *     library                                    husk-image
 *       starts it, with a socket and the disk
 *       the request, with two empty memfds  ──▶    goes to jail, looks for a kernel,
 *                                                  fills the memfds
 *                                           ◀──    the answer; ends
 *
 * The library believes nothing that comes from the process, and takes no descriptors from it: what
 * was on the disk may speak here. The process trusts the library.
 */
#ifndef HUSK_IMAGE_PROTOCOL_H
#define HUSK_IMAGE_PROTOCOL_H

#include <stdint.h>

/* Where husk-image finds what it is started with. */
#define IMAGE_SOCKET_FD 3
#define IMAGE_DISK_FD   4

#define IMAGE_KERNEL_MAX (256ull << 20)
#define IMAGE_INITRD_MAX (1ull << 30)

/* With the descriptors of the file for the kernel and the one for the initrd. */
struct image_request {
    uint32_t namespaces; /* CLONE_NEW*: those that were made for the process */
};

/* All texts end within their arrays. */
struct image_answer {
    int32_t error;        /* 0, or a positive errno value */
    char what[128];       /* what could not be done */
    char found[256];      /* "partition 1 (ext4): /boot/grub/grub.cfg: /boot/vmlinuz-6.1.0-30" */
    char looked_at[4096]; /* what is on the disk, partition by partition */
    char command_line[2048];
};

#endif
