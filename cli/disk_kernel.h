// SPDX-License-Identifier: Apache-2.0
/* The kernel that the first disk brings along, for `husk run` without -k. */
#ifndef HUSK_CLI_DISK_KERNEL_H
#define HUSK_CLI_DISK_KERNEL_H

#include "cli/run_options.h"

struct disk_kernel {
    struct husk_image_kernel found;
    char command_line[sizeof(((struct husk_image_kernel *)0)->command_line) + 64];
};

/* Makes *options boot what is on its first drive: kernel, initrd, command line with a word for the
 * console, and for what the user left open a transport and memory that suit a distribution. Blocks
 * while the disk is read. Returns 0, or an exit status after having said what is wrong. Release
 * after the VM was built. */
int disk_kernel_use(struct disk_kernel *kernel, struct run_options *options);
void disk_kernel_release(struct disk_kernel *kernel);

#endif
