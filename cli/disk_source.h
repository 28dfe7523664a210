// SPDX-License-Identifier: Apache-2.0
/*
 * What is behind a -d of `husk run`: a raw file as it is, or one that is made of a qcow2 image by
 * qemu-img before the VM starts.
 *
 *   format=raw|qcow2  what the file is; without it, a regular file that begins as a qcow2 image is
 *                     one. Whatever a guest wrote there, no other file is opened because of it.
 *   overlay=FILE      a raw copy for this VM to write, made when it is not there yet
 *
 * A qcow2 image itself is never written: without an overlay it must be read-only, and its raw copy
 * is kept in the user's cache for as long as the image stays as it is.
 */
#ifndef HUSK_CLI_DISK_SOURCE_H
#define HUSK_CLI_DISK_SOURCE_H

#include <stdbool.h>

#include "cli/device_options.h"

/*
 * Makes drive->path a raw file; the new name is kept in *texts. should_stop: asked a few times a
 * second whether to give up. Returns 0, or an exit status after having said what is wrong: then no
 * half-made file is left.
 */
int disk_source_prepare(const struct disk_source *source, struct husk_drive_options *drive,
                        struct option_texts *texts, bool (*should_stop)(void));

#endif
