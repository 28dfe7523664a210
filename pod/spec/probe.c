// SPDX-License-Identifier: Apache-2.0
/* Which file system is in a file: libblkid's answer, for those that a guest's kernel may mount. */
#include <blkid/blkid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "pod/spec/volumes.h"

static const struct {
    const char *name, *fstype;
    bool readonly;
} known[] = {
    {"ext4", "ext4", false},      {"ext3", "ext4", false},        {"ext2", "ext4", false},
    {"xfs", "xfs", false},        {"btrfs", "btrfs", false},      {"f2fs", "f2fs", false},
    {"vfat", "vfat", false},      {"exfat", "exfat", false},      {"erofs", "erofs", true},
    {"iso9660", "iso9660", true}, {"squashfs", "squashfs", true},
};

int volumes_probe(int fd, char *fstype, bool *readonly)
{
    char *names[ARRAY_SIZE(known) + 1] = {NULL};
    blkid_probe probe = blkid_new_probe();
    const char *found = NULL;
    int ret;

    fstype[0] = '\0';
    if (!probe)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        names[i] = (char *)known[i].name;
    ret = blkid_probe_set_device(probe, fd, 0, 0) ? -EIO : 0;
    if (!ret) {
        /* Only what could be used: each is a reader of bytes that a guest may have written. */
        blkid_probe_enable_superblocks(probe, 1);
        blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
        blkid_probe_filter_superblocks_type(probe, BLKID_FLTR_ONLYIN, names);
        ret = blkid_do_safeprobe(probe);
        /* 1: nothing; -2: two at a time, of which neither is believed. */
        ret = ret == 0 || ret == 1 || ret == -2 ? ret : -EIO;
    }
    if (ret == 0 && blkid_probe_lookup_value(probe, "TYPE", &found, NULL))
        found = NULL;
    for (size_t i = 0; found && i < ARRAY_SIZE(known); i++) {
        if (!strcmp(known[i].name, found)) {
            snprintf(fstype, 32, "%s", known[i].fstype);
            *readonly |= known[i].readonly;
        }
    }
    blkid_free_probe(probe);
    return ret == -EIO ? ret : 0;
}
