// SPDX-License-Identifier: Apache-2.0
/*
 * Parts of a disk as disks of their own: partitions that only this kernel knows of. A machine gets
 * many read-only layers on one disk like that, instead of a device each.
 */
#ifndef HUSK_GUEST_AGENT_PARTITION_H
#define HUSK_GUEST_AGENT_PARTITION_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct partition {
    char disk[32]; /* "vda"; "": none */
    int number;
};

/*
 * The part of `disk` (a name of /sys/block) of size_bytes from offset_bytes on; its device's path
 * comes through `device`. Numbers below `first` are known to be taken. -EINVAL: not whole sectors,
 * or not on the disk; -ENOSPC: the disk has as many as there can be; other errors are the kernel's.
 */
int partition_add(const char *disk, uint64_t offset_bytes, uint64_t size_bytes, int first,
                  struct partition *out, char *device, size_t size, struct husk_error *err);

/* Nothing when it is in use, or none. */
void partition_remove(const struct partition *partition);

#endif
